"""Dead letters, incidents and tasks as an operator deals with them, over a department's store and no Kafka."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from yijian_cli.main import app
from yijian_common.crypto import Keyring, new_key_file
from yijian_common.sealer import KeyringSealer
from yijian_messaging.record import Record
from yijian_messaging.sqlite import SqliteStore

NUMBER = "990101199202290029"
VALUE = {"matter": "B1", "child": 1, "personal": {"fields": {"mother_name": "王芳", "id": NUMBER, "李四": NUMBER}}}


@pytest.fixture
def letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """health's store with two dead letters: one that is JSON, one that is not."""
    key_file, path = tmp_path / "health.json", tmp_path / "health.db"
    key_file.write_text(new_key_file())
    asyncio.run(_bury(path, key_file))
    monkeypatch.setenv("YIJIAN_DATABASE_URL", f"sqlite:///{path}")
    monkeypatch.setenv("YIJIAN_KEY_FILE", str(key_file))
    monkeypatch.setenv("YIJIAN_OPERATOR", "wang")
    monkeypatch.setattr("yijian_cli.dead_letters.HANDLED_WITHIN_S", 0)
    return path


async def _bury(path: Path, key_file: Path) -> None:
    store = await SqliteStore.open(path, sealer=KeyringSealer(Keyring.load(key_file)))
    async with store.transaction() as transaction:
        await transaction.bury(
            "department.health.tasks",
            [
                (_record(json.dumps(VALUE, ensure_ascii=False).encode()), "ValueError: it does not fit"),
                (_record(f"no json {NUMBER}".encode()), "ValueError: not JSON"),
            ],
        )
    await store.close()


def _record(value: bytes) -> Record:
    headers = (("ce_type", b"gov.city.approval.task-requested.v1"), ("ce_subject", NUMBER.encode()))
    return Record("department.health.tasks", 2, 17, key=NUMBER.encode(), value=value, headers=headers, timestamp_ms=0)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def call_json(*arguments: str) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def actions() -> list[tuple[str, str, str]]:
    """What the store says operators did: kind, who and what, why; the first first."""
    found = [i for i in call_json("incidents", "list", "health", "--all") if i["kind"].startswith("operator-")]
    return [(i["kind"], i["summary"], i["resolution"]) for i in reversed(found)]


@pytest.mark.usefixtures("letters")
def test_letters_that_wait_are_listed():
    assert [(x["id"], x["state"], x["offset"]) for x in call_json("dead-letters", "list", "health")] == [
        (1, "DEAD", 17),
        (2, "DEAD", 17),
    ]
    assert call("dead-letters", "list", "health").stdout.count("DEAD") == 2


@pytest.mark.usefixtures("letters")
def test_a_look_hides_what_is_personal_wherever_it_stands():
    for letter in ("1", "2"):
        for form in ((), ("--json",)):
            shown = call("dead-letters", "show", "health", letter, *form).stdout
            assert not any(personal in shown for personal in ("王芳", "李四", NUMBER))

    told = json.loads(call_json("dead-letters", "show", "health", "1")["value"])
    assert told["matter"] == "B1"
    assert told["personal"]["fields"]["mother_name"] == "****"
    assert actions() == []


@pytest.mark.usefixtures("letters")
def test_revealing_needs_a_reason_and_is_recorded_with_who_and_why():
    refused = call("dead-letters", "show", "health", "1", "--reveal")
    assert refused.exit_code == 1
    assert "Give a reason" in refused.stderr
    assert NUMBER not in refused.output

    shown = call("dead-letters", "show", "health", "1", "--reveal", "--reason", "the sender asks", "--by", "li").stdout

    assert NUMBER in shown
    assert actions() == [("operator-reveal", "li looked at the values of this dead letter", "the sender asks")]


@pytest.mark.usefixtures("letters")
def test_a_replay_waits_for_the_service_and_is_recorded():
    result = call("dead-letters", "replay", "health", "1", "--reason", "fixed since")

    assert result.exit_code == 0
    assert "health handles it as soon as it runs" in result.stdout
    assert [x["state"] for x in call_json("dead-letters", "list", "health")] == ["DEAD", "REPLAY"]
    assert actions() == [("operator-replay", "wang had this dead letter handled again", "fixed since")]


@pytest.mark.usefixtures("letters")
def test_an_edited_value_that_would_fail_again_is_refused(tmp_path: Path):
    edited = tmp_path / "edited.json"
    edited.write_text("{")

    result = call("dead-letters", "replay", "health", "1", "--reason", "x", "--value", str(edited))

    assert result.exit_code == 1
    assert "would fail again: the value is not JSON" in result.stderr
    assert actions() == []


@pytest.mark.usefixtures("letters")
def test_a_discarded_letter_closes_its_incident_and_stays_discarded():
    incident = call("incidents", "close", "health", "1", "--reason", "x")
    assert incident.exit_code == 1
    assert "closes with its dead letter" in incident.stderr

    call_json("dead-letters", "discard", "health", "1", "--reason", "sent by mistake")

    assert [i["subject"] for i in call_json("incidents", "list", "health")] == ["2"]
    again = call("dead-letters", "replay", "health", "1", "--reason", "x")
    assert again.stderr == "Dead letter 1 of health is DISCARDED already (sent by mistake (wang)).\n"
    assert actions() == [("operator-discard", "wang discarded this dead letter", "sent by mistake")]


@pytest.mark.usefixtures("letters")
def test_letters_of_one_cause_are_discarded_together():
    discarded = call_json("dead-letters", "discard", "health", "1", "2", "--reason", "the applicant is told")

    assert [(letter["id"], letter["state"]) for letter in discarded] == [(1, "DISCARDED"), (2, "DISCARDED")]
    assert call_json("dead-letters", "list", "health") == []


@pytest.mark.usefixtures("letters")
def test_when_one_letter_is_not_there_none_is_discarded():
    result = call("dead-letters", "discard", "health", "1", "9", "--reason", "x")

    assert "health has no dead letter 9" in result.stderr
    assert [letter["state"] for letter in call_json("dead-letters", "list", "health")] == ["DEAD", "DEAD"]
    assert actions() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("dead-letters", "show", "health", "9"),
            "health has no dead letter 9: see `yijian dead-letters list health`.",
        ),
        (("dead-letters", "list", "witness"), "'witness' keeps no messages: name approval, identity,"),
        (("incidents", "close", "health", "9", "--reason", "x"), "health has no open incident 9"),
        (("tasks", "resend", "01a1fc9d-99d4-7fe2-9365-e9246c67b9a2"), "approval keeps its applications in Postgres"),
        (("dead-letters", "discard", "health", "1", "--reason", " "), "Give a reason: --reason 'why'."),
    ],
)
@pytest.mark.usefixtures("letters")
def test_what_cannot_be_done_is_said_in_a_sentence(arguments: tuple[str, ...], said: str):
    result = call(*arguments)

    assert result.exit_code == 1
    assert said in result.stderr


def test_another_key_file_opens_nothing(letters: Path):
    letters.with_name("health.json").write_text(new_key_file())

    result = call("dead-letters", "show", "health", "1")

    assert result.exit_code == 1
    assert "does not open what health stored" in result.stderr


def test_without_a_platform_the_sentence_says_to_start_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("YIJIAN_HOME", str(tmp_path / "home"))

    for command in (("dead-letters", "list", "approval"), ("watch", "01a1fc9d-99d4-7fe2-9365-e9246c67b9a2")):
        result = call(*command)
        assert result.exit_code == 1
        assert result.stderr.endswith("run `yijian up` first.\n") or result.stderr.endswith("run `yijian up` first\n")
