"""What of an event's value is needed to judge it. Everything else, and all that is personal, is left where it is.

task-requested          matter, attempt
task-received           matter, status
task-answered           matter, outcome, fingerprint of the number that the matter gives ("" if none)
applications-progressed application and version, alternating
application-completed   outcome, number of handlings
checkpoint-signed       size, part, note, and the ids that it covers
document-shown          the disclosure's id
consent-withdrawn       basis, giver
rectification-answered  (nothing: its task is enough)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from yijian_chaos.checker import facts
from yijian_chaos.checker.fingerprints import Fingerprints

Value = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What a value speaks of."""

    application: str = ""
    task: str = ""
    said: tuple[str, ...] = ()


_NOTHING: Final = Told()


def read_value(kind: str, value: Any, prints: Fingerprints) -> Told:
    """What an event of this type says; poison says nothing."""
    if not isinstance(value, dict):
        return _NOTHING
    try:
        said = _answer(value, prints) if kind == facts.TASK_ANSWERED else _SAID.get(kind, _nothing)(value)
    except (KeyError, TypeError, AttributeError):
        return _NOTHING
    if not all(isinstance(text, str) for text in said):
        return _NOTHING
    return Told(str(value.get("application_id") or ""), str(value.get("task_id") or ""), said)


def _nothing(_: Value) -> tuple[str, ...]:
    return ()


def _answer(value: Value, prints: Fingerprints) -> tuple[str, ...]:
    matter = facts.BIRTH.get(value["matter"])
    outputs = (value.get("personal") or {}).get("outputs") or {}
    number = outputs.get(matter.output) if matter is not None and matter.output else None
    return (value["matter"], value["outcome"], prints.of(str(number)) if number is not None else "")


def _moved(value: Value) -> tuple[str, ...]:
    return tuple(part for each in value["moved"] for part in (str(each["application_id"]), str(each["version"])))


_SAID: Final[Mapping[str, Callable[[Value], tuple[str, ...]]]] = {
    facts.TASK_REQUESTED: lambda value: (value["matter"], str(value["attempt"])),
    facts.TASK_RECEIVED: lambda value: (value["matter"], value["status"]),
    facts.PROGRESSED: _moved,
    facts.COMPLETED: lambda value: (value["outcome"], str(len(value.get("handlings", ())))),
    facts.CHECKPOINT_SIGNED: lambda value: (
        str(value["size"]),
        str(value.get("part", 0)),
        value["checkpoint"],
        *value["covered"],
    ),
    facts.SHOWN: lambda value: (value["disclosure_id"],),
    facts.CONSENT_WITHDRAWN: lambda value: (value["basis"], value["giver"]),
}
