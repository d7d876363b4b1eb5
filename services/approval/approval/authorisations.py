"""Authorisations that came with a request: whose word each is, and that nobody uses one twice."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

import structlog
from yijian_common.crypto import Keyring
from yijian_common.database import Connection, Pool, transaction
from yijian_common.errors import FieldError
from yijian_common.tokens import Authorisation, Principal, TokenRefusedError

from approval.errors import AuthorisationRefused
from approval.keys import Keys

log = structlog.get_logger(__name__)

KEPT_DAYS = 2
PURGE_EVERY_SECONDS = 3600


class Reader(Protocol):
    """What reads authorisations: `yijian_common.auth.TokenVerifier`."""

    async def verify_authorisation(self, token: str) -> Authorisation: ...


async def read_authorisations(
    reader: Reader, given: Sequence[str], *, at: str = "/authorisations/{}"
) -> list[Authorisation]:
    """What the signed texts of a request say; `at` is their place in it. Raises `AuthorisationRefused`."""
    found = []
    for index, token in enumerate(given):
        try:
            found.append(await reader.verify_authorisation(token))
        except TokenRefusedError as error:
            log.info("authorisation refused", reason=str(error))
            raise refused("授权无效或者已经过期，请由对方重新授权", pointer=at.format(index)) from None
    return found


def refused(detail: str, *, pointer: str) -> AuthorisationRefused:
    return AuthorisationRefused(detail, errors=[FieldError(detail, pointer=pointer)])


def role_of(
    authorisation: Authorisation,
    *,
    principal: Principal,
    life_event: str,
    parties: Mapping[str, bytes],
    keys: Keys,
    pointer: str,
) -> str:
    """The role of the party who authorised this caller for this life event. Raises `AuthorisationRefused`.

    `pointer` is the authorisation's place in the request.
    """
    if authorisation.actor != principal.subject:
        raise refused("这份授权不是给您的，请由对方重新授权", pointer=pointer)
    if authorisation.life_event != life_event:
        raise refused("这份授权是用于另一件事的，请由对方重新授权", pointer=pointer)
    giver = keys.party(authorisation.id_proof)
    if giver == keys.party(principal.id_proof or ""):
        raise refused("您本人的同意请自己作出，不需要授权", pointer=pointer)
    role = next((role for role, party in parties.items() if party == giver), None)
    if role is None:
        raise refused("授权人不是这份申请中的当事人，请核对", pointer=pointer)
    return role


def index_of(authorisation: Authorisation, keyring: Keyring) -> bytes:
    """How one authorisation is remembered."""
    return keyring.blind_index("authorisation", authorisation.jti)


async def use(connection: Connection, uses: Sequence[tuple[bytes, UUID]]) -> set[UUID]:
    """Use authorisations up, each for one application; returns the applications whose were used before."""
    if not uses:
        return set()
    rows = await connection.fetch(
        """
        INSERT INTO authorisation (used, application_id) SELECT * FROM unnest($1::bytea[], $2::uuid[])
        ORDER BY 1 ON CONFLICT DO NOTHING RETURNING used, application_id
        """,
        [used for used, _ in uses],
        [application_id for _, application_id in uses],
    )
    got = {(row["used"], row["application_id"]) for row in rows}
    return {application_id for used, application_id in uses if (used, application_id) not in got}


async def give_back(connection: Connection, ids: Sequence[UUID]) -> None:
    """An application that came to nothing has used nothing up."""
    await connection.execute("DELETE FROM authorisation WHERE application_id = ANY($1)", list(ids))


class AuthorisationPurge:
    """The component that forgets, hourly, what ended by itself long ago."""

    name = "authorisation-purge"

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def problem(self) -> str | None:
        return None

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            async with transaction(self._pool) as connection:
                await forget_old(connection)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), PURGE_EVERY_SECONDS)


async def forget_old(connection: Connection) -> None:
    await connection.execute("DELETE FROM authorisation WHERE used_at < now() - make_interval(days => $1)", KEPT_DAYS)
