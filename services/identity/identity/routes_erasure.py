"""注销: a citizen has account and data erased. Needs a login of the last minutes and the sentence typed out."""

import time
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field
from yijian_common.auth import require_citizen
from yijian_common.errors import FieldError, Unauthenticated, Unprocessable
from yijian_common.tokens import Principal

from identity.erasure import erase_person
from identity.provider import Provider

routes = APIRouter(prefix="/v1/me", tags=["erasure"])

FRESH_SECONDS = 300
CONFIRMATION = "我确认注销账户并删除我的个人信息"

CONSEQUENCES = (
    "您的账户、登录会话、本人证照、亲属关系和查看记录已经从身份服务中删除，无法恢复。",
    "正在办理的申请会被撤回；平台其他服务中您的申请、授权、数据使用记录和评价内容，最迟在 24 小时内删除。",
    "服务之间已经传递的消息，最迟在 9 天内到期删除。",
    "子女的证照属于子女：另一位监护人可以继续查看；没有其他监护人的，为子女本人保留。",
    "各部门依法办理和保存的档案（例如户籍登记、出生医学证明存根）由各部门依法保存，不在这次删除之内。",
    "为证明记录没有被篡改，公开台账中保留不含个人信息的校验值。",
)


class ErasureRequest(BaseModel):
    """`confirm` is the sentence, typed out by the person."""

    model_config = ConfigDict(extra="forbid")

    confirm: str = Field(max_length=100, description=CONFIRMATION, examples=[CONFIRMATION])


class ErasureOut(BaseModel):
    """Since when, and what is gone when."""

    erased_at: datetime
    consequences: list[str]


class FreshLoginNeeded(Unauthenticated):
    name = "fresh-login-needed"
    title = "请重新登录后再注销"
    advice = "注销账户前请重新登录，并在 5 分钟内提交。"

    def __init__(self) -> None:
        super().__init__()
        # RFC 9470 §3: which login would do.
        challenge = f'Bearer error="insufficient_user_authentication", max_age="{FRESH_SECONDS}"'
        self.headers["WWW-Authenticate"] = challenge


@routes.post("/erasure")
async def erase(
    body: ErasureRequest,
    provider: Provider,
    citizen: Annotated[Principal, Depends(require_citizen)],
    response: Response,
) -> ErasureOut:
    """Erase the caller, for good."""
    response.headers["Cache-Control"] = "no-store"
    if body.confirm.strip() != CONFIRMATION:
        raise Unprocessable(errors=[FieldError(f"请原样输入：{CONFIRMATION}", pointer="/confirm")])
    if time.time() - float(citizen.claims["auth_time"]) > FRESH_SECONDS:
        raise FreshLoginNeeded
    async with provider.store.transaction() as transaction:
        erased_at = await erase_person(transaction, provider, UUID(citizen.subject))
    return ErasureOut(erased_at=erased_at, consequences=list(CONSEQUENCES))
