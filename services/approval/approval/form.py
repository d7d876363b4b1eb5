"""A filled-in form: brought into one shape, and checked with everything that is wrong said at once, in Chinese."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from approval.form_schema import Path, pointer
from approval.life_event import LifeEvent
from approval.life_event_rules import FormRules, failing_children

MAX_ERRORS = 100


@dataclass(frozen=True)
class FormError:
    """One mistake: where (JSON Pointer), what to tell the resident, which validation says so (``V1``, ``FORM``…)."""

    pointer: str
    message: str
    rule: str


def normalise_form(life_event: LifeEvent, form: Any) -> Any:
    """The same form with identity numbers in upper case, so that one person has one number. Takes any JSON value."""
    if all(_upper(form, path, change=False) for path in life_event.numbers):
        return form
    changed = deepcopy(form)
    for path in life_event.numbers:
        _upper(changed, path, change=True)
    return changed


def _upper(part: Any, path: tuple[str, ...], *, change: bool) -> bool:
    """Whether the texts at `path` are upper-case already; made so where `change`."""
    step, rest = path[0], path[1:]
    if step == "*":
        items = part if isinstance(part, list) else []
        return min((_upper(item, rest, change=change) for item in items), default=True)
    if not isinstance(part, dict) or step not in part:
        return True
    if rest:
        return _upper(part[step], rest, change=change)
    text = part[step]
    if not isinstance(text, str) or text == text.upper():
        return True
    if change:
        part[step] = text.upper()
    return False


def check_form(life_event: LifeEvent, form: Any, *, now: datetime) -> list[FormError]:
    """Everything that is wrong with a form, at most `MAX_ERRORS`; empty when it may be submitted.

    `form` is any JSON value. `now` is an instant with a zone: that of submitting, also for a later correction.
    """
    if not _is_text_throughout(form):
        return [FormError("", "表单含有无法识别的字符，请重新填写", "FORM")]
    mistakes = list(dict.fromkeys(life_event.schema.mistakes(form)))
    errors = [FormError(pointer(path), message, rule) for path, message, rule in mistakes]
    if isinstance(form, dict):
        errors += _broken_rules(life_event, form, now=now, unreadable=[path for path, _, _ in mistakes if path])
    return list(dict.fromkeys(errors))[:MAX_ERRORS]


def _is_text_throughout(form: Any) -> bool:
    # JSON can escape half a surrogate pair; no database and no other language would take it.
    try:
        msgspec.json.encode(form)
    except (UnicodeEncodeError, OverflowError, RecursionError):
        return False
    return True


def _broken_rules(
    life_event: LifeEvent, form: Mapping[str, Any], *, now: datetime, unreadable: list[Path]
) -> Iterator[FormError]:
    rules = life_event.error_rules
    values = rules.rules.evaluate({"form": form, "now": now})
    for index, (definition, value) in enumerate(zip(rules.definitions, values, strict=True)):
        if unreadable and _reads_any(rules, index, unreadable):
            continue
        if not rules.each[index]:
            places = [] if value is True else [definition.pointer]
        else:
            places = [definition.pointer.replace("*", str(child)) for child in failing_children(value)]
        for place in places:
            yield FormError(place, definition.message, definition.rule)


def _reads_any(rules: FormRules, index: int, unreadable: list[Path]) -> bool:
    """Whether the rule reads something that the schema found wrong, and so cannot judge."""
    return any(
        any(_overlap(place, path) for place in rules.reads[index])
        or any(len(path) <= len(place) and _overlap(place, path) for place in rules.asks[index])
        for path in unreadable
    )


def _overlap(read: tuple[str, ...], path: Path) -> bool:
    return all(step == "*" or isinstance(other, int) or step == other for step, other in zip(read, path, strict=False))
