"""`yijian figures` over rating's real database: what is stored otherwise than it happened is told, and mended."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr
from rating import figure_rows
from rating.figures import Fact, FactKind
from rating.main import MIGRATIONS
from rating.questionnaire import Level
from rating.settings import RatingSettings
from typer.testing import CliRunner
from yijian_cli.main import app
from yijian_common import database
from yijian_common.crypto import new_key_file
from yijian_contracts.working_days import local_date
from yijian_embedded.testing import FreshDatabase

pytestmark = pytest.mark.postgres

TODAY = local_date(datetime.now(UTC))


@pytest.fixture
def url(fresh_database: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A rating database in which one resident was content with health."""
    key_file = tmp_path / "keys.json"
    key_file.write_text(new_key_file())
    address = fresh_database("rating")
    asyncio.run(_fill(address, key_file))
    monkeypatch.setenv("YIJIAN_DATABASE_URL", address)
    monkeypatch.setenv("YIJIAN_KEY_FILE", str(key_file))
    monkeypatch.setenv("YIJIAN_OPERATOR", "wang")
    return address


async def _fill(address: str, key_file: Path) -> None:
    settings = RatingSettings(
        service="rating",
        http_port=0,
        database_url=SecretStr(address),
        key_file=key_file,
        kafka_bootstrap="127.0.0.1:1",
        kafka_password=SecretStr("nobody listens"),
    )
    await database.migrate(settings, MIGRATIONS)
    held = await asyncpg.connect(address)
    async with held.transaction():
        await figure_rows.record(held, [Fact(uuid4(), FactKind.REVIEWED, "health", TODAY, Level.SATISFIED)])
    await held.close()


async def _execute(address: str, statement: str) -> str:
    held = await asyncpg.connect(address)
    try:
        return str(await held.fetchval(statement))
    finally:
        await held.close()


def test_figures_that_are_what_happened(url: str):
    assert url
    result = CliRunner().invoke(app, ["figures", "check"])
    assert result.exit_code == 0, result.output
    assert "is what happened" in result.stdout


def test_a_figure_changed_behind_our_back_is_told_and_mended(url: str):
    asyncio.run(_execute(url, "UPDATE figure SET counts = '{\"SATISFIED\": 100}' RETURNING 1"))
    told = CliRunner().invoke(app, ["figures", "check"])
    assert told.exit_code == 1
    assert "SATISFIED: stored 100, happened 1" in told.stdout
    as_json = json.loads(CliRunner().invoke(app, ["figures", "check", "--json"]).stdout)
    assert as_json == [
        {
            "day": TODAY.isoformat(),
            "department": "health",
            "stored": {"SATISFIED": 100},
            "happened": {"REVIEWED": 1, "SATISFIED": 1},
        }
    ]
    mended = CliRunner().invoke(app, ["figures", "rebuild", "--reason", "a superuser had changed it"])
    assert mended.exit_code == 0, mended.output
    assert CliRunner().invoke(app, ["figures", "check"]).exit_code == 0
    noted = asyncio.run(_execute(url, "SELECT summary FROM incident WHERE kind = 'operator-figures'"))
    assert noted == "wang had 1 days of figures stored anew"


def test_too_many_days_are_refused_in_a_sentence(url: str):
    assert url
    result = CliRunner().invoke(app, ["figures", "check", "--from", "2020-01-01", "--to", "2026-01-01"])
    assert result.exit_code == 1
    assert "Name at most 400 days" in result.stderr
