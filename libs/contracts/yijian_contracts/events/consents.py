"""Consents: given inside an application, withdrawn at data-exchange."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field

from yijian_contracts import derived_ids
from yijian_contracts.events.base import CaseEvent, Code, Event, Part, PersonRef, Sentence, read_once
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


class ConsentText(Part):
    """What people are asked to agree to on one basis, the same for everybody who is asked for this version.

    `text_digest` is the SHA-256 (hex) of the text as it is shown. `for_children` says that whoever agrees speaks as the
    guardian of the application's children too.
    """

    basis: Code
    version: int = Field(ge=1)
    text: str = Field(max_length=2000)
    text_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    purpose: Sentence
    for_children: bool
    fields: tuple[ConsentedField, ...]


class GivenConsent(Part):
    """One consent of several that somebody gave at once."""

    consent_id: UUID
    valid_until: AwareDatetime
    agreed_to: Annotated[ConsentText, read_once(ConsentText)]

    @staticmethod
    def id_for(application_id: UUID, basis: str, giver: str) -> UUID:
        """The id of a giver's consent on one basis in one application."""
        return derived_ids.consent_id(application_id, basis=basis, giver=giver)


class ConsentsGiven(CaseEvent):
    """A person with the role `giver` consented, at one moment and by one means, for this application.

    They may give others later, in an event of its own; each consent is given once.
    """

    TYPE = "gov.city.approval.consents-given"
    TOPIC = CONSENTS_GIVEN

    life_event: Code
    giver: Code
    giver_ref: PersonRef
    means: ConsentMeans
    given_at: AwareDatetime
    consents: tuple[GivenConsent, ...] = Field(min_length=1)

    @property
    def event_id(self) -> UUID:
        return self.derive_id(self.application_id, *(given.consent_id for given in self.consents))


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
