"""Who an application belongs to, and what only one living application may hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from approval.form_schema import parse_pointer
from approval.life_event import LifeEvent

ClaimValue = tuple[str, tuple[str, ...]]
"""A claim's name and its values, for instance ``("birth-certificate", ("Z990000001",))``."""


@dataclass(frozen=True)
class Parties:
    """Who takes part: the role that applies, and the identity number of each role that the form names."""

    applicant: str
    numbers: Mapping[str, str]

    @property
    def applicant_number(self) -> str:
        """The identity number of whoever applies; it must be that of the account."""
        return self.numbers[self.applicant]


def parties(life_event: LifeEvent, form: Mapping[str, Any]) -> Parties:
    """The parties of a form in which `check_form` found nothing wrong."""
    numbers = {role: _text_at(form, place) for role, place in life_event.parties.numbers.items()}
    return Parties(
        applicant=applicant_role(life_event, form),
        numbers={role: number for role, number in numbers.items() if number},
    )


def applicant_role(life_event: LifeEvent, form: Mapping[str, Any]) -> str:
    """Which role applies."""
    return _text_at(form, life_event.parties.applicant) or ""


def _text_at(form: Mapping[str, Any], place: str) -> str | None:
    part: Any = form
    for step in parse_pointer(place):
        part = part.get(step) if isinstance(part, dict) else None
    return part if isinstance(part, str) else None


def claim_values(life_event: LifeEvent, form: Mapping[str, Any]) -> list[ClaimValue]:
    """What the form claims, child by child: while its application lives, no other may claim the same."""
    values = life_event.claim_rules.evaluate({"form": form})
    found: list[ClaimValue] = []
    for claim, value in zip(life_event.claims, values, strict=True):
        per_child = value if life_event.children else [value]
        found += [(claim.name, tuple(map(str, one))) for one in per_child or () if one]
    return found


def claim_values_of_answer(life_event: LifeEvent, matter: str, outputs: Mapping[str, JsonValue]) -> list[ClaimValue]:
    """What an answer's outputs claim, such as the number of the certificate that was just issued."""
    return [
        (claim.name, (str(outputs[claim.output]),))
        for claim in life_event.claims
        if claim.matter == matter and claim.output is not None and outputs.get(claim.output) is not None
    ]
