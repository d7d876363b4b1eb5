"""A dead letter as an operator sees it: its shape always, personal values only when they are revealed.

A letter is there because it does not fit, so nothing in it can be trusted to stand where the contract says. Shown is
what has the form of something that is never personal (ids, instants, event types, words of our own vocabulary); every
other value is hidden, and so is every name that is not one that a program would give to a field.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from yijian_contracts.departments import departments
from yijian_contracts.strict_json import InvalidJsonError, parse
from yijian_messaging.record import Record
from yijian_messaging.store import DeadLetter

HIDDEN = "****"
_FIELD_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_HARMLESS = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # an id
    r"|20\d\d-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)"  # an instant of our time
    r"|gov\.city\.[a-z.-]+\.v\d+"  # an event type
    r"|/(approval|identity|department\.[a-z-]+)"  # a sender
    r"|[A-Z]{3,12}(_[A-Z]{2,12})*"  # a state, an outcome, a mode
    r"|[A-C]\d(-rekey)?(-\d)?"  # a matter or a task
    r"|application/[a-z+-]+"
    r"|1\.0"
    r"|00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]"  # a trace
)
_COUNTERS = {"child", "attempt", "version", "children"}


def value_text(record: Record, *, reveal: bool = False) -> str:
    """The value as text: indented JSON, masked unless revealed."""
    if record.value is None:
        return "(no value)"
    try:
        content = parse(record.value)
    except InvalidJsonError as error:
        if reveal:
            return record.value.decode("utf-8", "backslashreplace")
        return f"({len(record.value)} bytes that are not JSON: {error})"
    return json.dumps(content if reveal else masked(content), ensure_ascii=False, indent=2)


def header_texts(record: Record, *, reveal: bool = False) -> Iterator[tuple[str, str]]:
    """The headers, and the key under the name `key`; masked unless revealed."""
    key = [("key", record.key)] if record.key is not None else []
    for name, raw in (*key, *record.headers):
        text = raw.decode("utf-8", "backslashreplace")
        shown_name = name if reveal or _FIELD_NAME.fullmatch(name.replace("-", "_")) else HIDDEN
        yield shown_name, text if reveal else str(masked(text))


def masked(value: Any, name: str = "") -> Any:
    """`value` of the field `name` with everything hidden that may be personal."""
    match value:
        case dict():
            return {
                key if _FIELD_NAME.fullmatch(key) else f"{HIDDEN} ({position})": masked(member, key)
                for position, (key, member) in enumerate(value.items(), start=1)
            }
        case list():
            return [masked(item, name) for item in value]
        case str() if _HARMLESS.fullmatch(value) or value in departments():
            return value
        case bool() | None:
            return value
        case int() if name in _COUNTERS and abs(value) < 10_000:
            return value
        case _:
            return HIDDEN


def as_json(letter: DeadLetter, *, value: str | None = None, reveal: bool = False) -> Mapping[str, Any]:
    """A letter for a machine; with `value` its content too."""
    described = {
        "id": letter.id,
        "kind": letter.kind,
        "state": letter.state,
        "consumer": letter.consumer,
        "topic": letter.record.topic,
        "partition": letter.record.partition,
        "offset": letter.record.offset,
        "error": letter.error,
        "note": letter.note,
        "created_at": letter.created_at.isoformat(),
    }
    if value is None:
        return described
    return {**described, "headers": list(header_texts(letter.record, reveal=reveal)), "value": value}
