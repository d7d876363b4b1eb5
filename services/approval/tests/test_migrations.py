"""A database that was there before is brought up to date, or refused with what to do."""

import shutil
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from approval.main import MIGRATIONS
from approval.settings import ApprovalSettings
from yijian_common import database
from yijian_contracts import derived_ids
from yijian_embedded.testing import FreshDatabase

from .conftest import settings_of

pytestmark = pytest.mark.postgres

APPLICATION = UUID("0193f3a2-5c00-7b3e-9d41-6f2a8c1e7b05")
FORMER = UUID("a18ef218-af53-503d-a327-9321c5558cad")


@pytest.fixture
async def settings(fresh_database: FreshDatabase, tmp_path: Path) -> ApprovalSettings:
    """Of a database as it was before ids began alike."""
    settings = settings_of(fresh_database("approval"), tmp_path)
    before = shutil.copytree(MIGRATIONS, tmp_path / "before", ignore=shutil.ignore_patterns("0009*", "__pycache__"))
    await database.migrate(settings, before)
    return settings


async def disclose(settings: ApprovalSettings, task: UUID) -> None:
    held = await asyncpg.connect(settings.database_url.get_secret_value())
    await held.execute(
        "INSERT INTO disclosure (task_id, application_id, department, matter, disclosed_at, fields)"
        " VALUES ($1, $2, 'disease-control', 'B3', now(), '{}')",
        task,
        APPLICATION,
    )
    await held.close()


async def test_tasks_that_departments_would_take_for_new_ones_are_not_gone_on_with(settings: ApprovalSettings):
    await disclose(settings, FORMER)
    for _ in range(2):
        with pytest.raises(Exception, match="tasks whose ids were made in a way that is given up"):
            await database.migrate(settings, MIGRATIONS)


async def test_a_database_without_such_tasks_is_brought_up_to_date(settings: ApprovalSettings):
    await disclose(settings, derived_ids.task_id(APPLICATION, child=1, matter="B3", attempt=1))
    await database.migrate(settings, MIGRATIONS)
