"""Reading: what a run wrote down, what a value says, and looking for what may stand nowhere."""

import json
from pathlib import Path
from uuid import UUID

from yijian_chaos.checker import facts
from yijian_chaos.checker.event_values import read_value
from yijian_chaos.checker.fingerprints import Fingerprints
from yijian_chaos.checker.history import read_history
from yijian_chaos.checker.probe_access import count_refusals
from yijian_chaos.checker.search_canaries import search, search_texts
from yijian_chaos.checker.snapshot import Leak
from yijian_contracts import derived_ids
from yijian_contracts.events import TaskRequested

APPLICATION = "01a1fde3-1cc5-7c8c-994e-269c7a846fba"


def write(path: Path, *lines: object) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_an_attempt_is_two_lines_and_one_without_an_answer_is_open(tmp_path: Path):
    write(
        tmp_path / "history.jsonl",
        {"op": 1, "phase": "invoke", "kind": "submit", "key": "k", "actor": "m"},
        {"op": 2, "phase": "invoke", "kind": "query", "key": None, "actor": "m", "application": APPLICATION},
        {"op": 1, "phase": "ok", "status": 202, "application": APPLICATION, "version": None, "state": "IN_PROGRESS"},
    )
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"op": 2, "phase": "ok", "sta')
    submitted, looked = read_history(tmp_path).attempts
    assert (submitted.began, submitted.ended, submitted.phase, submitted.application) == (0, 2, "ok", APPLICATION)
    # Its answer was cut off with the run: nobody heard it.
    assert (looked.phase, looked.application) == ("", APPLICATION)
    assert looked.ended > submitted.ended


def test_what_a_fault_put_on_a_topic_is_known_by_its_place(tmp_path: Path):
    place = {"topic": "department.health.results", "partition": 3, "offset": 17, "kind": "poison"}
    write(
        tmp_path / "timeline.jsonl", {"at": 1.0, "fault": "poison", "event": "inject", "detail": {"records": [place]}}
    )
    assert read_history(tmp_path).injected == {("department.health.results", 3, 17): "poison"}
    assert read_history(tmp_path).attempts == ()


def test_of_an_answer_its_number_is_kept_as_a_fingerprint_alone():
    value = {
        "application_id": APPLICATION,
        "task_id": "t",
        "matter": "B4",
        "outcome": "APPROVED",
        "personal": {"outputs": {"citizen_id_no": "990101202611010018", "household_no": "1"}},
    }
    prints = Fingerprints()
    told = read_value(facts.TASK_ANSWERED, value, prints)
    assert (told.application, told.task, told.said[:2]) == (APPLICATION, "t", ("B4", "APPROVED"))
    assert told.said[2] == prints.of("990101202611010018")
    assert told.said[2] != Fingerprints().of("990101202611010018")
    assert "990101" not in str(told)


def test_poison_says_nothing():
    for value in (None, [], "text", {}, {"application_id": 5, "matter": None}):
        assert read_value(facts.TASK_ANSWERED, value, Fingerprints()).said == ()
    assert read_value("unreadable", {"application_id": APPLICATION}, Fingerprints()).said == ()


def test_a_canary_is_found_as_it_is_and_as_json_writes_it(tmp_path: Path):
    canaries = ("张小满", "990101199001010011")
    (tmp_path / "clear.log").write_text("for 张小满 nothing\n", encoding="utf-8")
    (tmp_path / "escaped.log").write_text(json.dumps({"name": "张小满"}) + "\n", encoding="utf-8")
    (tmp_path / "clean.log").write_bytes(b"\x00\xff 99010119900101001\n")
    places = {path.name: path for path in tmp_path.iterdir()}
    assert search(canaries, places) == [Leak("clear.log", 0), Leak("escaped.log", 0)]


def test_texts_of_tables_are_searched_by_their_place():
    texts = {"topics": [b"a key", b"990101199001010011"], "approval.incident": [b"nobody"]}
    leaks, sizes = search_texts(("990101199001010011",), texts)
    assert leaks == [Leak("topics", 0)]
    assert sizes == {"topics": 25, "approval.incident": 7}


def test_the_brokers_log_tells_how_often_a_department_was_refused(tmp_path: Path):
    log = tmp_path / "kafka.log"
    line = "2026-11-21 INFO Principal = User:{} is {} operation = DESCRIBE from host = 127.0.0.1 on resource = {} for x"
    log.write_text(
        "\n".join(
            [
                line.format("department.health", "Denied", "Topic:LITERAL:department.taxation.tasks"),
                line.format("department.health", "Allowed", "Topic:LITERAL:department.health.tasks"),
                line.format("approval", "Denied", "Topic:LITERAL:rating.rectifications"),
            ]
        ),
        encoding="utf-8",
    )
    assert count_refusals([log]) == 1


def test_derived_ids_are_those_of_the_platform():
    """Held against the platform's own once: from then on a change on either side is a violation in every run."""

    theirs = derived_ids.task_id(UUID(APPLICATION), child=1, matter="B4", attempt=2)
    assert facts.task_id(APPLICATION, child=1, matter="B4", attempt=2) == str(theirs)
    assert facts.event_id(facts.TASK_REQUESTED, str(theirs)) == str(TaskRequested.id_for(theirs))
