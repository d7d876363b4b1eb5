"""`yijian ledger` against the running platform: it verifies, and a single flipped byte is named."""

import json
import time
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner, Result
from yijian_cli.main import app
from yijian_embedded.platform import Platform
from yijian_examples.forms import FOLDER as EXAMPLES

pytestmark = pytest.mark.e2e


@pytest.fixture
def at_work(running_platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The commands speak of the running platform."""
    monkeypatch.setenv("YIJIAN_HOME", str(running_platform.home.folder))
    return running_platform


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["ledger", *arguments])


def call_json(*arguments: str) -> Any:
    result = call(*arguments, "--json")
    return json.loads(result.stdout)


def signed() -> Any:
    """What the ledger says of itself once all that was disclosed is written down and signed."""
    until = time.monotonic() + 60
    told = call_json("status")
    while told["leaves"] < 10 or told["signed"] is None or told["signed"]["size"] < told["leaves"]:
        assert time.monotonic() < until, told
        time.sleep(0.2)
        told = call_json("status")
    return told


@pytest.mark.timeout(180)
def test_the_ledger_of_a_birth_is_verified_and_a_changed_leaf_is_named(at_work: Platform):
    runner = CliRunner()
    applied = runner.invoke(app, ["apply", str(EXAMPLES / "different-districts.json"), "--watch", "--json"])
    assert applied.exit_code == 0, applied.output

    told = signed()
    assert told["leaves"] >= 10, "one for each task at least"
    assert told["problem"] is None
    verified = call_json("verify")
    assert verified["findings"] == []
    assert verified["size"] >= 10
    assert call("fsck").exit_code == 0

    admin = make_conninfo(at_work.postgres_admin_url, dbname="data-exchange")
    with psycopg.connect(admin, autocommit=True) as session:
        (leaf_id,) = session.execute("SELECT id FROM ledger.leaf WHERE index = 3").fetchone() or ("",)
        proof = call_json("proof", str(leaf_id))
        assert proof["index"] == 3
        assert proof["way"][-1] == proof["root"]

        session.execute("ALTER TABLE ledger.leaf DISABLE TRIGGER ALL")
        flip = "UPDATE ledger.leaf SET data = set_byte(data, 20, get_byte(data, 20) # 1) WHERE index = 3"
        try:
            session.execute(flip)
            found = call_json("verify")
            assert call("verify").exit_code == 1
            assert 3 in {finding["leaf"] for finding in found["findings"]}
            assert call("fsck").exit_code == 1
        finally:
            session.execute(flip)
            session.execute("ALTER TABLE ledger.leaf ENABLE ALWAYS TRIGGER never_changed")
    assert call("verify").exit_code == 0
