"""What a life event asks people to agree to: the texts, who gives them, and which fields they cover."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from yijian_contracts.events import ConsentedField, ConsentText

from approval.definition import APPLICANT, GUARDIANS, ConsentDefinition, LifeEventDefinition
from approval.matters import Matter


@dataclass(frozen=True)
class Consentable:
    """A consent as its givers are asked for it, and the fields that may be given away once they agreed.

    `digest` is the SHA-256 (hex) of the text; `givers` are roles as the life event's file names them, `guardians` those
    that stand behind GUARDIANS.
    """

    basis: str
    version: int
    purpose: str
    text: str
    digest: str
    term: timedelta
    givers: tuple[str, ...]
    guardians: tuple[str, ...]
    fields: tuple[ConsentedField, ...]

    @property
    def for_children(self) -> bool:
        """Whether its givers speak as guardians."""
        return GUARDIANS in self.givers

    @cached_property
    def told(self) -> ConsentText:
        """What is told of it when somebody agrees. Thousands agree to the same: it is kept."""
        return ConsentText(
            basis=self.basis,
            version=self.version,
            text=self.text,
            text_digest=self.digest,
            purpose=self.purpose,
            for_children=self.for_children,
            fields=self.fields,
        )

    def givers_among(self, roles: Sequence[str], applicant: str) -> tuple[str, ...]:
        """Who of these roles is asked; if none of its givers takes part, it is whoever applies."""
        named: list[str] = []
        for giver in self.givers:
            named += self.guardians if giver == GUARDIANS else [applicant if giver == APPLICANT else giver]
        return tuple(dict.fromkeys(role for role in named if role in roles)) or (applicant,)


def build_consents(definition: LifeEventDefinition, matters: Iterable[Matter]) -> Mapping[str, Consentable]:
    """The consents by the code of their basis; those that no matter rests on under the city's settings are left out."""
    covered: dict[str, list[ConsentedField]] = {}
    for matter in matters:
        for field in matter.consented:
            covered.setdefault(str(field.consent), []).append(
                ConsentedField(department=matter.department, matter=matter.code, name=field.name, title=field.title)
            )
    return {
        code: _build(code, basis, definition, covered[code])
        for code, basis in definition.bases.items()
        if isinstance(basis, ConsentDefinition) and code in covered
    }


def _build(
    code: str, basis: ConsentDefinition, definition: LifeEventDefinition, fields: list[ConsentedField]
) -> Consentable:
    return Consentable(
        basis=code,
        version=basis.version,
        purpose=basis.reference,
        text=basis.text,
        digest=hashlib.sha256(basis.text.encode()).hexdigest(),
        term=timedelta(minutes=basis.term.minutes),
        givers=basis.givers,
        guardians=definition.parties.guardians,
        fields=tuple(fields),
    )
