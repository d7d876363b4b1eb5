"""A life event: what one application asks of which departments, loaded from a file and kept by digest.

`load_life_event` reads the file, resolves the city's settings and checks everything. What is stored beside running
applications is `canonical()`: the file's content with the resolved settings; `LifeEvent.from_canonical` makes the same
life event of it again, whatever is deployed since. Everything that can be prepared once (schemas, rules, disclosures)
is prepared here, because an application pays for nothing twice.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from yijian_contracts.events import Basis, DisclosedField

from approval.definition import (
    DocumentDefinition,
    Duration,
    FormRuleDefinition,
    GuideDefinition,
    LifeEventDefinition,
    MatterDefinition,
    PartiesDefinition,
    ReasonDefinition,
    Where,
)
from approval.form_schema import FormSchema, parse_pointer, pointers, schema_at
from approval.graph import longest_path
from approval.life_event_checks import LifeEventError, Problem, check_definition, shape_problems
from approval.rules import RuleSet, for_each_child
from approval.yaml_lines import Lines, YamlError, read_yaml

_MINUTES = {"MINUTE": 1, "HOUR": 60, "NATURAL_DAY": 60 * 24, "WORKING_DAY": 60 * 24, "MONTH": 60 * 24 * 31}


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

    @property
    def consents(self) -> tuple[str, ...]:
        """The purposes that this matter's consent-based fields serve; empty when it rests on law alone."""
        return tuple(dict.fromkeys(f.basis.reference for f in self.fields if f.basis.kind == "CONSENT"))


@dataclass(frozen=True)
class Claim:
    """Values that only one living application may hold, per child; and the output by which one may arrive later."""

    name: str
    size: int
    matter: str | None
    output: str | None


@dataclass(frozen=True)
class LifeEvent:
    """A life event as one city runs it. `expected` is the longest path through the matters' promises.

    `children` is the place of the form's list of newborns, `order` the member that numbers them; `numbers` are the
    places of identity numbers (``*`` for each child).
    """

    code: str
    name: str
    version: int
    digest: str
    promise: timedelta
    expected: timedelta
    longest: tuple[str, ...]
    form_schema: dict[str, Any]
    settings: Mapping[str, str]
    matters: Mapping[str, Matter]
    guide: GuideDefinition
    claims: tuple[Claim, ...]
    parties: PartiesDefinition
    children: tuple[str, ...] | None
    order: str
    numbers: tuple[tuple[str, ...], ...]
    schema: FormSchema = field(repr=False, compare=False)
    error_rules: "FormRules" = field(repr=False, compare=False)
    person_rules: "FormRules" = field(repr=False, compare=False)
    conditions: "Conditions" = field(repr=False, compare=False)
    application_rules: "PersonRules" = field(repr=False, compare=False)
    child_rules: "PersonRules" = field(repr=False, compare=False)
    claim_rules: RuleSet = field(repr=False, compare=False)
    text: str = field(repr=False, compare=False)

    def children_of(self, form: Mapping[str, Any]) -> Mapping[int, Mapping[str, Any]]:
        """The children of a form that `check_form` found right, by their order of birth."""
        part: Any = form
        for step in self.children or ():
            part = part[step]
        return {child[self.order]: child for child in part} if self.children else {}

    def canonical(self) -> str:
        """The text that is stored by `digest`; as text, for the order of its members counts."""
        return self.text

    @classmethod
    def from_canonical(cls, text: str) -> Self:
        """The life event of a stored text. What was checked when it was first loaded is not checked again."""
        content = json.loads(text)
        definition = LifeEventDefinition.model_validate(content["definition"])
        return cls(
            **_parts(definition, content["settings"], allow_fictitious=content["allow_fictitious"]),
            digest=hashlib.sha256(text.encode()).hexdigest(),
            text=text,
        )


@dataclass(frozen=True)
class FormRules:
    """Form rules of one severity with what evaluates them together.

    `each[i]`: the i-th answers with a list, one value per child. `reads[i]`: the places whose values it reads, ``*``
    for each item; `asks[i]`: the places of which it only asks whether they are there.
    """

    definitions: tuple[FormRuleDefinition, ...]
    each: tuple[bool, ...]
    reads: tuple[frozenset[tuple[str, ...]], ...]
    asks: tuple[frozenset[tuple[str, ...]], ...]
    rules: RuleSet


def failing_children(value: Any) -> tuple[int, ...]:
    """The positions of the children for whom a rule does not hold; of a rule without an answer, the first."""
    if not isinstance(value, list):
        return (0,)
    return tuple(position for position, fine in enumerate(value) if fine is not True)


@dataclass(frozen=True)
class PersonRules:
    """The matters' own rules on who must decide: `reasons[i]` is the matter and what the i-th rule says in Chinese.

    They read `fields` by name; a name has the same source in every matter.
    """

    reasons: tuple[tuple[str, str], ...]
    fields: tuple[Field, ...]
    rules: RuleSet


@dataclass(frozen=True)
class Conditions:
    """Which matters an application needs at all and which it says are done: one rule set for all matters.

    `slots` maps a matter to the positions of its rules: those of not_needed, then that of already_done or None.
    """

    slots: Mapping[str, tuple[tuple[int, ...], int | None]]
    rules: RuleSet


def load_life_event(
    path: Path, *, settings_overrides: Mapping[str, str] | None = None, allow_fictitious: bool = False
) -> LifeEvent:
    """The life event of a file, everything checked. Raises `LifeEventError` with every mistake, its line and its fix.

    `allow_fictitious` lets the form name places of region 99; leave it False in production.
    """
    definition, content, lines = _read(path)
    problems, settings = _resolved_settings(definition, settings_overrides or {})
    problems += check_definition(definition, allow_fictitious=allow_fictitious)
    if problems:
        raise LifeEventError.at(path.name, problems, lines)
    canonical = {"definition": content, "settings": settings, "allow_fictitious": allow_fictitious}
    return LifeEvent.from_canonical(json.dumps(canonical, ensure_ascii=False, separators=(",", ":")))


def _read(path: Path) -> tuple[LifeEventDefinition, Any, Lines]:
    try:
        content, lines = read_yaml(path.read_text(encoding="utf-8"))
    except YamlError as error:
        raise LifeEventError([f"{path.name}:{error.line}: {error}; fix: write it as YAML 1.2 does"]) from None
    except UnicodeDecodeError:
        raise LifeEventError([f"{path.name}:1: the file is not UTF-8; fix: save it as UTF-8"]) from None
    try:
        return LifeEventDefinition.model_validate(content), content, lines
    except ValidationError as error:
        raise LifeEventError.at(path.name, shape_problems(error), lines) from None


def _resolved_settings(
    definition: LifeEventDefinition, overrides: Mapping[str, str]
) -> tuple[list[Problem], dict[str, str]]:
    problems = [
        Problem(("settings",), f"there is no setting {name!r} to set", f"use one of {', '.join(definition.settings)}")
        for name in overrides
        if name not in definition.settings
    ]
    settings = {name: overrides.get(name, setting.default) for name, setting in definition.settings.items()}
    problems += [
        Problem(("settings", name), f"{settings[name]!r} is no value of {name}", f"use {setting.permitted}")
        for name, setting in definition.settings.items()
        if not setting.permits(settings[name])
    ]
    return problems, settings


def task_key(matter: str, child: int | None) -> str:
    """A task's name within its application: ``B1`` of the whole, ``B2-1`` of the first child."""
    return matter if child is None else f"{matter}-{child}"


def holds(where: Where, settings: Mapping[str, str]) -> bool:
    """Whether a part that stands under `if` belongs to the life event as this city runs it."""
    return all(settings.get(name) == value for name, value in where.items())


def _parts(definition: LifeEventDefinition, settings: dict[str, str], *, allow_fictitious: bool) -> dict[str, Any]:
    children = definition.form.children
    matters = {
        matter.code: _matter(matter, definition, settings, allow_fictitious=allow_fictitious)
        for matter in definition.matters
        if holds(matter.where, settings)
    }
    minutes, longest = longest_path(
        {code: matter.needs for code, matter in matters.items()},
        {code: int(matter.promise.total_seconds() // 60) for code, matter in matters.items()},
    )
    return {
        "code": definition.code,
        "name": definition.name,
        "version": definition.version,
        "promise": timedelta(minutes=definition.promise.value * _MINUTES[definition.promise.unit]),
        "expected": timedelta(minutes=minutes),
        "longest": longest,
        "form_schema": definition.form.json_schema,
        "settings": settings,
        "matters": matters,
        "guide": definition.guide,
        "claims": tuple(_claim(claim.name, len(claim.values), claim.answer) for claim in definition.claims),
        "parties": definition.parties,
        "children": parse_pointer(children) if children else None,
        "order": definition.form.order or "order",
        "numbers": tuple(
            parse_pointer(place)
            for place in pointers(definition.form.json_schema)
            if place in definition.parties.numbers.values()
            or (schema_at(definition.form.json_schema, parse_pointer(place)) or {}).get("format") == "citizen-id"
        ),
        "schema": FormSchema(definition.form.json_schema, allow_fictitious=allow_fictitious),
        "error_rules": _form_rules(definition, settings, severity="error"),
        "person_rules": _form_rules(definition, settings, severity="person"),
        "conditions": _conditions(definition, list(matters.values()), settings),
        "application_rules": _person_rules(definition, matters, settings, per="application"),
        "child_rules": _person_rules(definition, matters, settings, per="child"),
        "claim_rules": RuleSet(
            (
                _each(f"{claim.when or 'true'} ? [{', '.join(claim.values)}] : []", children)
                for claim in definition.claims
            ),
            settings,
        ),
    }


def _matter(
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
    disclosed = DisclosedField(name=name, source=source, basis=basis)
    if not source.startswith("/"):
        matter, _, output = source.partition(".")
        return Field(name, path=(), of_child=False, matter=matter, output=output, basis=basis, disclosed=disclosed)
    of_child = children is not None and source.startswith(f"{children}/*/")
    path = parse_pointer(source.removeprefix(f"{children}/*") if of_child else source)
    return Field(name, path=path, of_child=of_child, matter=None, output=None, basis=basis, disclosed=disclosed)


def _claim(name: str, size: int, answer: str | None) -> Claim:
    matter, _, output = (answer or "").partition(".")
    return Claim(name=name, size=size, matter=matter or None, output=output or None)


def _each(text: str, children: str | None) -> str:
    return for_each_child(text, children) if children else text


def _form_rules(definition: LifeEventDefinition, settings: Mapping[str, str], *, severity: str) -> FormRules:
    chosen = tuple(rule for rule in definition.rules if rule.severity == severity)
    children = definition.form.children
    each = tuple(children is not None and rule.pointer.startswith(f"{children}/*") for rule in chosen)
    texts = (_each(rule.check, children) if per else rule.check for rule, per in zip(chosen, each, strict=True))
    rules = RuleSet(texts, settings)
    return FormRules(
        definitions=chosen,
        each=each,
        reads=tuple(frozenset(place[1:] for place in rule.reads if place[0] == "form") for rule in rules.rules),
        asks=tuple(frozenset(place[1:] for place in rule.asks if place[0] == "form") for rule in rules.rules),
        rules=rules,
    )


def _conditions(definition: LifeEventDefinition, matters: list[Matter], settings: Mapping[str, str]) -> Conditions:
    texts: list[str] = []
    slots: dict[str, tuple[tuple[int, ...], int | None]] = {}
    for matter in matters:
        first = len(texts)
        texts += [reason.when for reason in matter.not_needed]
        not_needed = tuple(range(first, len(texts)))
        if matter.already_done is not None:
            texts.append(_each(matter.already_done, definition.form.children if matter.per_child else None))
        slots[matter.code] = (not_needed, len(texts) - 1 if matter.already_done is not None else None)
    return Conditions(slots=slots, rules=RuleSet(texts, settings))


def _person_rules(
    definition: LifeEventDefinition, matters: Mapping[str, Matter], settings: Mapping[str, str], *, per: str
) -> PersonRules:
    chosen = [
        (matter.code, rule)
        for matter in definition.matters
        if matter.code in matters and matter.per == per
        for rule in matter.needs_person
    ]
    rules = RuleSet((rule.when for _, rule in chosen), settings)
    read = {place[0] for rule in rules.rules for place in rule.places}
    fields = {f.name: f for code, _ in chosen for f in matters[code].fields if f.name in read and f.matter is None}
    return PersonRules(
        reasons=tuple((code, rule.reason) for code, rule in chosen), fields=tuple(fields.values()), rules=rules
    )
