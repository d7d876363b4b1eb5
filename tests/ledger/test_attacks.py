"""Whatever a database superuser changes is found by somebody who has two public keys and may ask the witness."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from yijian_embedded.platform import Platform
from yijian_ledger.audit import Audit

from tests.ledger.attacks import (
    ATTACKS,
    ON_LEAVES,
    Attacker,
    grow_with_the_stolen_key,
    rewrite_and_sign_with_the_stolen_key,
)
from tests.ledger.scene import Scene, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEAVES = 5_000
SAMPLED = 24


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """5,000 leaves under thirty checkpoints, all of it witnessed."""
    async with staged(platform, tmp_path_factory.mktemp("ledger")) as opened:
        steps = random.Random(7)  # noqa: S311 - where checkpoints fall
        cuts = sorted({*steps.sample(range(1, LEAVES), 29), LEAVES})
        for before, after in zip([0, *cuts], cuts, strict=False):
            await opened.append(after - before)
            await opened.sign()
        await opened.cosign()
        yield opened


async def attacked(scene: Scene, number: int, seed: int) -> tuple[str, Audit, int | None]:
    """One attack, what it was, and what came out."""
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 - which attack, where
    attack = ATTACKS[number % len(ATTACKS)]
    async with scene.tampered() as session:
        leaf = await attack(Attacker(session, chance, LEAVES, scene.key))
        result = await scene.audit()
    return attack.__name__, result, leaf


async def test_an_untouched_ledger_is_in_order(scene: Scene):
    result = await scene.audit()
    assert result.findings == []
    assert result.checkpoint is not None
    assert result.witnessed is not None
    assert (result.checkpoint.size, result.witnessed.size, result.signed_in_between) == (LEAVES, LEAVES, 30)


@pytest.mark.timeout(120)
async def test_a_sample_of_attacks_is_found(scene: Scene, seed: int):
    for number in range(SAMPLED):
        name, result, _ = await attacked(scene, number, seed)
        assert not result.in_order, f"{name} was not found, seed {seed}, number {number}"
    assert (await scene.audit()).in_order, "nothing of it is left"


@pytest.mark.ledger
@pytest.mark.timeout(3600)
async def test_each_of_a_thousand_attacks_is_found_and_leaves_are_named(scene: Scene, seed: int):
    missed: list[str] = []
    named: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for number in range(1000):
        name, result, leaf = await attacked(scene, number, seed)
        if result.in_order:
            missed.append(f"{name} (number {number})")
        if leaf is not None:
            tried[name] += 1
            named[name] += any(found.leaf == leaf or f"leaf {leaf} " in found.text for found in result.findings)
    print(f"\n1,000 attacks, seed {seed}: {1000 - len(missed)} found; leaf named {named.total()} of {tried.total()}")  # noqa: T201 - for whoever runs it
    print({name: f"{named[name]}/{tried[name]}" for name in tried})  # noqa: T201 - for whoever runs it
    assert missed == []
    assert set(tried) == {attack.__name__ for attack in ON_LEAVES}
    assert named.total() >= 0.95 * tried.total()


async def test_who_remembers_names_every_leaf(scene: Scene, seed: int):
    memory = (await scene.audit()).memory
    chance = random.Random(seed)  # noqa: S311 - which leaves
    tail = LEAVES - LEAVES % 256
    for index in (chance.randrange(LEAVES), chance.randrange(tail, LEAVES)):
        async with scene.tampered() as session:
            await session.execute("UPDATE ledger.leaf SET data = set_byte(data, 20, 46) WHERE index = $1", index)
            result = await scene.audit(memory=memory)
        assert index in {finding.leaf for finding in result.findings}


async def test_who_asks_no_witness_cannot_tell_a_history_rewritten_by_its_own_key_but_who_remembers_can(scene: Scene):
    """What the witness is for; the page says so."""
    memory = (await scene.audit()).memory
    async with scene.tampered() as session:
        await rewrite_and_sign_with_the_stolen_key(Attacker(session, random.Random(1), LEAVES, scene.key))  # noqa: S311 - attacks that can be repeated
        assert (await scene.audit(witnessed=False)).in_order
        assert not (await scene.audit(witnessed=False, memory=memory)).in_order
        assert not (await scene.audit()).in_order


async def test_two_auditors_who_were_shown_different_ends_find_out_at_the_next_witnessed_state(
    platform: Platform, tmp_path: Path
):
    async with staged(platform, tmp_path) as scene:
        await scene.append(300)
        await scene.sign()
        await scene.cosign()
        first = await scene.audit()
        async with scene.tampered() as session:
            await grow_with_the_stolen_key(Attacker(session, random.Random(3), 300, scene.key))  # noqa: S311 - attacks that can be repeated
            second = await scene.audit(memory=first.memory)
            assert second.in_order, "beyond what was witnessed nobody can tell yet"
        await scene.append(60)
        await scene.sign()
        await scene.cosign()
        honest = await scene.audit(memory=first.memory)
        assert honest.in_order
        deceived = await scene.audit(memory=second.memory)
        assert not deceived.in_order
