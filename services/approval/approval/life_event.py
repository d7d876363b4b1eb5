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

from approval.checked import Problem
from approval.consents import Consentable, build_consents
from approval.definition import GuideDefinition, LifeEventDefinition, PartiesDefinition
from approval.form_schema import FormSchema, parse_pointer, pointers, schema_at
from approval.graph import longest_path
from approval.life_event_checks import LifeEventError, check_definition, shape_problems
from approval.life_event_rules import (
    Conditions,
    FormRules,
    PersonRules,
    build_conditions,
    build_form_rules,
    build_person_rules,
    per_child,
)
from approval.matters import Field, Matter, build_matter, holds, task_key
from approval.rules import RuleSet
from approval.yaml_lines import Lines, YamlError, read_yaml

__all__ = ["Claim", "Field", "LifeEvent", "Matter", "load_life_event", "task_key"]


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

    `children` is the place of the form's list of newborns, `order` the member that numbers them; `agreed` is that of
    the list of what the applicant agrees to; `numbers` are the places of identity numbers (``*`` for each child).
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
    consents: Mapping[str, Consentable]
    guide: GuideDefinition
    claims: tuple[Claim, ...]
    parties: PartiesDefinition
    children: tuple[str, ...] | None
    order: str
    agreed: tuple[str, ...]
    numbers: tuple[tuple[str, ...], ...]
    schema: FormSchema = field(repr=False, compare=False)
    error_rules: FormRules = field(repr=False, compare=False)
    person_rules: FormRules = field(repr=False, compare=False)
    conditions: Conditions = field(repr=False, compare=False)
    application_rules: PersonRules = field(repr=False, compare=False)
    child_rules: PersonRules = field(repr=False, compare=False)
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


def load_life_event(
    path: Path, *, settings_overrides: Mapping[str, str] | None = None, allow_fictitious: bool = False
) -> LifeEvent:
    """The life event of a file, everything checked. Raises `LifeEventError` with every mistake, its line and its fix.

    `allow_fictitious` lets the form name places of region 99; leave it False in production.
    """
    definition, content, lines = _read(path)
    problems, settings = _resolved_settings(definition, settings_overrides or {})
    problems += check_definition(definition)
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


def _parts(definition: LifeEventDefinition, settings: dict[str, str], *, allow_fictitious: bool) -> dict[str, Any]:
    children = definition.form.children
    matters = {
        matter.code: build_matter(matter, definition, settings, allow_fictitious=allow_fictitious)
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
        "promise": timedelta(minutes=definition.promise.minutes),
        "expected": timedelta(minutes=minutes),
        "longest": longest,
        "form_schema": definition.form.json_schema,
        "settings": settings,
        "matters": matters,
        "consents": build_consents(definition, matters.values()),
        "guide": definition.guide,
        "claims": tuple(_claim(claim.name, len(claim.values), claim.answer) for claim in definition.claims),
        "parties": definition.parties,
        "children": parse_pointer(children) if children else None,
        "order": definition.form.order or "order",
        "agreed": parse_pointer(definition.form.consents or ""),
        "numbers": tuple(
            parse_pointer(place)
            for place in pointers(definition.form.json_schema)
            if place in definition.parties.numbers.values()
            or (schema_at(definition.form.json_schema, parse_pointer(place)) or {}).get("format") == "citizen-id"
        ),
        "schema": FormSchema(definition.form.json_schema, allow_fictitious=allow_fictitious),
        "error_rules": build_form_rules(definition, settings, severity="error"),
        "person_rules": build_form_rules(definition, settings, severity="person"),
        "conditions": build_conditions(definition, list(matters.values()), settings),
        "application_rules": build_person_rules(definition, matters, settings, per="application"),
        "child_rules": build_person_rules(definition, matters, settings, per="child"),
        "claim_rules": RuleSet(
            (
                per_child(f"{claim.when or 'true'} ? [{', '.join(claim.values)}] : []", children)
                for claim in definition.claims
            ),
            settings,
        ),
    }


def _claim(name: str, size: int, answer: str | None) -> Claim:
    matter, _, output = (answer or "").partition(".")
    return Claim(name=name, size=size, matter=matter or None, output=output or None)
