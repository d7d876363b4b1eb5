"""Named reads."""

from dataclasses import dataclass
from uuid import UUID

import msgspec
from yijian_common.crypto import Keyring
from yijian_common.database import Connection

from approval import rows
from approval.application import Application, Task, load
from approval.engine import Entry, task_id
from approval.life_event import Field, LifeEvent
from approval.rows import Held

_entry = msgspec.json.Decoder(Entry)


@dataclass(frozen=True, slots=True)
class Received:
    """What one task gave a department: its fields, in the order in which the life event declares them."""

    fields: tuple[Field, ...]


async def find_application(
    connection: Connection, application_id: UUID, *, party: bytes, subject: str, keyring: Keyring
) -> Held | None:
    """An application, if this person applied or is a party to it."""
    held = await rows.read_application(connection, application_id, keyring)
    if held is None or held.applicant == subject:
        return held
    return held if await is_party(connection, application_id, party) else None


async def is_party(connection: Connection, application_id: UUID, party: bytes) -> bool:
    """Whether this person takes part in the application."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM application_party WHERE party = $1 AND application_id = $2)", party, application_id
    )
    return found


async def list_applications(
    connection: Connection, *, party: bytes, before: UUID | None, limit: int
) -> list[Application]:
    """A person's applications, newest first (ids ascend with time), those before `before`."""
    found = await connection.fetch(
        """
        SELECT a.state FROM (
            SELECT application_id FROM application_party
            WHERE party = $1 AND application_id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
            ORDER BY application_id DESC LIMIT $3
        ) p JOIN application a ON a.id = p.application_id ORDER BY a.id DESC
        """,
        party,
        before,
        limit,
    )
    return [load(row["state"]) for row in found]


async def read_timeline(connection: Connection, application_id: UUID, *, after: int) -> list[Entry]:
    """The lines of the timeline after version `after`, in order."""
    found = await connection.fetch(
        "SELECT entry FROM timeline WHERE application_id = $1 AND version > $2 ORDER BY version", application_id, after
    )
    return [_entry.decode(row["entry"]) for row in found]


async def read_disclosures(
    connection: Connection, application: Application, life_event: LifeEvent
) -> dict[str, Received]:
    """What each department received, by task key; the latest attempt of each task."""
    ids = {task_id(application, task): task for task in application.tasks if task.requested_at is not None}
    found = await connection.fetch(
        "SELECT task_id, fields FROM disclosure WHERE application_id = $1 AND task_id = ANY($2)",
        application.id,
        list(ids),
    )
    return {task.key: _received(life_event, task, row["fields"]) for row in found for task in (ids[row["task_id"]],)}


def _received(life_event: LifeEvent, task: Task, names: str) -> Received:
    given = set(names.split(","))
    return Received(tuple(f for f in life_event.matters[task.matter].fields if f.name in given))


async def get_state(connection: Connection, application_id: UUID) -> Application:
    """An application that is known to exist."""
    return load(await connection.fetchval("SELECT state FROM application WHERE id = $1", application_id))
