"""What was disclosed, as the people see it whom it was about: each their own fields, and the child's for guardians."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_ledger.portions import Portion

from data_exchange.disclosures import Opened, open_sealed
from data_exchange.paging import NEWEST, Place

CHILD: Final = "CHILD"
"""The role whose fields the guardians of a case see as their own."""

_CHUNK: Final = 100


@dataclass(frozen=True, slots=True)
class OwnDisclosure:
    """A disclosure with the portions that its reader may see, at least one; `covered` is by a signed checkpoint."""

    id: UUID
    case_id: UUID
    disclosed_at: datetime
    opened: Opened
    portions: tuple[Portion, ...]
    index: int
    covered: bool

    @property
    def place(self) -> Place:
        return self.disclosed_at, self.id


def visible(opened: Opened, roles: Collection[str]) -> tuple[Portion, ...]:
    """The portions that concern somebody who plays these roles, or a child that they are a guardian of."""
    guards = not set(roles).isdisjoint(opened.details.value["guardians"])
    seen = {*roles, CHILD} if guards else set(roles)
    return tuple(portion for portion in opened.portions if not seen.isdisjoint(portion.content.value["concerns"]))


async def find_page(
    connection: Connection, person: bytes, *, before: Place, limit: int, keyring: Keyring
) -> list[OwnDisclosure]:
    """At most `limit` of this person's, newest first, of those that stand before a place."""
    found: list[OwnDisclosure] = []
    while len(found) < limit:
        rows = await _read(connection, person, before=before, limit=_CHUNK)
        found += _open(rows, keyring)
        if len(rows) < _CHUNK:
            break
        before = rows[-1]["disclosed_at"], rows[-1]["id"]
    return found[:limit]


async def find_of_case(
    connection: Connection, person: bytes, case_id: UUID, *, keyring: Keyring
) -> list[OwnDisclosure]:
    """All that this person may see of one case."""
    return list(_open(await _read(connection, person, case_id=case_id), keyring))


async def find_one(
    connection: Connection, person: bytes, disclosure_id: UUID, *, keyring: Keyring
) -> OwnDisclosure | None:
    rows = await _read(connection, person, disclosure_id=disclosure_id)
    return next(_open(rows, keyring), None)


async def _read(
    connection: Connection,
    person: bytes,
    *,
    before: Place = NEWEST,
    case_id: UUID | None = None,
    disclosure_id: UUID | None = None,
    limit: int | None = None,
) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(
        """
        SELECT d.id, d.case_id, d.disclosed_at, d.sealed, k.data_key, p.roles, l.index,
            l.index < coalesce((SELECT max(size) FROM ledger.checkpoint), 0) AS covered
        FROM (SELECT case_id, array_agg(role) AS roles FROM case_person
            WHERE person = $1 AND ($4::uuid IS NULL OR case_id = $4) GROUP BY case_id) p
        JOIN disclosure d ON d.case_id = p.case_id
        JOIN case_key k ON k.case_id = d.case_id
        JOIN ledger.leaf l ON l.id = d.id
        WHERE (d.disclosed_at, d.id) < ($2, $3) AND ($5::uuid IS NULL OR d.id = $5)
        ORDER BY d.disclosed_at DESC, d.id DESC LIMIT $6
        """,
        person,
        *before,
        case_id,
        disclosure_id,
        limit,
    )
    return rows


def _open(rows: Sequence[asyncpg.Record], keyring: Keyring) -> Iterator[OwnDisclosure]:
    """Opened, without those of which the reader may see nothing."""
    for row in rows:
        opened = open_sealed(row["sealed"], disclosure_id=row["id"], data_key=keyring.unwrap(row["data_key"]))
        portions = visible(opened, row["roles"])
        if portions:
            yield OwnDisclosure(
                id=row["id"],
                case_id=row["case_id"],
                disclosed_at=row["disclosed_at"],
                opened=opened,
                portions=portions,
                index=row["index"],
                covered=row["covered"],
            )
