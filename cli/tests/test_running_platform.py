"""apply, watch, dead letters and the demo against the whole platform."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import Producer
from psycopg import sql
from typer.testing import CliRunner, Result
from yijian_cli.approval_api import ApprovalApi, Tokens
from yijian_cli.main import app
from yijian_embedded.platform import Platform
from yijian_embedded.postgres_access import connect
from yijian_embedded.recovery import drop_former, former_databases, is_there
from yijian_examples.forms import FOLDER as EXAMPLES

pytestmark = pytest.mark.e2e

RESULTS = "department.health.results"
NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def at_work(running_platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The commands speak of the running platform."""
    monkeypatch.setenv("YIJIAN_HOME", str(running_platform.home.folder))
    return running_platform


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def state_of(platform: Platform, application: str, task: str) -> str:
    tokens = Tokens(identity=platform.url("identity"), account="mother-000003")
    told = ApprovalApi(platform.url("approval"), tokens).application(UUID(application))
    return next(one.state for one in told.tasks if one.key == task)


def wait_for(found: Callable[[], Any]) -> Any:
    """What `found` finds, within a quarter of a minute."""
    deadline = time.monotonic() + 15
    while not (result := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return result


@pytest.mark.usefixtures("at_work")
def test_twins_are_applied_for_and_followed_to_the_end():
    result = call("apply", str(EXAMPLES / "twins.json"), "--watch", "--json")

    assert result.exit_code == 0, result.output
    accepted, *entries, last = [json.loads(line) for line in result.stdout.splitlines()]
    versions = [entry["entry"]["version"] for entry in entries]
    assert versions == list(range(1, len(versions) + 1))
    assert last["application"]["id"] == accepted["accepted"]["id"]
    assert last["application"]["outcome"] == "ALL_GRANTED"
    assert {task["key"] for task in last["application"]["tasks"]} >= {"B1", "B2-1", "B2-2", "B8"}

    def certificates() -> list[str]:
        listed = json.loads(call("wallet", "--as", "mother-000002", "--json").stdout)
        return [one["status"] for one in listed if one["kind"] == "birth-certificate"]

    assert wait_for(lambda: len(certificates()) == 2), "the wallet hears of it by Kafka, soon"
    assert certificates() == ["VALID", "VALID"]
    assert "出生医学证明" in call("wallet", "--as", "mother-000002").stdout
    assert "No documents yet" in call("wallet", "--as", "mother-000399").stdout

    again = call("watch", accepted["accepted"]["id"], "--as", "mother-000002")
    assert "出生医学证明签发（首签）（第2孩） · 批准，证照已送达" in again.stdout
    assert "全部办成" in again.stdout
    stranger = call("watch", accepted["accepted"]["id"], "--as", "mother-000003")
    assert (stranger.exit_code, stranger.stdout) == (1, "")
    assert "没有找到这份申请" in stranger.stderr


@pytest.mark.usefixtures("at_work")
def test_an_account_that_does_not_exist_is_said():
    result = call("apply", str(EXAMPLES / "standard.json"), "--as", "mother-999999")

    assert result.exit_code == 1
    assert "identity has no account 'mother-999999'" in result.stderr


def test_a_poisoned_answer_is_looked_at_edited_and_handled(at_work: Platform, tmp_path: Path):
    personal = "990101199202290029"
    accepted = json.loads(call("apply", str(EXAMPLES / "standard.json"), "--json").stdout)["accepted"]
    event = {"application_id": accepted["id"], "task_id": NOBODY, "department": "health", "matter": "B1"}
    headers = {
        "ce_id": NOBODY,
        "ce_type": "gov.city.department.task-received.v1",
        "ce_source": "/department.health",
        "ce_specversion": "1.0",
    }
    producer = Producer(at_work.kafka_credentials("department.health").client_config())
    producer.produce(RESULTS, json.dumps({**event, "note": personal}), headers=list(headers.items()))
    assert producer.flush(10) == 0

    (letter,) = wait_for(lambda: json.loads(call("dead-letters", "list", "approval", "--json").stdout))
    assert letter["topic"] == RESULTS
    assert personal not in call("dead-letters", "show", "approval", str(letter["id"])).stdout

    edited = tmp_path / "edited.json"
    edited.write_text(json.dumps({**event, "status": "ACCEPTED", "received_at": "2026-11-21T00:00:00Z"}))
    result = call(
        "dead-letters", "replay", "approval", str(letter["id"]), "--value", str(edited), "--reason", "completed by hand"
    )

    assert (result.exit_code, result.stdout) == (0, f"Dead letter {letter['id']} was handled.\n")
    kinds = {i["kind"] for i in json.loads(call("incidents", "list", "approval", "--all", "--json").stdout)}
    assert kinds >= {"dead-letter", "operator-replay", "unknown-task"}


def test_an_operator_asks_a_silent_department_again_and_then_ends_its_task(at_work: Platform):
    at_work.stop_service("public-security")
    try:
        accepted = json.loads(call("apply", str(EXAMPLES / "unmarried.json"), "--json").stdout)["accepted"]
        wait_for(lambda: state_of(at_work, accepted["id"], "B4-1") == "SUBMITTED")

        resent = json.loads(call("tasks", "resend", accepted["id"], "--json").stdout)["resent"]
        ended = json.loads(
            call("tasks", "terminate", accepted["id"], "B4-1", "--reason", "到窗口办理", "--json").stdout
        )
    finally:
        at_work.start_service("public-security")

    assert resent >= 1
    assert ended["task"] == "B4-1"
    story = call("watch", accepted["id"], "--as", "mother-000003").stdout
    assert "一件平台 · 国（境）内出生登记（户口登记） · 再次送交部门" in story
    assert "运维人员 · 国（境）内出生登记（户口登记） · 终止：到窗口办理" in story
    assert "部分办成" in story


@pytest.mark.usefixtures("at_work")
def test_a_task_of_no_application_is_said():
    unknown = call("tasks", "terminate", NOBODY, "B4-1", "--reason", "x")

    assert (unknown.exit_code, unknown.stderr) == (1, "没有找到这份申请\n")


@pytest.mark.usefixtures("at_work")
def test_the_demo_uses_a_platform_that_is_up_and_leaves_it_up():
    before = {process["name"]: process["pid"] for process in json.loads(call("status", "--json").stdout)}

    result = call("demo", "--full-speed")

    assert result.exit_code == 0, result.output
    assert result.stdout.count("批准，证照已送达") == 7
    assert "申请表·母亲信息：姓名、证件类型、证件号码" in result.stdout
    assert {process["name"]: process["pid"] for process in json.loads(call("status", "--json").stdout)} == before


def test_a_demo_that_is_ended_early_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("YIJIAN_HOME", str(tmp_path / "home"))
    command = [Path(sys.executable).with_name("yijian"), "demo"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as demo:  # noqa: S603 - our own command
        wait_for(lambda: Platform(tmp_path / "home").process("postgres"))
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(60) == 128 + signal.SIGTERM

    assert {status.state for status in Platform(tmp_path / "home").status()} == {"stopped"}


def test_what_a_restore_put_aside_is_deleted_and_nothing_that_is_needed(at_work: Platform):
    former, halfway = "rating@20261121T031502.000000Z", "nobody@20261121T031502.000000Z"
    with connect(at_work.postgres_admin_url) as admin:
        for name in (former, halfway):
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        assert "is all that is left of it" in call("restore", "forget", halfway, "--yes").output
        refused = call("restore", "forget", "rating", "--yes")
        assert refused.exit_code == 1
        assert former in refused.output
        assert json.loads(call("restore", "forget", former, "--yes", "--json").stdout) == {"forgotten": former}
        assert former_databases(at_work.postgres_admin_url, "rating") == []
        assert is_there(at_work.postgres_admin_url, "rating")
    finally:
        drop_former(at_work.postgres_admin_url, halfway)
