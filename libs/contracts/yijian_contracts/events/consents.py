"""Consents: given inside an application, withdrawn at data-exchange."""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime, Field

from yijian_contracts import derived_ids
from yijian_contracts.events.base import CaseEvent, Code, Event, Part, PersonRef, Sentence
from yijian_contracts.topics import CONSENTS_GIVEN, CONSENTS_WITHDRAWN


class ConsentMeans(StrEnum):
    """How somebody said yes: with the application itself, from an account of their own, or by a one-time code."""

    APPLICATION = "APPLICATION"
    OWN_ACCOUNT = "OWN_ACCOUNT"
    ONE_TIME_CODE = "ONE_TIME_CODE"


class ConsentedField(Part):
    """A field that a consent covers, and the department and matter that it may go to."""

    department: Code
    matter: Code
    name: str
    title: str


class ConsentGiven(CaseEvent):
    """A person with the role `giver` consented to what the text of this version says, for this application.

    `text_digest` is the SHA-256 (hex) of the text as it was shown. `for_children` says that the giver spoke as the
    guardian of the application's children too.
    """

    TYPE = "gov.city.approval.consent-given"
    TOPIC = CONSENTS_GIVEN

    consent_id: UUID
    life_event: Code
    basis: Code
    version: int = Field(ge=1)
    text: str = Field(max_length=2000)
    text_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    purpose: Sentence
    giver: Code
    giver_ref: PersonRef
    for_children: bool
    fields: tuple[ConsentedField, ...]
    means: ConsentMeans
    given_at: AwareDatetime
    valid_until: AwareDatetime

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.consent_id)

    @staticmethod
    def id_for(application_id: UUID, basis: str, giver: str) -> UUID:
        """The id of a giver's consent on one basis in one application."""
        return derived_ids.event_id("consent", application_id, basis, giver)


class ConsentWithdrawn(CaseEvent):
    """A giver took a consent back; nothing that rests on it is sent from now on."""

    TYPE = "gov.city.data-exchange.consent-withdrawn"
    TOPIC = CONSENTS_WITHDRAWN

    consent_id: UUID
    basis: Code
    giver: Code
    withdrawn_at: AwareDatetime

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.consent_id)


class WithdrawalsToldUntil(Event):
    """Every withdrawal committed before `as_of` stands before this in the topic, which has one partition for that.

    Said every few seconds. Whoever sends on the basis of consents and has not read a recent one of these must wait.
    """

    TYPE = "gov.city.data-exchange.withdrawals-told-until"
    TOPIC = CONSENTS_WITHDRAWN

    as_of: AwareDatetime

    @property
    def key(self) -> str:
        return "told-until"

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.as_of.isoformat())
