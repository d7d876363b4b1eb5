"""Who looked at a document: written down in the transaction of the look, for its owner to read."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from yijian_common.crypto import DataKey
from yijian_common.database import Connection
from yijian_common.ids import uuid7


class Looker(StrEnum):
    """In what capacity somebody looked. A RECIPIENT was shown it by the owner."""

    OWNER = "OWNER"
    GUARDIAN = "GUARDIAN"
    OFFICIAL = "OFFICIAL"
    RECIPIENT = "RECIPIENT"


@dataclass(frozen=True, slots=True)
class Look:
    """What is written down of a look: `who` in words for the owner; `fields` by name, never their values."""

    by: Looker
    who: str
    purpose: str = ""
    fields: tuple[str, ...] = ()


async def write_look(
    held: Connection,
    look: Look,
    *,
    document_id: UUID,
    data_key: DataKey,
    person_id: UUID | None,
    look_id: UUID | None = None,
) -> None:
    """Write a look down. `person_id` is the account that looked; a recipient has none."""
    identity = look_id or uuid7()
    await held.execute(
        "INSERT INTO document_look (id, document_id, person_id, looked_at, sealed) VALUES ($1, $2, $3, now(), $4)",
        identity,
        document_id,
        person_id,
        data_key.seal(json.dumps(asdict(look), ensure_ascii=False).encode(), look_context(identity)),
    )


async def read_looks(
    held: Connection, document_id: UUID, *, data_key: DataKey, limit: int
) -> list[tuple[datetime, Look]]:
    """The latest looks at a document, newest first."""
    rows = await held.fetch(
        "SELECT id, looked_at, sealed FROM document_look WHERE document_id = $1 ORDER BY id DESC LIMIT $2",
        document_id,
        limit,
    )
    return [(row["looked_at"], _read(data_key.open(row["sealed"], look_context(row["id"])))) for row in rows]


def _read(opened: bytes) -> Look:
    details = json.loads(opened)
    return Look(Looker(details["by"]), details["who"], details["purpose"], tuple(details["fields"]))


def look_context(look_id: UUID) -> bytes:
    return b"look:" + look_id.bytes
