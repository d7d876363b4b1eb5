"""kill -9 at every round trip of append and sign: nothing is signed and not stored, nothing stored cannot be proven."""

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from data_exchange.fsck import check
from yijian_embedded.platform import Platform

from tests.ledger.dying import BATCH
from tests.ledger.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")
DYING = Path(__file__).with_name("dying.py")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("dying")
    async with staged(platform, folder) as opened:
        (folder / "ledger.json").write_text(opened.key.as_text())
        yield opened


class Dying:
    """The process that appends and signs over the scene's database."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.key_file = scene.settings.key_file.with_name("ledger.json")

    async def run(self, *death: str) -> tuple[int, dict[str, int]]:
        """Its exit code, and what it said last of each kind."""
        url = self.scene.settings.database_url.get_secret_value()
        command = [sys.executable, str(DYING), url, str(self.key_file), *death]
        done = await asyncio.to_thread(
            subprocess.run, command, stdout=subprocess.PIPE, text=True, timeout=60, check=False
        )
        said = dict(line.split() for line in done.stdout.splitlines())
        return done.returncode, {word: int(number) for word, number in said.items()}

    async def is_clean(self) -> None:
        """fsck finds nothing, what was said to be committed is there, and everything signed can be proven."""
        async with self.scene.parts.pool.acquire() as connection:
            found = await check(
                connection, keyring=None, log=self.scene.key.public, witness=self.scene.witness_key.public
            )
        # These leaves were made without disclosures: that is not what is tested here.
        assert [sentence for sentence in found if not sentence.startswith("What leaf")] == []
        if await self.scene.parts.pool.fetchval("SELECT count(*) FROM ledger.checkpoint"):
            assert (await self.scene.audit(witnessed=False)).findings == []

    async def survives(self, number: int, when: str) -> None:
        code, said = await self.run(str(number), when)
        assert code == -signal.SIGKILL, "it died where it was to die"
        leaves = await self.scene.parts.pool.fetchval("SELECT count(*) FROM ledger.leaf")
        signed = await self.scene.parts.pool.fetchval("SELECT coalesce(max(size), 0) FROM ledger.checkpoint")
        assert leaves >= said.get("appended", 0)
        assert signed >= said.get("signed", 0)
        await self.is_clean()


@pytest_asyncio.fixture(loop_scope="module")
async def dying(scene: Scene) -> Dying:
    return Dying(scene)


async def test_unhurt_it_appends_and_signs_twice(dying: Dying):
    code, said = await dying.run()
    assert code == 0
    assert said["appended"] == said["signed"]
    assert said["appended"] % (2 * BATCH) == 0
    await dying.is_clean()


@pytest.mark.timeout(120)
async def test_killed_at_a_round_trip_drawn_by_lot_it_leaves_the_tables_in_order(dying: Dying, seed: int):
    _, said = await dying.run()
    chance = random.Random(seed)  # noqa: S311 - where it dies
    for number in chance.sample(range(2, said["rounds"] + 1), 3):
        await dying.survives(number, chance.choice(["before", "after"]))
    code, _ = await dying.run()
    assert code == 0, "and it goes on"
    await dying.is_clean()


@pytest.mark.ledger
@pytest.mark.timeout(1800)
async def test_killed_at_every_round_trip_it_leaves_the_tables_in_order(dying: Dying):
    _, said = await dying.run()
    for number in range(1, said["rounds"] + 1):
        for when in ("before", "after"):
            await dying.survives(number, when)
    code, _ = await dying.run()
    assert code == 0
    await dying.is_clean()
    print(f"\nkilled before and after each of {said['rounds']} round trips: fsck clean each time")  # noqa: T201 - for whoever runs it
