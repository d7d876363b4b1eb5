"""One matter of a department as a city runs it: what it waits for, receives, returns and issues."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from yijian_contracts.events import Basis, DisclosedField, DisclosedPart

from approval.definition import (
    DocumentDefinition,
    Duration,
    LifeEventDefinition,
    MatterDefinition,
    ReasonDefinition,
    Where,
)
from approval.form_schema import FormSchema, parse_pointer


@dataclass(frozen=True)
class Field:
    """One field that a matter receives, from the form (`path`, below the child where `of_child`) or from upstream.

    A field of the form has neither `matter` nor `output`.
    """

    name: str
    path: tuple[str, ...]
    of_child: bool
    matter: str | None
    output: str | None
    basis: Basis
    disclosed: DisclosedField

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
    disclosures: dict[tuple[str, ...], "Disclosed"] = field(repr=False, compare=False, default_factory=dict)

    def disclosed(self, names: tuple[str, ...]) -> "Disclosed":
        """What giving the fields of these names discloses. Thousands of applications send the same: it is kept."""
        found = self.disclosures.get(names)
        if found is None:
            found = self.disclosures[names] = _disclosed([f for f in self.fields if f.name in names])
        return found

    @property
    def consents(self) -> tuple[str, ...]:
        """The purposes that this matter's consent-based fields serve; empty when it rests on law alone."""
        return tuple(dict.fromkeys(f.basis.reference for f in self.fields if f.basis.kind == "CONSENT"))


@dataclass(frozen=True)
class Disclosed:
    """Fields by the basis that allows to give them, and the same as JSON text."""

    parts: tuple[DisclosedPart, ...]
    text: str


def _disclosed(fields: Sequence[Field]) -> Disclosed:
    by_basis: dict[Basis, list[DisclosedField]] = {}
    for each in fields:
        by_basis.setdefault(each.basis, []).append(each.disclosed)
    parts = tuple(DisclosedPart(basis=basis, fields=tuple(given)) for basis, given in by_basis.items())
    return Disclosed(parts, json.dumps([part.model_dump() for part in parts], ensure_ascii=False))


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
        _field(name, source, Basis(kind=basis.kind, reference=basis.reference), definition.form.children)
        for group in matter.receives
        if holds(group.where, settings)
        for basis in (definition.bases[group.basis],)
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


def _field(name: str, source: str, basis: Basis, children: str | None) -> Field:
    disclosed = DisclosedField(name=name, source=source)
    if not source.startswith("/"):
        matter, _, output = source.partition(".")
        return Field(name, path=(), of_child=False, matter=matter, output=output, basis=basis, disclosed=disclosed)
    of_child = children is not None and source.startswith(f"{children}/*/")
    path = parse_pointer(source.removeprefix(f"{children}/*") if of_child else source)
    return Field(name, path=path, of_child=of_child, matter=None, output=None, basis=basis, disclosed=disclosed)
