"""The rules of a life event, gathered so that a form is judged by as few evaluations as possible."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from approval.definition import FormRuleDefinition, LifeEventDefinition
from approval.matters import Field, Matter
from approval.rules import RuleSet, for_each_child


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


def build_form_rules(definition: LifeEventDefinition, settings: Mapping[str, str], *, severity: str) -> FormRules:
    chosen = tuple(rule for rule in definition.rules if rule.severity == severity)
    children = definition.form.children
    each = tuple(children is not None and rule.pointer.startswith(f"{children}/*") for rule in chosen)
    texts = (per_child(rule.check, children) if per else rule.check for rule, per in zip(chosen, each, strict=True))
    rules = RuleSet(texts, settings)
    return FormRules(
        definitions=chosen,
        each=each,
        reads=tuple(frozenset(place[1:] for place in rule.reads if place[0] == "form") for rule in rules.rules),
        asks=tuple(frozenset(place[1:] for place in rule.asks if place[0] == "form") for rule in rules.rules),
        rules=rules,
    )


def build_conditions(definition: LifeEventDefinition, matters: list[Matter], settings: Mapping[str, str]) -> Conditions:
    texts: list[str] = []
    slots: dict[str, tuple[tuple[int, ...], int | None]] = {}
    for matter in matters:
        first = len(texts)
        texts += [reason.when for reason in matter.not_needed]
        not_needed = tuple(range(first, len(texts)))
        if matter.already_done is not None:
            texts.append(per_child(matter.already_done, definition.form.children if matter.per_child else None))
        slots[matter.code] = (not_needed, len(texts) - 1 if matter.already_done is not None else None)
    return Conditions(slots=slots, rules=RuleSet(texts, settings))


def build_person_rules(
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


def per_child(text: str, children: str | None) -> str:
    """The rule once for each child of the form, where it has children."""
    return for_each_child(text, children) if children else text
