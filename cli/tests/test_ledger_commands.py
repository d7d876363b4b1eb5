"""`yijian ledger` for somebody who has nothing but files: keys, evidence, and sentences when something is not there."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result
from yijian_cli.ledger_memory import load_memory, save_memory
from yijian_cli.main import app
from yijian_ledger.audit import Memory
from yijian_ledger.checkpoints import Checkpoint, sign_checkpoint
from yijian_ledger.evidence import Item, Opening, make_pack
from yijian_ledger.keys import KeyKind, new_key, read_private_key, read_public_key
from yijian_ledger.leaf import LeafKind, make_leaf, new_salt
from yijian_ledger.tree_hash import SM3


@pytest.fixture(autouse=True)
def _no_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YIJIAN_HOME", str(tmp_path / "home"))


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["ledger", *arguments])


@pytest.mark.parametrize("kind", KeyKind)
def test_a_key_is_made_with_its_public_half_and_never_written_over(tmp_path: Path, kind: KeyKind):
    file = tmp_path / "keys" / "ledger.json"
    made = call("key", str(file), "--name", "city.example/ledger", "--kind", kind.value)
    assert made.exit_code == 0, made.output
    assert read_private_key(file).public == read_public_key(file.with_suffix(".pub"))
    assert read_private_key(file).public.kind is kind
    assert (file.stat().st_mode & 0o777, file.with_suffix(".pub").stat().st_mode & 0o777) == (0o600, 0o644)
    again = call("key", str(file), "--name", "city.example/ledger")
    assert again.exit_code == 1
    assert "never written over" in again.stderr


def test_a_name_that_can_be_none_is_refused(tmp_path: Path):
    refused = call("key", str(tmp_path / "key.json"), "--name", "two words")
    assert refused.exit_code == 1
    assert not (tmp_path / "key.json").exists()


@pytest.fixture
def purpose() -> str:
    return "出生登记"


@pytest.fixture
def evidence(tmp_path: Path, purpose: str) -> Path:
    """A file that proves one leaf, and beside it the public key."""
    key = new_key("city.example/ledger")
    (tmp_path / "ledger.pub").write_text(key.public.vkey)
    salt = new_salt()
    details = {"purpose": purpose, "disclosed_at": "2026-11-21T04:00:00Z", "portions": []}
    leaf = make_leaf(uuid4(), LeafKind.DISCLOSURE, details, salt=salt)
    note = sign_checkpoint(Checkpoint(key.name, 1, SM3.leaf(leaf.data)), key)
    pack = make_pack(str(note), [Item(0, leaf.data, (), Opening(details, salt))])
    (tmp_path / "evidence.json").write_text(json.dumps(pack, ensure_ascii=False))
    return tmp_path / "evidence.json"


def test_evidence_is_checked_with_files_alone(evidence: Path):
    key = str(evidence.with_name("ledger.pub"))
    told = call("evidence", str(evidence), "--key", key, "--without-witness")
    assert told.exit_code == 0, told.output
    assert "出生登记" in told.stdout
    as_json = json.loads(call("evidence", str(evidence), "--key", key, "--without-witness", "--json").stdout)
    assert as_json["items"][0]["details"]["purpose"] == "出生登记"


@pytest.mark.parametrize("purpose", ["入学报名[/b]"])
def test_what_somebody_wrote_is_shown_as_they_wrote_it(evidence: Path, purpose: str):
    told = call("evidence", str(evidence), "--key", str(evidence.with_name("ledger.pub")), "--without-witness")
    assert told.exit_code == 0
    assert purpose in told.stdout


def test_evidence_that_was_changed_ends_with_a_sentence_and_1(evidence: Path):
    evidence.write_text(evidence.read_text().replace("出生登记", "入园登记"))
    told = call("evidence", str(evidence), "--key", str(evidence.with_name("ledger.pub")), "--without-witness")
    assert told.exit_code == 1
    assert "the details of leaf 0" in told.stderr


def test_evidence_without_its_witness_is_not_taken_for_witnessed(evidence: Path, tmp_path: Path):
    witness = tmp_path / "witness.pub"
    witness.write_text(new_key("archives.example/witness", KeyKind.COSIGNATURE).public.vkey)
    told = call(
        "evidence", str(evidence), "--key", str(evidence.with_name("ledger.pub")), "--witness-key", str(witness)
    )
    assert told.exit_code == 1
    assert "not cosigned by archives.example/witness" in told.stderr


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["evidence", "missing.json", "--without-witness"], "cannot be read"),
        (["status", "--url", "http://127.0.0.1:9"], "does not answer"),
        (["proof", str(uuid4()), "--url", "http://127.0.0.1:9"], "does not answer"),
        (["verify", "--key", "missing.pub"], "cannot be read"),
    ],
)
def test_what_is_not_there_is_one_sentence(evidence: Path, command: list[str], sentence: str):
    key = ["--key", str(evidence.with_name("ledger.pub"))] if command[0] != "status" and "--key" not in command else []
    told = call(*command, *key)
    assert told.exit_code == 1
    assert sentence in told.stderr
    assert "Traceback" not in told.output


def test_a_ledger_that_does_not_answer_is_not_in_order(evidence: Path, tmp_path: Path):
    told = call(
        "verify",
        "--url",
        "http://127.0.0.1:9",
        "--key",
        str(evidence.with_name("ledger.pub")),
        "--without-witness",
        "--state",
        str(tmp_path / "seen"),
        "--json",
    )
    assert told.exit_code == 1
    assert "does not answer" in json.loads(told.stdout)["findings"][0]["text"]
    assert not (tmp_path / "seen").exists(), "nothing is remembered of what was not in order"


def test_what_was_seen_is_remembered(tmp_path: Path):
    memory = Memory("a note\n", [SM3.leaf(b"1"), SM3.leaf(b"2")])
    assert load_memory(tmp_path / "seen") is None
    save_memory(tmp_path / "seen", memory)
    assert load_memory(tmp_path / "seen") == memory
