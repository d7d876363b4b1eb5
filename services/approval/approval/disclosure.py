"""What goes to a department and what may come back: exactly what the matter declares, in both directions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue
from yijian_contracts.events import AnswerParts, Outcome, TaskAnswered

from approval.claims import applicant_role
from approval.form_schema import parse_pointer, pointer
from approval.life_event import Field, LifeEvent, Matter, task_key
from approval.matters import Disclosed

Outputs = Mapping[str, Mapping[str, JsonValue]]
"""The outputs of granted tasks by task key (``B2-1``)."""


@dataclass(frozen=True)
class Disclosure:
    """The fields that a task carries, by name, and where each came from on which basis."""

    fields: dict[str, JsonValue]
    disclosed: Disclosed


def disclose(
    life_event: LifeEvent, matter: str, child: int | None, form: Mapping[str, Any], outputs: Outputs
) -> Disclosure:
    """The fields of one task. What the form leaves out, or no task returned, is neither sent nor disclosed.

    A matter of the whole application that reads an output of each child gets a list in order of birth.
    """
    children = life_event.children_of(form)
    part = children[child] if child is not None else {}
    declared = life_event.matters[matter]
    fields: dict[str, JsonValue] = {}
    for field in declared.fields:
        if field.matter is None:
            value = field.value_in(part if field.of_child else form)
        else:
            value = _output(life_event, field, child, tuple(children), outputs)
        if value is not None:
            fields[field.name] = value
    return Disclosure(fields, declared.disclosed(tuple(fields), applicant_role(life_event, form)))


def _output(
    life_event: LifeEvent, field: Field, child: int | None, children: tuple[int, ...], outputs: Outputs
) -> JsonValue:
    matter, output = str(field.matter), str(field.output)
    if not life_event.matters[matter].per_child:
        return outputs.get(matter, {}).get(output)
    if child is not None:
        return outputs.get(task_key(matter, child), {}).get(output)
    values = [outputs.get(task_key(matter, order), {}).get(output) for order in children]
    known: list[JsonValue] = [value for value in values if value is not None]
    return known or None


def check_answer(life_event: LifeEvent, matter: str, answer: TaskAnswered) -> str | None:
    """A sentence when an answer is not what its matter declares, without repeating a value; None when it fits.

    APPROVED brings every output and every document; PROVEN every output (its documents were issued before); RETURNED
    names fields that the matter receives, each as in `correctable` or a part of it; no other outcome brings anything.
    """
    declared = life_event.matters[matter]
    granted = answer.outcome in (Outcome.APPROVED, Outcome.PROVEN)
    if not granted and (answer.personal.outputs or answer.personal.documents):
        return f"{matter}: the outcome {answer.outcome} brings no outputs and no documents"
    if granted:
        return _wrong_output(declared, answer.personal) or _wrong_document(declared, answer)
    return _wrong_correction(life_event, declared, answer)


def _wrong_output(declared: Matter, given: AnswerParts) -> str | None:
    for path, _, _ in declared.outputs.mistakes(given.outputs):
        if path and path[0] in declared.returns:
            return f"{declared.code}: the output {path[0]} is missing or wrong"
        return f"{declared.code}: an output is not declared"
    return None


def _wrong_document(declared: Matter, answer: TaskAnswered) -> str | None:
    if answer.corrections:
        return f"{declared.code}: the outcome {answer.outcome} asks for no corrections"
    kinds = [document.kind for document in answer.personal.documents]
    known = [document.code for document in declared.documents]
    if len(set(kinds)) != len(kinds) or not set(kinds) <= set(known):
        return f"{declared.code}: a document is not declared or is there twice"
    if answer.outcome is Outcome.APPROVED and set(kinds) != set(known):
        return f"{declared.code}: the document {next(kind for kind in known if kind not in kinds)} is missing"
    return None


def _wrong_correction(life_event: LifeEvent, declared: Matter, answer: TaskAnswered) -> str | None:
    if answer.outcome is not Outcome.RETURNED:
        return f"{declared.code}: the outcome {answer.outcome} asks for no corrections" if answer.corrections else None
    if not answer.corrections:
        return f"{declared.code}: returned for correction without naming a field"
    allowed = _correctable_paths(life_event, declared, "*")
    if all(any(_fits(parse_pointer(c.pointer), path) for path in allowed) for c in answer.corrections):
        return None
    return f"{declared.code}: returned for correction of a field that the matter does not receive"


def correctable(life_event: LifeEvent, matter: str, child: int | None = None) -> frozenset[str]:
    """The form pointers that the department of this task may ask the applicant to correct: the fields it receives.

    Children stand in the form in order of birth (V13), so the first is at index 0.
    """
    index = "*" if child is None else str(child - 1)
    return frozenset(pointer(path) for path in _correctable_paths(life_event, life_event.matters[matter], index))


def _correctable_paths(life_event: LifeEvent, matter: Matter, index: str) -> list[tuple[str, ...]]:
    child = (*(life_event.children or ()), index)
    return [(*child, *f.path) if f.of_child else f.path for f in matter.fields if f.matter is None]


def _fits(asked: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Whether what is asked for is the field at `path` or a part of it."""
    return len(asked) >= len(path) and all(
        step == wanted or (wanted == "*" and step.isdecimal()) for step, wanted in zip(asked, path, strict=False)
    )
