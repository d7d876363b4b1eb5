"""One person's word that another may act for them in a life event, given by a one-time code, signed for approval.

Who asks learns nothing of whom they ask: whether there is such a person, whether the name fits the number, whether a
text went out. All of it answers alike, after the same work, and only the right code within ten minutes says more.
A wrong code is counted before it is looked at, so a hundred at once are no more than five.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from yijian_common.database import Connection, transaction
from yijian_common.errors import FieldError, TooManyRequests, Unprocessable
from yijian_common.pairwise import id_proof
from yijian_common.tokens import RealNameLevel

from identity.clients import APPROVAL
from identity.people import Person
from identity.provider import OpenIdProvider
from identity.queries import find_by_id_no, find_person
from identity.texts import put_text

MEANS = "ONE_TIME_CODE"
CODE_LASTS = timedelta(minutes=10)
TRIES = 5
REQUESTS_PER_ACTOR = 10
TEXTS_PER_GIVER = 5
PER_SECONDS = 3600

TITLES = {"birth": "出生一件事"}

# Both rows are locked in one order, so that requests at once are counted one after the other.
_LOCK = "SELECT FROM people WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE"
_COUNT = """
SELECT count(*) FILTER (WHERE actor_id = $1) AS of_actor, count(*) FILTER (WHERE giver_id = $2) AS of_giver
FROM authorisation_requests
WHERE (actor_id = $1 OR giver_id = $2) AND asked_at > now() - make_interval(secs => $3)
"""
_ASK = """
INSERT INTO authorisation_requests (id, actor_id, giver_id, life_event, code_index, expires_at)
VALUES ($1, $2, $3, $4, $5, now() + $6::interval) RETURNING expires_at
"""
_TRY = """
UPDATE authorisation_requests SET tries = tries + 1
WHERE id = $1 AND actor_id = $2 AND used_at IS NULL AND expires_at > now() AND tries < $3
RETURNING giver_id, life_event, code_index
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that waits for its code, be there somebody who has one or not."""

    id: UUID
    expires_at: datetime


async def ask(provider: OpenIdProvider, actor_id: UUID, *, life_event: str, name: str, id_no: str) -> Asked:
    """Text a code to the person of this name and number. Raises `TooManyRequests`, or `Unprocessable` for oneself."""
    code, request_id = f"{secrets.randbelow(1_000_000):06}", uuid4()
    async with transaction(provider.pool) as held:
        actor = await find_person(held, actor_id, keyring=provider.keyring)
        giver = await find_by_id_no(held, id_no, keyring=provider.keyring)
        if actor is None or actor.id_no == id_no:
            raise Unprocessable(errors=[FieldError("这是您自己的身份证号码，不需要授权", pointer="/id_no")])
        giver = giver if giver is not None and _may_give(giver, name) else None
        to = await _within_limits(held, actor, giver)
        index = _code_index(provider, request_id, code)
        giver_id = None if to is None else to.id
        expires_at = await held.fetchval(_ASK, request_id, actor.id, giver_id, life_event, index, CODE_LASTS)
        text = _text(actor, life_event, code)
        await put_text(held, provider.keyring, to, text=text, lasts=CODE_LASTS)
    return Asked(request_id, expires_at)


def _may_give(person: Person, name: str) -> bool:
    """Whether a text to this person's mobile proves that it is they: only a confirmed identity has a confirmed one."""
    level = person.real_name_level
    return person.name == name and person.mobile is not None and level is not None and level >= RealNameLevel.L2


async def _within_limits(held: Connection, actor: Person, giver: Person | None) -> Person | None:
    """Whom to text: nobody when they were texted too often. Raises `TooManyRequests` when the actor asks too often."""
    ids = [actor.id] if giver is None else [actor.id, giver.id]
    await held.fetch(_LOCK, ids)
    [counted] = await held.fetch(_COUNT, actor.id, ids[-1] if giver else None, float(PER_SECONDS))
    if counted["of_actor"] >= REQUESTS_PER_ACTOR:
        raise TooManyRequests("请求验证码太频繁", retry_after=PER_SECONDS)
    return giver if counted["of_giver"] < TEXTS_PER_GIVER else None


def _text(actor: Person, life_event: str, code: str) -> str:
    title = TITLES.get(life_event, f"一件事（{life_event}）")
    return (
        f"【一件事】{actor.name}正在办理“{title}”，请您授权。同意请把验证码 {code} 告诉对方，10 分钟内有效；"
        "不同意或不认识对方，请不要告诉任何人。"
    )


async def give(provider: OpenIdProvider, actor_id: UUID, request_id: UUID, *, code: str) -> tuple[str, datetime]:
    """The signed authorisation, and when it ends. Raises `Unprocessable`, the same for every reason."""
    async with transaction(provider.pool) as held:
        row = await held.fetchrow(_TRY, request_id, actor_id, TRIES)
        known = b"" if row is None else row["code_index"]
        right = hmac.compare_digest(known, _code_index(provider, request_id, code))
        giver = None
        if row is not None and right and row["giver_id"] is not None:
            await held.execute("UPDATE authorisation_requests SET used_at = now() WHERE id = $1", request_id)
            giver = await find_person(held, row["giver_id"], keyring=provider.keyring)
    if row is None or giver is None or giver.id_no is None:
        raise Unprocessable(errors=[FieldError("验证码不正确，或者已经失效", pointer="/code")])
    claims = authorisation_claims(
        provider,
        giver=giver.id,
        id_no=giver.id_no,
        actor=actor_id,
        life_event=row["life_event"],
        authorisation=request_id,
    )
    return provider.signer.authorisation(claims)


def _code_index(provider: OpenIdProvider, request_id: UUID, code: str) -> bytes:
    return provider.keyring.blind_index("one-time code", str(request_id), code)


def authorisation_claims(
    provider: OpenIdProvider, *, giver: UUID, id_no: str, actor: UUID, life_event: str, authorisation: UUID
) -> dict[str, Any]:
    """All claims of an authorisation but issuer and instants; see `yijian_common.tokens.Authorisation`."""
    return {
        "aud": APPROVAL,
        "sub": str(giver),
        "id_proof": id_proof(provider.pairwise[APPROVAL], id_no),
        "act": {"sub": str(actor)},
        "life_event": life_event,
        "means": MEANS,
        "jti": authorisation.hex,
    }
