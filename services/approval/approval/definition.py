"""The shape of a life event's file. What the words mean together is checked in `life_event_checks`."""

import re
from calendar import monthrange
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from yijian_contracts.working_days import CITY_ZONE

Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Pointer = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9_*]+)+$", max_length=200)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
Rule = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]
Where = dict[Name, str]
"""Under which setting something holds: every named setting has the named value."""


CHILD = "CHILD"
APPLICANT = "APPLICANT"
GUARDIANS = "GUARDIANS"
"""Roles that have no number of their own in the form: a child gets one midway, and others apply or are guardians."""

_MINUTES = {"MINUTE": 1, "HOUR": 60, "NATURAL_DAY": 60 * 24, "WORKING_DAY": 60 * 24, "MONTH": 60 * 24 * 31}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Duration(_Part):
    value: int = Field(ge=1, le=1000)
    unit: Literal["MINUTE", "HOUR", "WORKING_DAY", "NATURAL_DAY", "MONTH"]

    @property
    def minutes(self) -> int:
        """How long it is without holidays, a month of 31 days: to compare promises, not to compute a deadline."""
        return self.value * _MINUTES[self.unit]


class SettingDefinition(_Part):
    """A choice of the city; what it is resolved to is stored with the life event and kept by running applications."""

    meaning: Text
    default: str
    values: tuple[str, ...] = ()
    pattern: str | None = None

    def permits(self, value: str) -> bool:
        """Whether a city may choose `value`."""
        return value in self.values if self.values else re.fullmatch(self.pattern or ".{1,200}", value) is not None

    @property
    def permitted(self) -> str:
        """What a city may choose, in words."""
        return ", ".join(self.values) if self.values else f"what fits {self.pattern or '1 to 200 characters'}"


class LawDefinition(_Part):
    """A law that allows to give fields away, with its clause."""

    kind: Literal["LAW"]
    reference: Text


class ConsentDefinition(_Part):
    """A consent that allows to give fields away: `reference` is its purpose, `text` what its givers read in full.

    `givers` are roles: APPLICANT for the role that applies, GUARDIANS for those that the form names of the parties'
    guardians, who speak for the children too, or a role with a number. Who takes no part is not asked.
    """

    kind: Literal["CONSENT"]
    reference: Text
    version: int = Field(ge=1)
    text: Annotated[str, StringConstraints(min_length=20, max_length=2000, strip_whitespace=True)]
    term: Duration
    givers: tuple[Code, ...] = Field(min_length=1)


BasisDefinition = Annotated[LawDefinition | ConsentDefinition, Field(discriminator="kind")]
"""Why fields may be given away."""


class NeedDefinition(_Part):
    matter: Code
    where: Where = Field(default={}, alias="if")


class ReceivedDefinition(_Part):
    """Fields that a matter receives on one basis: name → form pointer or upstream output (`B2.birth_cert_no`)."""

    basis: Code
    fields: dict[Name, str]
    where: Where = Field(default={}, alias="if")


class ReasonDefinition(_Part):
    when: Rule
    reason: Text


class ValidityDefinition(_Part):
    """How long a document is valid, on China's calendar."""

    value: int = Field(ge=1, le=100)
    unit: Literal["DAY", "MONTH", "YEAR"]

    def until(self, issued_at: datetime) -> datetime:
        """The same time of day on the last day; where that month is shorter, its end."""
        if self.unit == "DAY":
            return issued_at + timedelta(days=self.value)
        here = issued_at.astimezone(CITY_ZONE)
        months = here.month - 1 + self.value * (12 if self.unit == "YEAR" else 1)
        year, month = here.year + months // 12, months % 12 + 1
        until = here.replace(year=year, month=month, day=min(here.day, monthrange(year, month)[1]))
        return until.astimezone(issued_at.tzinfo)


class DocumentDefinition(_Part):
    """A document that a matter issues; without `valid_for` it does not expire."""

    code: Code
    name: Text
    licence_type: str
    owner: Literal["CHILD", "MOTHER", "FATHER", "FAMILY"]
    valid_for: ValidityDefinition | None = None


class MatterDefinition(_Part):
    code: Code
    name: Text
    department: Code
    per: Literal["application", "child"]
    promise_minutes: int = Field(ge=1, le=60 * 24 * 90)
    legal: Duration | None = None
    description: Text
    where: Where = Field(default={}, alias="if")
    needs: tuple[Code | NeedDefinition, ...] = ()
    receives: tuple[ReceivedDefinition, ...] = Field(min_length=1)
    not_needed: tuple[ReasonDefinition, ...] = ()
    needs_person: tuple[ReasonDefinition, ...] = ()
    already_done: Rule | None = None
    returns: dict[Name, dict[str, Any]] = {}
    documents: tuple[DocumentDefinition, ...] = ()
    relation: Name | None = None


class FormRuleDefinition(_Part):
    """A rule over the form. `error` refuses the form at `pointer`; `person` marks `matters` as needing a person."""

    rule: Code
    check: Rule
    pointer: Pointer
    message: Text
    severity: Literal["error", "person"] = "error"
    matters: tuple[Code, ...] = ()


class ClaimDefinition(_Part):
    """What only one living application may hold. `values` are form rules; `answer` is an output that arrives later."""

    name: Code
    when: Rule | None = None
    values: tuple[Rule, ...] = Field(min_length=1)
    answer: str | None = None


class GuideDefinition(_Part):
    """What a resident reads before applying."""

    summary: Text
    who: tuple[Text, ...] = Field(min_length=1)
    materials: tuple[Text, ...] = Field(min_length=1)
    not_included: tuple[Text, ...] = ()
    fee: Text


class PartiesDefinition(_Part):
    """Who takes part: each role's identity number in the form, which role applies, and whose the form's parts are.

    `concerns` names the roles that a part of the form is about, a longer pointer before a shorter one; APPLICANT stands
    for the role that applies, CHILD for the child. What it leaves out is about every role with a number. `guardians`
    are the roles that may see what is about a child; `titles` are what residents call the roles.
    """

    applicant: Pointer
    numbers: dict[Code, Pointer]
    titles: dict[Code, Text]
    guardians: tuple[Code, ...] = ()
    concerns: dict[Pointer, Annotated[tuple[Code, ...], Field(min_length=1)]] = {}


class FormDefinition(_Part):
    """The form. `consents` is its list of the bases that the applicant agrees to."""

    json_schema: dict[str, Any] = Field(alias="schema")
    children: Pointer | None = None
    order: Name | None = None
    consents: Pointer | None = None


class LifeEventDefinition(_Part):
    code: Code
    name: Text
    version: int = Field(ge=1)
    promise: Duration
    guide: GuideDefinition
    settings: dict[Name, SettingDefinition] = {}
    bases: dict[Code, BasisDefinition]
    form: FormDefinition
    parties: PartiesDefinition
    claims: tuple[ClaimDefinition, ...] = ()
    rules: tuple[FormRuleDefinition, ...] = ()
    matters: tuple[MatterDefinition, ...] = Field(min_length=1)
