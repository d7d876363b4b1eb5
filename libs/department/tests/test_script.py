"""Delays, failures, officials and payers by script."""

from pathlib import Path
from typing import Any

import pytest
from yijian_contracts.events import Correction, Outcome, ReceivedStatus, TaskAnswered, TaskReceived
from yijian_department.process import DepartmentSettings
from yijian_department.script import Rule, Script, Verdict
from yijian_department.testing import TestDepartment, sample_task

Library = TestDepartment[Any]


def test_a_delayed_task_is_received_and_answered_later(library: Library):
    library.write_script(Script(rule=(Rule(matter="L1", delay_seconds=5),)))
    received = library.give(sample_task("L1", {"reader_id_no": "A"}))
    assert isinstance(received, TaskReceived)
    assert received.status is ReceivedStatus.ACCEPTED
    assert library.pass_time(4) == []
    (answer,) = library.pass_time(1)
    assert isinstance(answer, TaskAnswered)


def test_a_scripted_failure_recovers_within_the_tries(library: Library):
    library.write_script(Script(rule=(Rule(matter="L1", fail_times=2),)))
    library.give(sample_task("L1", {"reader_id_no": "A"}))
    assert library.pass_time(1) == []
    (answer,) = library.pass_time(2)
    assert isinstance(answer, TaskAnswered)
    assert answer.outcome is Outcome.APPROVED


def test_the_scripted_official_approves_and_the_handler_gives_the_outputs(library: Library):
    library.write_script(Script(rule=(Rule(matter="L1", person=Verdict.APPROVE, person_after_seconds=3),)))
    library.give(sample_task("L1", {"reader_id_no": "A"}, needs_person=["外籍"]))
    assert library.pass_time(2) == []
    (answer,) = library.pass_time(1)
    assert isinstance(answer, TaskAnswered)
    assert (answer.outcome, answer.decided_by) == (Outcome.APPROVED, "scripted-official")
    assert answer.personal.outputs == {"card_no": "C00001"}


def test_rules_choose_by_child_and_fields_and_the_first_that_fits_counts(library: Library):
    correction = Correction(pointer="/reader/name", message="姓名有误")
    library.write_script(
        Script(
            rule=(
                Rule(child=2, program=Verdict.REJECT, reason="第二个孩子"),
                Rule(fields={"reader_id_no": "B"}, program=Verdict.RETURN, corrections=(correction,)),
                Rule(attempt=2, program=Verdict.NEEDS_PERSON, reason="第二次"),
            )
        )
    )
    said = library.give_all(
        [
            sample_task("L1", {"reader_id_no": "A"}, child=1),
            sample_task("L1", {"reader_id_no": "A"}, child=2),
            sample_task("L1", {"reader_id_no": "B"}),
            sample_task("L1", {"reader_id_no": "C"}, attempt=2),
        ]
    )
    assert [getattr(event, "outcome", getattr(event, "status", None)) for event in said] == [
        Outcome.APPROVED,
        Outcome.REJECTED,
        Outcome.RETURNED,
        ReceivedStatus.IN_REVIEW,
    ]


def test_a_changed_script_moves_tasks_that_wait_already(library: Library):
    library.write_script(Script(rule=(Rule(matter="L1", delay_seconds=3600),)))
    library.give_all([sample_task("L1", {"reader_id_no": "A"}), sample_task("L2", {"amount": 1})])
    assert library.pass_time(60) == []

    library.write_script(Script(rule=(Rule(matter="L2", pay_after_seconds=0),)))
    said = library.pass_time()
    assert sorted(event.matter for event in said if isinstance(event, TaskAnswered)) == ["L1", "L2"]


def test_a_changed_script_counts_for_waiting_tasks_whoever_notices_it_first(library: Library):
    library.write_script(Script())
    library.give(sample_task("L2", {"amount": 1}))
    library.write_script(Script(rule=(Rule(matter="L2", pay_after_seconds=0),)))
    library.give(sample_task("L1", {"reader_id_no": "A"}))
    (answer,) = library.pass_time()
    assert answer.matter == "L2"


def test_a_return_without_corrections_is_no_rule():
    with pytest.raises(ValueError, match="RETURN needs corrections"):
        Rule(program=Verdict.RETURN)


def test_an_unreadable_script_leaves_the_earlier_rules_in_force(library: Library):
    library.write_script(Script(rule=(Rule(matter="L1", delay_seconds=5),)))
    library.give(sample_task("L1", {"reader_id_no": "A"}))
    (library.folder / "script.json").write_text('{"rule": [{"colour": "red"}]}')
    received = library.give(sample_task("L1", {"reader_id_no": "B"}))
    assert isinstance(received, TaskReceived)


def test_a_script_and_fictitious_records_are_refused_in_production(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    class HealthSettings(DepartmentSettings):
        principal = "department.health"

    for name, value in {
        "DATABASE_URL": f"sqlite:///{tmp_path}/health.db",
        "KEY_FILE": str(tmp_path / "keys.json"),
        "KAFKA_BOOTSTRAP": "127.0.0.1:9092",
        "KAFKA_PASSWORD": "secret",
        "HTTP_PORT": "0",
        "SCRIPT_FILE": str(tmp_path / "script.json"),
        "ENVIRONMENT": "production",
    }.items():
        monkeypatch.setenv(f"YIJIAN_{name}", value)
    with pytest.raises(ValueError, match="YIJIAN_SCRIPT_FILE"):
        HealthSettings()
    monkeypatch.delenv("YIJIAN_SCRIPT_FILE")
    monkeypatch.setenv("YIJIAN_RECORDS_FILE", str(tmp_path / "records.jsonl"))
    with pytest.raises(ValueError, match="YIJIAN_RECORDS_FILE"):
        HealthSettings()
    monkeypatch.setenv("YIJIAN_ENVIRONMENT", "development")
    settings = HealthSettings()
    assert (settings.service, settings.kafka_username, settings.audience) == ("department.health",) * 3
    assert settings.database == tmp_path / "health.db"
