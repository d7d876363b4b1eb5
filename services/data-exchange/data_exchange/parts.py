"""What the handlers of requests work with; made once in `main`."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from yijian_common.auth import require_citizen
from yijian_common.crypto import Keyring
from yijian_common.database import Connection, Pool
from yijian_common.tokens import Principal
from yijian_messaging import Store


@dataclass(frozen=True, slots=True)
class Parts:
    pool: Pool
    store: Store[Connection]
    keyring: Keyring


async def get_parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Context = Annotated[Parts, Depends(get_parts)]
Citizen = Annotated[Principal, Depends(require_citizen)]
