"""One matter of a department as a city runs it: what it waits for, receives, returns and issues."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from yijian_contracts.events import Basis, DisclosedField, DisclosedPart

from approval.definition import (
    APPLICANT,
    CHILD,
    ConsentDefinition,
    DocumentDefinition,
    Duration,
    LifeEventDefinition,
    MatterDefinition,
    PartiesDefinition,
    ReasonDefinition,
    Where,
)
from approval.form_schema import FormSchema, parse_pointer, title_at


@dataclass(frozen=True)
class Field:
    """One field that a matter receives, from the form (`path`, below the child where `of_child`) or from upstream.

    A field of the form has neither `matter` nor `output`. `consent` is the code of its basis where that is a consent.
    `concerns` are the roles that it is about, APPLICANT among them for whoever applies.
    """

    name: str
    path: tuple[str, ...]
    of_child: bool
    matter: str | None
    output: str | None
    basis: Basis
    consent: str | None
    title: str
    source: str
    concerns: tuple[str, ...]

    def disclosed(self) -> DisclosedField:
        """What is told of it when it goes out."""
        return DisclosedField(name=self.name, title=self.title, source=self.source)

    def roles(self, applicant: str) -> tuple[str, ...]:
        """Whom it concerns when this role applies."""
        return tuple(dict.fromkeys(applicant if role == APPLICANT else role for role in self.concerns))

    def value_in(self, part: Any) -> Any:
        """What the form says here, or None. `part` is the child where the field is `of_child`, else the whole form."""
        for step in self.path:
            if not isinstance(part, dict):
                return None
            part = part.get(step)
        return part


@dataclass(frozen=True)
class Matter:
    """One matter of a department, its settings resolved.

    `needs` are the codes of matters of the same application (the same child, where both are per child). `outputs`
    checks what an answer returns.
    """

    code: str
    name: str
    department: str
    description: str
    per_child: bool
    needs: tuple[str, ...]
    promise: timedelta
    legal: Duration | None
    fields: tuple[Field, ...]
    not_needed: tuple[ReasonDefinition, ...]
    already_done: str | None
    returns: Mapping[str, Mapping[str, Any]]
    documents: tuple[DocumentDefinition, ...]
    relation: str | None
    outputs: FormSchema = field(repr=False, compare=False)
    disclosures: dict[tuple[str, tuple[str, ...]], "Disclosed"] = field(repr=False, compare=False, default_factory=dict)

    def disclosed(self, names: tuple[str, ...], applicant: str) -> "Disclosed":
        """What giving the fields of these names discloses when this role applies.

        Thousands of applications send the same: it is kept.
        """
        found = self.disclosures.get((applicant, names))
        if found is None:
            given = [f for f in self.fields if f.name in names]
            found = self.disclosures[applicant, names] = _disclosed(given, applicant)
        return found

    @cached_property
    def consented(self) -> tuple[Field, ...]:
        """The fields that rest on a consent."""
        return tuple(f for f in self.fields if f.consent is not None)


@dataclass(frozen=True)
class Disclosed:
    """Fields by the basis that allows to give them and whom they concern, and the consents among the bases by code."""

    parts: tuple[DisclosedPart, ...]
    consents: tuple[str, ...]


def _disclosed(fields: Sequence[Field], applicant: str) -> Disclosed:
    grouped: dict[tuple[Basis, tuple[str, ...]], list[DisclosedField]] = {}
    for each in fields:
        grouped.setdefault((each.basis, each.roles(applicant)), []).append(each.disclosed())
    parts = tuple(
        DisclosedPart(basis=basis, concerns=roles, fields=tuple(given)) for (basis, roles), given in grouped.items()
    )
    consents = tuple(dict.fromkeys(each.consent for each in fields if each.consent is not None))
    return Disclosed(parts, consents)


def task_key(matter: str, child: int | None) -> str:
    """A task's name within its application: ``B1`` of the whole, ``B2-1`` of the first child."""
    return matter if child is None else f"{matter}-{child}"


def holds(where: Where, settings: Mapping[str, str]) -> bool:
    """Whether a part that stands under `if` belongs to the life event as this city runs it."""
    return all(settings.get(name) == value for name, value in where.items())


def build_matter(
    matter: MatterDefinition, definition: LifeEventDefinition, settings: Mapping[str, str], *, allow_fictitious: bool
) -> Matter:
    needs = (
        need if isinstance(need, str) else need.matter
        for need in matter.needs
        if isinstance(need, str) or holds(need.where, settings)
    )
    fields = tuple(
        _field(name, source, group.basis, definition)
        for group in matter.receives
        if holds(group.where, settings)
        for name, source in group.fields.items()
    )
    outputs = {
        "type": "object",
        "properties": matter.returns,
        "required": list(matter.returns),
        "additionalProperties": False,
    }
    return Matter(
        code=matter.code,
        name=matter.name,
        department=matter.department,
        description=matter.description,
        per_child=matter.per == "child",
        needs=tuple(needs),
        promise=timedelta(minutes=matter.promise_minutes),
        legal=matter.legal,
        fields=fields,
        not_needed=matter.not_needed,
        already_done=matter.already_done,
        returns=matter.returns,
        documents=matter.documents,
        relation=matter.relation,
        outputs=FormSchema(outputs, allow_fictitious=allow_fictitious),
    )


def _field(name: str, source: str, code: str, definition: LifeEventDefinition) -> Field:
    if not source.startswith("/"):
        return _field_of_output(name, source, code, definition)
    children = definition.form.children
    of_child = children is not None and source.startswith(f"{children}/*/")
    return Field(
        name,
        path=parse_pointer(source.removeprefix(f"{children}/*") if of_child else source),
        of_child=of_child,
        matter=None,
        output=None,
        basis=_basis(code, definition),
        consent=_consent(code, definition),
        title=title_at(definition.form.json_schema, parse_pointer(source)) or name,
        source=source,
        concerns=concerned(definition.parties, source),
    )


def _field_of_output(name: str, source: str, code: str, definition: LifeEventDefinition) -> Field:
    upstream_code, _, output = source.partition(".")
    upstream = next(matter for matter in definition.matters if matter.code == upstream_code)
    return Field(
        name,
        path=(),
        of_child=False,
        matter=upstream_code,
        output=output,
        basis=_basis(code, definition),
        consent=_consent(code, definition),
        title=str(upstream.returns[output].get("title", name)),
        source=source,
        concerns=(CHILD,) if upstream.per == "child" else tuple(definition.parties.numbers),
    )


def _basis(code: str, definition: LifeEventDefinition) -> Basis:
    declared = definition.bases[code]
    return Basis(kind=declared.kind, reference=declared.reference)


def _consent(code: str, definition: LifeEventDefinition) -> str | None:
    return code if isinstance(definition.bases[code], ConsentDefinition) else None


def concerned(parties: PartiesDefinition, source: str) -> tuple[str, ...]:
    """The roles that the place `source` of the form is about: as the longest pointer says that it lies in."""
    covering = [place for place in parties.concerns if source == place or source.startswith(f"{place}/")]
    return parties.concerns[max(covering, key=len)] if covering else tuple(parties.numbers)
