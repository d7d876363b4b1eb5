"""One plain Java file keeps the whole contract of a department: examples/java-department/Department.java.

Approval is played by the test, on a real broker and with its credentials; `test_java_birth.py` has the real one.
"""

import fcntl
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import JsonValue
from typer.testing import CliRunner, Result
from yijian_cli.main import app
from yijian_contracts.cloudevents import STRUCTURED, encode
from yijian_contracts.events import (
    RECTIFICATION,
    Outcome,
    ReceivedStatus,
    TaskAnswered,
    TaskMode,
    TaskReceived,
    TaskRequested,
    TaskUnprocessable,
)
from yijian_department.testing import cancellation, sample_task
from yijian_embedded.credentials import KafkaCredentials
from yijian_embedded.errors import PlatformError
from yijian_embedded.java import compile_java
from yijian_embedded.platform import Platform

from tests.e2e.java_department import (
    CODE,
    ENTRY,
    SOURCE,
    Approval,
    JavaDepartment,
    expire,
    headers_of,
    leave_behind,
    silent_user,
    understood,
    wait_for,
)

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

NAME = "欧阳不可说"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NUMBER = re.compile(r"JZ990101-20261115-[0-9]{8}")


def request(matter: str = "B3", *, fields: dict[str, JsonValue] | None = None, **about: object) -> TaskRequested:
    """A task as approval sends it, of a child that nobody has asked about yet."""
    given: dict[str, JsonValue] = {
        "birth_cert_no": f"Z99{random.randrange(10**7):07}",  # noqa: S311 - tests, not secrets
        "birth_datetime": "2026-11-14T16:30:00Z",  # already the 15th in the city
        "living_code12": "990101001001",
        "given_name": NAME,
        **(fields or {}),
    }
    given = {name: value for name, value in given.items() if value is not None}
    task = sample_task(matter, given, child=1, **about)  # type: ignore[arg-type]
    return task.model_copy(update={"department": CODE})


def number_of(answer: TaskAnswered) -> str:
    number = answer.personal.outputs["vaccination_archive_no"]
    assert isinstance(number, str)
    return number


@pytest.fixture(scope="module")
def classes(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classes")
    compile_java(platform.home, SOURCE, into=folder)
    return folder


@pytest.fixture(scope="module")
def approval(platform: Platform) -> Iterator[Approval]:
    """Only one run at a time may play the department on the platform that the tests share."""
    with (platform.home.folder / "java-department.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        leave_behind(platform)
        ours = Approval(platform)
        yield ours
        ours.close()


@pytest.fixture(scope="module")
def program(
    platform: Platform, classes: Path, approval: Approval, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JavaDepartment]:
    """The program at work; a test that ends it starts it again."""
    assert approval
    running = JavaDepartment(platform, classes, tmp_path_factory.mktemp("java") / "store")
    running.start()
    yield running
    running.kill()
    assert NAME not in running.log()


# --- asked and answered ----------------------------------------------------------------------------------------------


def test_a_task_is_answered_as_the_contract_has_it(approval: Approval, program: JavaDepartment):
    task = request()
    approval.ask(task, trace=TRACE)

    (record,) = approval.wait_for(task)
    event = understood(record)
    assert event.source == f"/{ENTRY.principal}"
    assert event.traceparent == TRACE
    assert headers_of(record)["ce_subject"] == str(task.application_id).encode()
    answer = event.data
    assert isinstance(answer, TaskAnswered)
    assert (answer.outcome, answer.decided_by, answer.task_id) == (Outcome.APPROVED, None, task.task_id)
    assert NUMBER.fullmatch(number_of(answer))
    assert [(d.kind, d.number) for d in answer.personal.documents] == [("vaccination-record", number_of(answer))]
    assert number_of(answer) in program.effects()


def test_what_is_asked_again_is_answered_with_what_was_recorded(approval: Approval, program: JavaDepartment):
    task = request()
    approval.ask(task, task)
    approval.wait_for(task, 2)
    program.stop()
    program.start()
    approval.ask(task)

    records = approval.wait_for(task, 3)
    assert len({record.value() for record in records}) == 1
    assert len({headers_of(record)["ce_id"] for record in records}) == 1
    assert len({headers_of(record)["ce_time"] for record in records}) == 1
    assert program.effects().count(number_of(approval.answer(task))) == 1


def test_a_child_keeps_its_record_whichever_application_asks(approval: Approval, program: JavaDepartment):
    first = request()
    second = request(fields=dict(first.personal.fields))
    approval.ask(first, second)

    assert number_of(approval.answer(first)) == number_of(approval.answer(second))
    assert program.effects().count(number_of(approval.answer(first))) == 1


@pytest.mark.parametrize("content_type", [STRUCTURED, f"{STRUCTURED}; charset=utf-8"])
def test_structured_mode_is_read_as_well(approval: Approval, program: JavaDepartment, content_type: str):
    assert program
    task = request()
    record = encode(task, source="approval", traceparent=TRACE)
    envelope = {name.removeprefix("ce_"): text for name, text in record.headers.items() if name.startswith("ce_")}
    envelope |= {"datacontenttype": "application/json", "traceparent": TRACE, "data": json.loads(record.value)}
    approval.produce(json.dumps(envelope).encode(), key=record.key, headers={"content-type": content_type.encode()})
    approval.flush()

    assert approval.answer(task).outcome is Outcome.APPROVED
    assert understood(approval.said_about(task.task_id)[0]).traceparent == TRACE


def test_fields_of_a_later_minor_are_ignored(approval: Approval, program: JavaDepartment):
    assert program
    task = request()
    record = encode(task, source="approval")
    value = {**json.loads(record.value), "hint": {"of": "a later version"}}
    approval.produce(
        json.dumps(value).encode(),
        key=record.key,
        headers={name: text.encode() for name, text in record.headers.items()} | {"ce_hint": b"\xff"},
    )
    approval.flush()
    assert approval.answer(task).outcome is Outcome.APPROVED


def test_a_developer_asks_by_hand(
    platform: Platform, program: JavaDepartment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("YIJIAN_HOME", str(platform.home.folder))
    task = tmp_path / "task.json"
    task.write_text(request().model_dump_json(), encoding="utf-8")

    def ask(*options: str) -> Result:
        return CliRunner().invoke(app, ["department", "ask", CODE, str(task), "--json", *options])

    said = json.loads(ask("--times", "2").stdout) + json.loads(ask("--structured").stdout)
    assert len(said) == 3
    assert all(record == said[0] for record in said)
    assert said[0]["data"]["personal"]["outputs"]["vaccination_archive_no"] in program.effects()

    strange = ask("--major", "2", "--wait", "2")
    assert (strange.exit_code, json.loads(strange.stdout)) == (1, [])


# --- cancelled -------------------------------------------------------------------------------------------------------


def test_what_was_cancelled_before_it_came_is_not_decided(approval: Approval, program: JavaDepartment):
    task = request()
    neighbour = request(application_id=task.application_id, attempt=2)
    before = program.effects()
    approval.ask(cancellation(task), task, task, neighbour)

    assert number_of(approval.answer(neighbour)) in program.effects()
    assert approval.said_about(task.task_id) == []
    assert len(program.effects()) == len(before) + 1


def test_what_was_decided_stands_when_the_cancellation_comes_late(approval: Approval, program: JavaDepartment):
    assert program
    task = request()
    approval.ask(task)
    answer = approval.answer(task)
    approval.ask(cancellation(task), task)
    approval.wait_for(task, 2)
    assert approval.answer(task) == answer


def test_what_waits_for_an_official_may_be_cancelled(approval: Approval, program: JavaDepartment):
    task = request(fields={"birth_cert_no": None})
    approval.ask(task)
    approval.wait_for(task)
    approval.ask(cancellation(task))
    wait_for(lambda: not program.waiting(task.task_id).exists(), what="forgetting of what was asked")

    decision = program.decide(task.task_id, {"official": "clerk-1", "outcome": "APPROVED"})
    wait_for(lambda: not decision.exists(), what="look at the desk")
    assert approval.answers(task) == []


# --- not for a program -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "doubt", [{"fields": {"birth_cert_no": None}}, {"needs_person": ["在境外出生，需人工核对出生证明"]}]
)
def test_an_official_decides_what_the_program_may_not(approval: Approval, program: JavaDepartment, doubt):
    task = request(**doubt)
    approval.ask(task)
    (record,) = approval.wait_for(task)
    received = understood(record).data
    assert isinstance(received, TaskReceived)
    assert received.status is ReceivedStatus.IN_REVIEW
    assert "需人工核对" in received.note
    assert json.loads(program.waiting(task.task_id).read_text(encoding="utf-8"))["fields"]["given_name"] == NAME

    program.kill()
    program.decide(task.task_id, {"official": "clerk-1", "outcome": "APPROVED"})
    program.start()
    answer = approval.answer(task)
    assert (answer.outcome, answer.decided_by) == (Outcome.APPROVED, "clerk-1")
    assert number_of(answer) in program.effects()
    wait_for(lambda: not any(program.waiting(task.task_id).parent.glob(f"{task.task_id}*")), what="an empty desk")
    approval.ask(task)
    approval.wait_for(task, 3)
    assert approval.answer(task) == answer


def test_a_task_that_waits_is_acknowledged_again_under_the_same_id(approval: Approval, program: JavaDepartment):
    assert program
    task = request(fields={"birth_cert_no": None})
    approval.ask(task)
    approval.wait_for(task)
    approval.ask(task)
    first, second = approval.wait_for(task, 2)
    assert (first.value(), headers_of(first)) == (second.value(), headers_of(second))


def test_an_official_may_return_a_task_for_correction(approval: Approval, program: JavaDepartment):
    task = request(fields={"birth_cert_no": None})
    approval.ask(task)
    approval.wait_for(task)
    correction = {"pointer": "/newborns/0/birth_datetime", "message": "出生时间与出院记录不符"}
    refused = program.decide(task.task_id, {"official": "clerk-1", "outcome": "RETURNED", "reason": "请更正"})
    wait_for(lambda: refused.with_name(f"{refused.name}.refused").exists(), what="refusal")
    program.decide(
        task.task_id,
        {"official": "clerk-1", "outcome": "RETURNED", "reason": "请更正", "corrections": [correction]},
    )
    answer = approval.answer(task)
    assert answer.outcome is Outcome.RETURNED
    assert [c.model_dump() for c in answer.corrections] == [correction]
    assert not answer.personal.outputs


def test_a_bad_review_is_put_right_by_an_official(approval: Approval, program: JavaDepartment):
    fields: dict[str, JsonValue] = {"level": "VERY_POOR", "comment": "等了两个小时"}
    task = request(RECTIFICATION, fields=fields, needs_person=["差评整改须由工作人员办理"])
    approval.ask(task)
    assert isinstance(understood(approval.wait_for(task)[0]).data, TaskReceived)
    program.decide(
        task.task_id,
        {"official": "head-1", "outcome": "APPROVED", "measures": "增开窗口", "evidence": ["排班表 2026-11"]},
    )
    answer = approval.answer(task)
    assert answer.outcome is Outcome.APPROVED
    assert answer.personal.outputs == {"measures": "增开窗口", "evidence": ["排班表 2026-11"]}


# --- not understood --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "error"),
    [
        (request(fields={"living_code12": NAME}), "living_code12"),
        (request(fields={"birth_datetime": "yesterday"}), "birth_datetime"),
        (request("B99"), "B99"),
        (request(mode=TaskMode.PROVE), "PROVE"),
    ],
)
def test_a_task_that_cannot_be_processed_is_reported_and_kept(
    approval: Approval, program: JavaDepartment, task: TaskRequested, error: str
):
    neighbour = request()
    approval.ask(task, neighbour)
    (record,) = approval.wait_for(task)
    report = understood(record).data
    assert isinstance(report, TaskUnprocessable)
    assert error in report.error
    assert NAME not in report.error
    assert program.waiting(task.task_id).exists()
    assert approval.answer(neighbour).outcome is Outcome.APPROVED

    program.decide(task.task_id, {"official": "clerk-1", "outcome": "NOT_ACCEPTED", "reason": "不属于本部门办理"})
    assert approval.answer(task).outcome is Outcome.NOT_ACCEPTED


def test_what_is_no_event_of_its_contract_is_set_aside_and_its_neighbours_go_on(
    approval: Approval, program: JavaDepartment
):
    good = encode(request(), source="approval")
    headers = {name: text.encode() for name, text in good.headers.items()}
    data = json.loads(good.value)
    strange: list[tuple[bytes, dict[str, bytes]]] = [
        (good.value, headers | {"ce_type": b"gov.city.approval.task-requested.v2"}),
        (good.value, headers | {"ce_type": b"gov.city.approval.application-submitted.v1"}),
        (good.value, headers | {"ce_specversion": b"0.3"}),
        (good.value, {}),
        (json.dumps({**data, "department": "health"}).encode(), headers),
        (json.dumps({**data, "task_id": NAME}).encode(), headers),
        (json.dumps({**data, "matter": f"B3 {NAME}"}).encode(), headers),
        (good.value[:-5], headers),
        (good.value + b"{}", headers),
        (b"", headers),
        (b"null", headers),
        (b"[" * 5000, headers),
        (b'{"task_id": "a", "task_id": "b"}', headers),
        (good.value, headers | {"content-type": STRUCTURED.encode()}),
    ]
    aside = program.folder / "unreadable"
    before, effects = len(list(aside.iterdir())), len(program.effects())
    key = str(uuid4())
    for value, its_headers in strange:
        approval.produce(value, key=key, headers=its_headers)
    neighbour = request(application_id=UUID(key))
    approval.ask(neighbour)

    assert approval.answer(neighbour).outcome is Outcome.APPROVED
    assert len(list(aside.iterdir())) == before + len(strange)
    assert len(program.effects()) == effects + 1


# --- ended at any point ----------------------------------------------------------------------------------------------


def test_killed_after_the_effect_and_before_the_answer_it_answers_the_same(
    mute: KafkaCredentials, approval: Approval, program: JavaDepartment
):
    program.stop()
    task = request()
    before = program.effects()
    # Who may read the tasks and say nothing is held exactly between the journal and Kafka.
    program.start(YIJIAN_KAFKA_USERNAME=mute.username, YIJIAN_KAFKA_PASSWORD=mute.password)
    approval.ask(task)
    wait_for(lambda: "TopicAuthorizationException" in program.log(), what="attempt to answer")
    (number,) = set(program.effects()) - set(before)
    program.kill()
    assert approval.said_about(task.task_id) == []

    program.start()
    assert number_of(approval.answer(task)) == number
    assert len(program.effects()) == len(before) + 1


@pytest.fixture
def mute(platform: Platform) -> Iterator[KafkaCredentials]:
    with silent_user(platform) as user:
        yield user


def test_killed_again_and_again_under_load_each_task_has_one_effect_and_one_answer(
    approval: Approval, program: JavaDepartment
):
    chance = random.Random(20261121)  # noqa: S311 - tests, not secrets
    tasks = [request() for _ in range(120)]
    effects = len(program.effects())
    for n in range(4):
        approval.ask(*tasks[n * 30 : n * 30 + 30], *chance.sample(tasks[: n * 30 + 30], 10))
        time.sleep(chance.random() * 0.1)
        program.kill()
        program.start()

    numbers = {number_of(approval.answer(task)) for task in tasks}
    assert len(numbers) == len(tasks)
    assert len(program.effects()) == effects + len(tasks)


def test_what_a_power_cut_left_half_written_does_not_count(approval: Approval, program: JavaDepartment):
    program.stop()
    journal = program.folder / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'[{"task":"01936c00-')
    program.start()
    task = request()
    approval.ask(task)
    assert approval.answer(task).outcome is Outcome.APPROVED
    assert journal.read_bytes().startswith(whole)
    assert b"01936c00-" not in journal.read_bytes()


def test_after_a_long_silence_what_expired_is_asked_again_and_answered_once(
    platform: Platform, approval: Approval, program: JavaDepartment
):
    answered, lost = request(), request()
    approval.ask(answered)
    first = approval.answer(answered)
    assert program.stop() == 143  # as Java reports SIGTERM
    approval.ask(lost)
    expire(platform)
    program.start()
    approval.ask(lost, answered)  # six days later: the same ids

    numbers = [number_of(approval.answer(lost)), number_of(first)]
    approval.wait_for(answered, 2)
    assert approval.answer(answered) == first
    assert [program.effects().count(number) for number in numbers] == [1, 1]


def test_a_journal_has_one_process(platform: Platform, classes: Path, program: JavaDepartment):
    second = JavaDepartment(platform, classes, program.folder)
    second.log_file = program.folder.with_suffix(".second.log")
    second.start(ready=False)
    wait_for(lambda: "one journal, one process" in second.log(), what="refusal")
    second.kill()


# --- compiled --------------------------------------------------------------------------------------------------------


def test_what_does_not_compile_is_told_in_the_compilers_words(platform: Platform, tmp_path: Path):
    source = tmp_path / "Wrong.java"
    source.write_text('class Wrong { int number = "text"; }', encoding="utf-8")
    with pytest.raises(PlatformError, match="cannot convert from String to int"):
        compile_java(platform.home, source, into=tmp_path)
