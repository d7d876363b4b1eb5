"""Nonsense: what a broken, careless or malicious sender might put on a topic, made of a good record.

None of it is an event of the contracts: that is asked of the decoder before anything is sent, since a record that does
mean something would not be nonsense but a lie.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from yijian_contracts.cloudevents import UndecodableError, decode

from yijian_chaos.faults.tap import Headers, Taken

NOBODY: Final = str(UUID(int=0))
DEEP: Final = 10_000
LARGE: Final = 900_000
"""Almost as large as the broker takes."""

_VALUES: Final[Mapping[str, bytes | None]] = {
    "no value": None,
    "an empty value": b"",
    "not UTF-8": b"\xff\xfe\x00",
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "null": b"null",
    "true": b"true",
    "a number": b"1",
    "a text": b'"text"',
    "a list": b"[]",
    "an empty object": b"{}",
    "an object in a list": b"[{}]",
    "two objects": b"{}{}",
    "XML": b"<task/>",
    "a zip": b"PK\x03\x04" + bytes(60),
    "zeros": bytes(1000),
    "a large one": b"x" * LARGE,
    "a large object": b'{"a": "' + b"x" * LARGE + b'"}',
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "many names": json.dumps({f"name-{number}": number for number in range(10_000)}).encode(),
    "NaN": b'{"application_id": NaN}',
    "Infinity": b'{"application_id": Infinity}',
    "minus Infinity": b'{"application_id": -Infinity}',
    "too large a number": b'{"application_id": 1e999}',
    "2^63": b'{"application_id": 9223372036854775808}',
    "endless digits": b'{"application_id": ' + b"9" * 10_000 + b"}",
    "a name twice": b'{"application_id": "a", "application_id": "b"}',
    "half a character": b'{"application_id": "\\ud800"}',
    "a zero in a text": b'{"application_id": "\\u0000"}',
    "single quotes": b"{'application_id': 1}",
    "a trailing comma": b'{"application_id": 1,}',
    "a comment": b'{"application_id": 1} // yes',
}

_HEADERS: Final[Mapping[str, Mapping[str, bytes | None]]] = {
    "no id": {"ce_id": None},
    "an empty id": {"ce_id": b""},
    "too long an id": {"ce_id": b"i" * 10_000},
    "no source": {"ce_source": None},
    "a source that is not UTF-8": {"ce_source": b"\xff\xfe"},
    "no type": {"ce_type": None},
    "a type that is not UTF-8": {"ce_type": b"\xff\xfe"},
    "an unknown type": {"ce_type": b"gov.city.elsewhere.happened.v1"},
    "a later task request": {"ce_type": b"gov.city.approval.task-requested.v2"},
    "a later answer": {"ce_type": b"gov.city.department.task-answered.v2"},
    "an odd major": {"ce_type": b"gov.city.approval.task-requested.vX"},
    "no version of CloudEvents": {"ce_specversion": None},
    "another CloudEvents": {"ce_specversion": b"0.3"},
    "another subject": {"ce_subject": NOBODY.encode()},
    "no instant": {"ce_time": b"yesterday"},
    "a day that is not": {"ce_time": b"2026-02-30T00:00:00Z"},
    "no zone": {"ce_time": b"2026-11-21T04:00:00"},
    "structured mode without data": {"content-type": b"application/cloudevents+json"},
}


def poison(good: Taken) -> dict[str, Taken]:
    """Records by what is wrong with each; at least sixty of a request or of an answer."""
    kinds = {name: Taken(good.partition, b"poison", value, headers) for name, value, headers in _kinds(good)}
    return {name: record for name, record in kinds.items() if means_nothing(record)}


def means_nothing(record: Taken) -> bool:
    """Whether no reader can make anything of it."""
    try:
        decode(record.headers, record.value)
    except UndecodableError:
        return True
    return False


def _kinds(good: Taken) -> Iterator[tuple[str, bytes | None, Headers]]:
    for name, value in _VALUES.items():
        yield name, value, good.headers
    for name, changes in _HEADERS.items():
        changed = {**dict(good.headers), **changes}
        yield name, good.value, tuple((key, text) for key, text in changed.items() if text is not None)
    yield "no headers", good.value, ()
    data = json.loads(good.value or b"{}")
    yield "truncated", (good.value or b"")[:-7], good.headers
    for place in data:
        for what, wrong in (("nothing", None), ("a list", [[]]), ("an object", {"poison": [True]})):
            yield f"{what} as {place}", _json({**data, place: wrong}), good.headers
        yield f"no {place}", _json({other: value for other, value in data.items() if other != place}), good.headers


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()
