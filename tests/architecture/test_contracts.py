"""The contracts are what the docs say, and they round-trip in both modes."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yijian_contracts import cloudevents, derived_ids, generate, strict_json
from yijian_contracts.cloudevents import UndecodableError, decode, encode
from yijian_contracts.events import (
    EVENTS,
    Event,
    TaskAnswered,
    TaskFields,
    TaskRequested,
)
from yijian_contracts.topics import topics

DOCS = Path(__file__).parents[2] / "docs"
ID = UUID("01930000-0000-7000-8000-000000000001")
NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)


def requested(**changes: Any) -> TaskRequested:
    fields: dict[str, Any] = {
        "application_id": ID,
        "department": "health",
        "task_id": derived_ids.task_id(ID, child=1, matter="B2", attempt=1),
        "matter": "B2",
        "life_event": "birth",
        "child": 1,
        "attempt": 1,
        "requested_at": NOON,
        "personal": TaskFields(fields={"mother_name": "王秀英"}),
    }
    return TaskRequested.model_validate(fields | changes)


def as_record(event: Event) -> tuple[list[tuple[str, bytes]], bytes]:
    encoded = encode(event, source="approval", time=NOON)
    return [(name, text.encode()) for name, text in encoded.headers.items()], encoded.value


def test_the_docs_are_what_the_contracts_generate(tmp_path: Path):
    generate.write(tmp_path)
    fresh = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path: (DOCS / path).read_text() if (DOCS / path).exists() else None for path in fresh}
    assert kept == fresh, "run `make contracts`, and say in CHANGELOG what changed"
    stale = {path.name for path in (DOCS / "contracts" / "schemas").glob("*.json")}
    assert stale == {f"{event.full_type()}.json" for event in EVENTS}


def test_every_event_has_one_type_and_travels_on_a_topic_of_the_catalogue():
    types = [event.full_type() for event in EVENTS]
    assert len(set(types)) == len(types)
    travelling = {event for topic in topics() for event in generate.events_of(topic)}
    assert travelling == set(EVENTS)
    assert requested().topic in {topic.name for topic in topics()}


def test_personal_data_stands_in_a_part_of_its_own():
    for topic in topics():
        if not topic.personal:
            assert not any("personal" in event.model_fields for event in generate.events_of(topic)), topic.name


def test_an_event_reads_as_it_was_written_in_binary_mode():
    headers, value = as_record(requested())
    event = decode(headers, value)
    assert event.data == requested()
    assert (event.id, event.source, event.time) == (str(requested().event_id), "/approval", NOON)
    assert dict(headers)["ce_subject"] == str(ID).encode()


def test_an_event_reads_as_it_was_written_in_structured_mode():
    headers, value = as_record(requested())
    attributes = {name.removeprefix("ce_"): text.decode() for name, text in headers if name.startswith("ce_")}
    envelope = json.dumps({**attributes, "data": json.loads(value)}).encode()
    event = decode([("content-type", b"application/cloudevents+json; charset=utf-8")], envelope)
    assert event.data == requested()


def test_the_same_work_always_has_the_same_ids():
    assert requested().event_id == requested(requested_at=datetime.now(UTC)).event_id
    assert requested().event_id != requested(task_id=UUID(int=1)).event_id
    ids = {
        derived_ids.task_id(ID, child=child, matter=matter, attempt=attempt)
        for child in (None, 1, 2)
        for matter in ("B1", "B2")
        for attempt in (1, 2)
    }
    assert len(ids) == 12


def test_what_is_kept_for_ever_begins_like_its_application():
    application = UUID("0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b")
    task = derived_ids.task_id(application, child=1, matter="B2", attempt=1)
    assert task == UUID("0193a1d9-6a70-8eb0-9462-ab636480f7ba")
    for derived in (
        task,
        derived_ids.consent_id(application, basis="civil-status", giver="FATHER"),
        derived_ids.document_id(task, kind="birth-certificate"),
    ):
        assert (derived.bytes[:3], derived.version, derived.variant) == (application.bytes[:3], 8, RFC_4122)


def test_which_tasks_are_of_one_application_cannot_be_seen():
    """Ids of tasks stand in the public ledger; of an application they share what all of some hours share."""
    one, other = UUID("01a22a00-0000-7000-8000-000000000001"), UUID("01a22aff-ffff-7000-8000-000000000002")
    ids = [derived_ids.task_id(of, child=1, matter=matter, attempt=1) for of in (one, other) for matter in ("B1", "B2")]
    assert {each.bytes[:3] for each in ids} == {one.bytes[:3]} == {other.bytes[:3]}
    assert len({each.bytes[3:6] for each in ids}) == 4


def test_unknown_fields_are_ignored_and_not_kept():
    headers, value = as_record(requested())
    extended = json.dumps({**json.loads(value), "surprise": "值"}).encode()
    assert "surprise" not in decode(headers, extended).data.model_dump()


POISON: dict[str, tuple[dict[str, bytes | None], bytes | None]] = {
    "no value": ({}, None),
    "not UTF-8": ({}, b"\xff\xfe"),
    "truncated": ({}, b'{"application_id": "0193'),
    "a list": ({}, b"[]"),
    "a name twice": ({}, b'{"a": 1, "a": 2}'),
    "NaN": ({}, b'{"a": NaN}'),
    "Infinity": ({}, b'{"a": -Infinity}'),
    "deep": ({}, b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
    "endless digits": ({}, b'{"a": ' + b"9" * 5000 + b"}"),
    "no type": ({"ce_type": None}, b"{}"),
    "no id": ({"ce_id": None}, b"{}"),
    "no version": ({"ce_specversion": None}, b"{}"),
    "another CloudEvents": ({"ce_specversion": b"0.3"}, b"{}"),
    "unknown type": ({"ce_type": b"gov.city.elsewhere.happened.v1"}, b"{}"),
    "future major": ({"ce_type": b"gov.city.approval.task-requested.v2"}, b"{}"),
    "odd major": ({"ce_type": b"gov.city.approval.task-requested.vX"}, b"{}"),
    "header not UTF-8": ({"ce_source": b"\xff"}, b"{}"),
    "time without zone": ({"ce_time": b"2026-11-21T04:00:00"}, None),
    "no time at all": ({"ce_time": b"yesterday"}, None),
    "another subject": ({"ce_subject": b"somebody else"}, None),
    "structured without data": ({"content-type": b"application/cloudevents+json"}, b'{"id": "1"}'),
}


@pytest.mark.parametrize("name", POISON)
def test_poison_is_refused_with_a_reason_that_repeats_nothing(name: str):
    headers, value = as_record(requested())
    changes, bad = POISON[name]
    changed = {**dict(headers), **changes}
    kept = [(key, text) for key, text in changed.items() if text is not None]
    with pytest.raises(UndecodableError) as refusal:
        decode(kept, bad if bad is not None or name == "no value" else value)
    assert "王秀英" not in str(refusal.value)
    assert len(str(refusal.value)) < 400


WRONG = {
    "application_id": "not a uuid",
    "department": "../../etc",
    "attempt": 0,
    "child": 10**30,
    "requested_at": "2026-02-30T00:00:00Z",
    "mode": "MAYBE",
    "personal": "王秀英 990101199202290029",
}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_field_is_named_and_its_value_is_not(field: str):
    headers, value = as_record(requested())
    wrong = json.dumps({**json.loads(value), field: WRONG[field]}).encode()
    with pytest.raises(UndecodableError, match=field) as refusal:
        decode(headers, wrong)
    assert "990101199202290029" not in str(refusal.value)


@given(st.binary(max_size=300))
def test_no_bytes_whatever_are_more_than_refused(raw: bytes):
    headers, _ = as_record(requested())
    with pytest.raises(UndecodableError):
        decode(headers, raw)


STORABLE = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | STORABLE,
        st.lists,
        max_leaves=20,
    )
)
def test_strict_json_reads_what_json_writes(content: Any):
    assert strict_json.parse(json.dumps(content).encode()) == content
    compact = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    assert repr(strict_json.parse(compact.encode())) == repr(content)


@pytest.mark.parametrize("space", ["", " "])
def test_a_name_that_stands_twice_is_refused_wherever_it_stands(space: str):
    for twice in ('{"a":1,"a":2}', '[{"a":{},"b":{"c":1,"c":1}}]', '{"a":"a","\\u0061":1}'):
        with pytest.raises(strict_json.InvalidJsonError, match="twice"):
            strict_json.parse((space + twice).encode())


@pytest.mark.parametrize("text", ["NaN", "[-Infinity]", "1e400", "9" * 5000, "[1]]", "", "{'a':1}"])
def test_what_python_would_let_pass_is_refused(text: str):
    with pytest.raises(strict_json.InvalidJsonError):
        strict_json.parse(text.encode())


@given(st.text(min_size=1), st.sampled_from(["\x00", "\ud800", "\udfff"]))
def test_what_no_table_can_store_is_refused(text: str, odd: str):
    for content in (text + odd, {text + odd: 1}, [[text, odd]]):
        with pytest.raises(strict_json.InvalidJsonError):
            strict_json.parse(json.dumps(content).encode())


def test_many_brackets_are_not_depth():
    wide = json.dumps([{"[": "{"} for _ in range(500)]).encode()
    assert len(strict_json.parse(wide)) == 500
    assert len(strict_json.parse(wide.replace(b" ", b""))) == 500


def test_brackets_in_texts_hide_no_depth():
    for closing in ("]", '\\"]', "}{]"):
        for depth, fits in ((strict_json.MAX_DEPTH, True), (strict_json.MAX_DEPTH + 1, False)):
            deep = (f'["{closing}",' * depth + "1" + "]" * depth).encode()
            if fits:
                assert strict_json.parse(deep) == json.loads(deep)
            else:
                with pytest.raises(strict_json.InvalidJsonError, match="deeper"):
                    strict_json.parse(deep)


def test_an_answer_of_another_language_may_use_its_own_event_id():
    answer = TaskAnswered(
        application_id=ID, department="health", task_id=UUID(int=7), matter="B2", outcome="APPROVED", decided_at=NOON
    )
    headers, value = as_record(answer)
    event = decode([*[h for h in headers if h[0] != "ce_id"], ("ce_id", b"java-00001")], value)
    assert event.id == "java-00001"
    assert cloudevents.JSON == "application/json"
