"""What approval's handlers work with, made once in `main`, and how they find what a caller may see."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Response
from yijian_common.auth import require_citizen, require_level
from yijian_common.database import Connection, Pool
from yijian_common.idempotency import StoredResponse
from yijian_common.tokens import Principal, RealNameLevel
from yijian_messaging import Store

from approval import queries
from approval.effects import Effects
from approval.errors import ApplicationNotFound
from approval.intake import Intake
from approval.keys import Keys
from approval.life_events_registry import LifeEvents
from approval.progress import Progress
from approval.rows import Held

PAGE = 50


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one process."""

    pool: Pool
    store: Store[Connection]
    effects: Effects
    intake: Intake
    progress: Progress
    keys: Keys

    @property
    def life_events(self) -> LifeEvents:
        return self.effects.life_events


async def get_parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Context = Annotated[Parts, Depends(get_parts)]
Citizen = Annotated[Principal, Depends(require_citizen)]
ConfirmedCitizen = Annotated[Principal, Depends(require_level(RealNameLevel.L3))]


def party_of(parts: Parts, citizen: Principal) -> bytes:
    """How a caller is known among the parties of applications."""
    return parts.keys.party(citizen.id_proof or "")


async def find(connection: Connection, application_id: UUID, parts: Parts, citizen: Principal) -> Held:
    """An application of the caller or to which they are a party. Raises `ApplicationNotFound` for everybody else."""
    held = await queries.find_application(
        connection,
        application_id,
        party=party_of(parts, citizen),
        subject=citizen.subject,
        keyring=parts.keys.keyring,
    )
    if held is None:
        raise ApplicationNotFound
    return held


def as_response(stored: StoredResponse) -> Response:
    return Response(stored.body, status_code=stored.status, media_type="application/json", headers=dict(stored.headers))
