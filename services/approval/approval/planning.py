"""From a form to the tasks of its departments: a pure function of both, so that a plan never changes later."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yijian_contracts.events import TaskMode

from approval.life_event import LifeEvent, Matter, task_key
from approval.life_event_rules import Conditions, FormRules, PersonRules, failing_children

__all__ = ["Need", "PlannedTask", "plan", "task_key"]

UNJUDGED = "系统无法自动核对，由工作人员核对"


@dataclass(frozen=True)
class Need:
    """What a task waits for. `any` False: every task must be granted, otherwise this one is blocked.

    `any` True: wait until all of them have ended, then at least one must be granted. A task that was not needed counts
    as granted in both.
    """

    tasks: tuple[str, ...]
    any: bool


@dataclass(frozen=True)
class PlannedTask:
    """One task: `key` is unique in the application (``B1``, ``B2-1`` of the first child, ``B5-rekey-2``).

    `needs_person` holds the reasons why no program may decide it; `not_needed` why the matter does not apply at all.
    `consents` are the bases of consent that its fields rest on.
    """

    key: str
    matter: str
    child: int | None
    department: str
    needs: tuple[Need, ...]
    mode: TaskMode
    needs_person: tuple[str, ...]
    not_needed: str | None
    consents: tuple[str, ...] = ()


def plan(life_event: LifeEvent, form: Mapping[str, Any]) -> tuple[PlannedTask, ...]:
    """The tasks of a form in which `check_form` found nothing wrong, in the order of the life event's matters."""
    children = life_event.children_of(form)
    judged = _Judged(
        form=form,
        children=children,
        positions={order: position for position, order in enumerate(children)},
        conditions=life_event.conditions,
        values=life_event.conditions.rules.evaluate({"form": form}),
        doubts=_doubts(life_event.person_rules, form),
        reasons={
            None: _own_reasons(life_event.application_rules, form, {}),
            **{order: _own_reasons(life_event.child_rules, form, child) for order, child in children.items()},
        },
    )
    return tuple(
        _task(life_event, matter, child, judged)
        for matter in life_event.matters.values()
        for child in (children if matter.per_child else (None,))
    )


@dataclass(frozen=True)
class _Doubt:
    """A form rule that asks for a person: at these matters, for the child at this position or for all."""

    matters: tuple[str, ...]
    position: int | None
    reason: str


@dataclass(frozen=True)
class _Judged:
    """A form with everything that the rules say about it."""

    form: Mapping[str, Any]
    children: Mapping[int, Mapping[str, Any]]
    positions: Mapping[int, int]
    conditions: Conditions
    values: list[Any]
    doubts: list[_Doubt]
    reasons: Mapping[int | None, list[tuple[str, str]]]


def _task(life_event: LifeEvent, matter: Matter, child: int | None, judged: _Judged) -> PlannedTask:
    not_needed = _not_needed(matter, judged)
    prove = not_needed is None and _already_done(matter, child, judged)
    return PlannedTask(
        key=task_key(matter.code, child),
        matter=matter.code,
        child=child,
        department=matter.department,
        needs=tuple(_need(life_event.matters[needed], child, judged) for needed in matter.needs),
        mode=TaskMode.PROVE if prove else TaskMode.DECIDE,
        needs_person=() if prove or not_needed is not None else _reasons(matter, child, judged),
        not_needed=not_needed,
        consents=()
        if not_needed is not None
        else _consents(matter, judged.form, {} if child is None else judged.children[child]),
    )


def _consents(matter: Matter, form: Mapping[str, Any], child: Mapping[str, Any]) -> tuple[str, ...]:
    """What the fields that are filled in rest on; what the form leaves out is not sent and asks for no consent."""
    given = (
        field.consent
        for field in matter.consented
        if field.matter is not None or field.value_in(child if field.of_child else form) is not None
    )
    return tuple(dict.fromkeys(code for code in given if code is not None))


def _need(needed: Matter, child: int | None, judged: _Judged) -> Need:
    if not needed.per_child:
        return Need((needed.code,), any=False)
    if child is not None:
        return Need((task_key(needed.code, child),), any=False)
    return Need(tuple(task_key(needed.code, order) for order in judged.children), any=True)


def _not_needed(matter: Matter, judged: _Judged) -> str | None:
    slots = judged.conditions.slots[matter.code][0]
    reasons = (rule.reason for rule, slot in zip(matter.not_needed, slots, strict=True) if judged.values[slot] is True)
    return next(reasons, None)


def _already_done(matter: Matter, child: int | None, judged: _Judged) -> bool:
    slot = judged.conditions.slots[matter.code][1]
    if slot is None:
        return False
    value = judged.values[slot]
    if child is not None:
        value = isinstance(value, list) and value[judged.positions[child]]
    return value is True


def _reasons(matter: Matter, child: int | None, judged: _Judged) -> tuple[str, ...]:
    """Why a person must decide: the matter's own rules over its fields first, then doubts about the form."""
    reasons = [reason for code, reason in judged.reasons[child] if code == matter.code]
    position = judged.positions[child] if child is not None else None
    reasons += [
        doubt.reason
        for doubt in judged.doubts
        if matter.code in doubt.matters and (None in (position, doubt.position) or position == doubt.position)
    ]
    return tuple(dict.fromkeys(reasons))


def _own_reasons(rules: PersonRules, form: Mapping[str, Any], child: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(matter, reason) of every matter's rule that asks for a person, from the fields that the matters receive."""
    values = rules.rules.evaluate({f.name: f.value_in(child if f.of_child else form) for f in rules.fields})
    return [
        (matter, reason if value is True else f"{UNJUDGED}：{reason}")
        for (matter, reason), value in zip(rules.reasons, values, strict=True)
        if value is not False
    ]


def _doubts(rules: FormRules, form: Mapping[str, Any]) -> list[_Doubt]:
    doubts = []
    values = rules.rules.evaluate({"form": form})
    for index, (definition, value) in enumerate(zip(rules.definitions, values, strict=True)):
        if value is True:
            continue
        positions = failing_children(value) if rules.each[index] else (None,)
        doubts += [_Doubt(definition.matters, position, definition.message) for position in positions]
    return doubts
