"""What identity tells of accounts: sessions that ended, persons that are to be forgotten."""

from uuid import UUID

from pydantic import AwareDatetime

from yijian_contracts.events.base import Code, Event, Part, PersonRef
from yijian_contracts.topics import ERASURES, SESSIONS


class SessionsEnded(Event):
    """Access tokens of these grants, or with none named of all of the account's logins before `ended_at`, are void."""

    TYPE = "gov.city.identity.sessions-ended"
    TOPIC = SESSIONS

    subject: UUID
    grants: tuple[UUID, ...] = ()
    ended_at: AwareDatetime

    @property
    def key(self) -> str:
        return str(self.subject)

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.subject, self.ended_at.isoformat(), *self.grants)


class ErasedParts(Part):
    """The personal part: the proofs under which each audience that has one knows the person."""

    refs: dict[Code, PersonRef]


class PersonErased(Event):
    """A person had their account and data erased: whoever keeps something about them forgets it."""

    TYPE = "gov.city.identity.person-erased"
    TOPIC = ERASURES

    erasure_id: UUID
    subject: UUID
    erased_at: AwareDatetime
    personal: ErasedParts

    @property
    def key(self) -> str:
        return str(self.subject)

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.erasure_id)
