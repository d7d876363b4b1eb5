"""`yijian keys` over identity's own database: what an operator sees and does leaves its line."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from identity.key_rotation import ensure_first_key
from identity.main import MIGRATIONS
from identity.settings import IdentitySettings
from typer.testing import CliRunner, Result
from yijian_cli.main import app
from yijian_common import database
from yijian_common.crypto import Keyring, new_key_file
from yijian_common.settings import Environment
from yijian_embedded.testing import FreshDatabase

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def identity(fresh_database: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An identity that has started once."""
    key_file, url = tmp_path / "keys.json", fresh_database("identity")
    key_file.write_text(new_key_file())
    settings = IdentitySettings.model_validate(
        {
            "service": "identity",
            "environment": Environment.DEVELOPMENT,
            "http_port": 0,
            "identity_issuer": "http://identity.test",
            "database_url": url,
            "key_file": key_file,
            "pairwise_key_file": key_file,
            "kafka_bootstrap": "127.0.0.1:1",
            "kafka_password": "nobody listens",
        }
    )
    asyncio.run(_start(settings))
    monkeypatch.setenv("YIJIAN_DATABASE_URL", url)
    monkeypatch.setenv("YIJIAN_KEY_FILE", str(key_file))
    monkeypatch.setenv("YIJIAN_OPERATOR", "wang")


async def _start(settings: IdentitySettings) -> None:
    await database.migrate(settings, MIGRATIONS)
    async with database.open_pool(settings) as pool:
        await ensure_first_key(pool, Keyring.load(settings.key_file))


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def states(*arguments: str) -> list[str]:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    told: list[dict[str, Any]] = json.loads(result.stdout)
    return [key["state"] for key in told]


def actions() -> list[tuple[str, str]]:
    listed = CliRunner().invoke(app, ["incidents", "list", "identity", "--all", "--json"])
    return [(each["summary"], each["resolution"]) for each in json.loads(listed.stdout)]


def test_the_next_key_is_made_once_and_the_deed_is_noted() -> None:
    assert states("status") == ["SIGNS"]
    assert states("rotate", "--reason", "the yearly exercise") == ["SIGNS", "NEXT"]
    assert actions() == [("wang made the next signing key", "the yearly exercise")]
    assert "waiting already" in call("rotate", "--reason", "again").stdout
    assert states("status") == ["SIGNS", "NEXT"]
    assert len(actions()) == 1


def test_in_a_hurry_the_waiting_key_gives_way() -> None:
    states("rotate", "--reason", "the yearly exercise")
    assert states("rotate", "--soon", "--reason", "the auditor waits") == ["SIGNS", "NEXT"]
    assert len(actions()) == 2


def test_a_stolen_key_is_withdrawn_at_once() -> None:
    before = json.loads(call("status", "--json").stdout)
    states("rotate", "--reason", "the yearly exercise")
    assert states("rotate", "--stolen", "--reason", "a backup was lost") == ["SIGNS"]
    assert json.loads(call("status", "--json").stdout)[0]["kid"] != before[0]["kid"]
    assert actions()[0] == ("wang withdrew every signing key and made a new one", "a backup was lost")


@pytest.mark.parametrize("arguments", [("rotate",), ("rotate", "--reason", " ")])
def test_nothing_is_done_without_a_reason(arguments: tuple[str, ...]) -> None:
    assert call(*arguments).exit_code != 0
    assert states("status") == ["SIGNS"]


def test_a_person_reads_a_table() -> None:
    shown = call("status").stdout
    assert "Signing keys of identity" in shown
    assert "signs" in shown
