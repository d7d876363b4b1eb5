"""Many append, one signs, the witness cosigns, readers verify all the while; how fast is printed and not judged."""

import asyncio
import random
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from data_exchange.fsck import check
from data_exchange.ledger import append
from data_exchange.signer import Signer
from data_exchange.witness_client import WitnessRefusesError
from data_exchange.witnessing import Feeder, witness_objects
from yijian_embedded.platform import Platform
from yijian_ledger.checkpoints import Checkpoint, open_checkpoint, sign_checkpoint
from yijian_ledger.keys import KeyKind
from yijian_ledger.proofs import verify_consistency, verify_inclusion
from yijian_ledger.tree_hash import SM3
from yijian_messaging.testing import wait_until

from tests.ledger.scene import ORIGIN, SERVICE, Scene, new_leaf, staged

BATCH = 500
WRITERS = 3
READERS = 3


@dataclass
class Hammer:
    """What was appended, and what readers have verified."""

    scene: Scene
    ids: list[UUID] = field(default_factory=list)
    verified: int = 0
    consistent: int = 0
    sizes: list[tuple[float, int]] = field(default_factory=list)

    async def write(self, until: float) -> None:
        while time.monotonic() < until:
            leaves = [new_leaf() for _ in range(BATCH)]
            async with self.scene.parts.store.transaction() as transaction:
                await append(transaction.connection, leaves)
            self.ids += [leaf.id for leaf in leaves]

    async def read(self, stopping: asyncio.Event, chance: random.Random) -> None:
        last: Checkpoint | None = None
        while not stopping.is_set():
            await asyncio.sleep(0.05)
            answer = await self.scene.client.get("/checkpoint")
            if answer.status_code == 409:
                continue
            now, _ = open_checkpoint(answer.text, self.scene.key.public)
            if last is not None:
                await self._goes_on(last, now)
            if last is None or now.size > last.size:
                self.sizes.append((time.monotonic(), now.size))
            last = now
            if self.ids:
                await self._is_in(chance.choice(self.ids))

    async def _goes_on(self, old: Checkpoint, now: Checkpoint) -> None:
        query = {"old": old.size, "size": now.size}
        told = (await self.scene.client.get("/v1/ledger/consistency", params=query)).json()
        proof = [b64decode(step) for step in told["proof"]]
        verify_consistency(old.root, now.root, old=old.size, size=now.size, proof=proof)
        self.consistent += 1

    async def _is_in(self, leaf_id: UUID) -> None:
        answer = await self.scene.client.get("/v1/ledger/inclusion", params={"id": str(leaf_id)})
        if answer.status_code == 409:
            return  # not signed yet
        assert answer.status_code == 200, answer.text
        told = answer.json()
        checkpoint, _ = open_checkpoint(told["checkpoint"], self.scene.key.public)
        proof = [b64decode(step) for step in told["proof"]]
        found = SM3.leaf(told["leaf"].encode())
        verify_inclusion(found, index=told["index"], size=checkpoint.size, proof=proof, root=checkpoint.root)
        self.verified += 1

    async def is_covered(self) -> bool:
        told = (await self.scene.client.get("/v1/ledger")).json()
        done = len(self.ids)
        return bool(told["witnessed"] and told["witnessed"]["size"] == told["signed"]["size"] == told["leaves"] == done)


@asynccontextmanager
async def signing(scene: Scene, *instances: str) -> AsyncIterator[list[Signer]]:
    """A signer and a feeder for each instance, as processes of their own would have them."""
    stopping = asyncio.Event()
    signers = [
        Signer(
            scene.parts.store,
            scene.parts.pool,
            scene.key,
            source=SERVICE,
            instance=name,
            objects=partial(witness_objects, witness=scene.witness),
        )
        for name in instances
    ]
    feeders = [
        Feeder(scene.parts.store, scene.parts.pool, scene.witness, leads=partial(getattr, signer, "leads"))
        for signer in signers
    ]
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for component in (*signers, *feeders):
            group.create_task(component.run(stopping))
        yield signers
        stopping.set()


async def hammered(scene: Scene, seconds: float, seed: int) -> Hammer:
    hammer = Hammer(scene)
    reading = asyncio.Event()
    chance = random.Random(seed)  # noqa: S311 - which leaves are looked at
    began = time.monotonic()
    async with signing(scene, "one", "two") as signers, asyncio.TaskGroup() as readers:
        for _ in range(READERS):
            readers.create_task(hammer.read(reading, chance))
        async with asyncio.TaskGroup() as writers:
            for _ in range(WRITERS):
                writers.create_task(hammer.write(began + seconds))
        took = time.monotonic() - began
        await wait_until(hammer.is_covered, what="everything to be witnessed", within=60)
        reading.set()
        assert [signer.problem() for signer in signers] == [None, None]
        assert sum(signer.leads for signer in signers) == 1
    async with scene.parts.pool.acquire() as connection:
        found = await check(connection, keyring=None, log=scene.key.public, witness=scene.witness_key.public)
    assert [sentence for sentence in found if not sentence.startswith("What leaf")] == []
    assert (await scene.audit()).findings == []
    assert hammer.verified
    assert hammer.consistent
    times = sorted(at for at, _ in hammer.sizes if at < began + took)
    longest = max((later - earlier for earlier, later in pairwise(times)), default=0.0)
    print(  # noqa: T201 - for whoever runs it
        f"\n{len(hammer.ids) / took:,.0f} leaves/s over {took:.0f} s with {READERS} readers:"
        f" {hammer.verified} inclusions and {hammer.consistent} consistencies verified;"
        f" longest time without a new checkpoint {longest:.2f} s"
    )
    return hammer


@pytest.mark.timeout(150)
async def test_readers_verify_while_leaves_pour_in(platform: Platform, tmp_path: Path, seed: int):
    async with staged(platform, tmp_path) as scene:
        hammer = await hammered(scene, 1, seed)
        assert hammer.ids


@pytest.mark.ledger
@pytest.mark.timeout(900)
async def test_readers_verify_for_a_minute(platform: Platform, tmp_path: Path, seed: int):
    async with staged(platform, tmp_path) as scene:
        await hammered(scene, 60, seed)


@pytest.mark.timeout(120)
async def test_when_the_signer_is_gone_another_one_signs_on(platform: Platform, tmp_path: Path):
    async with staged(platform, tmp_path) as scene:
        hammer = Hammer(scene)
        async with signing(scene, "one"):
            hammer.ids += [leaf.id for leaf in await scene.append(10)]
            await wait_until(hammer.is_covered, what="the first one's checkpoint")
        await scene.parts.pool.execute(
            "UPDATE ledger_signer SET owner = 'killed', expires_at = now() + interval '1 second'"
        )
        async with signing(scene, "two") as (second,):
            hammer.ids += [leaf.id for leaf in await scene.append(10)]
            await wait_until(hammer.is_covered, what="the second one's checkpoint")
            assert second.leads


@pytest.mark.timeout(120)
async def test_a_restored_database_is_not_signed_behind_the_witnesss_back(platform: Platform, tmp_path: Path):
    """The tables came back older than what was witnessed: signing on would make a second history."""
    async with staged(platform, tmp_path) as scene:
        for _ in range(2):
            await scene.append(10)
            await scene.sign()
        await scene.cosign()
        await scene.admin.execute(
            "DELETE FROM ledger.cosignature; DELETE FROM ledger.checkpoint WHERE size > 10;"
            " DELETE FROM ledger.leaf WHERE index >= 10"
        )
        await scene.append(1)
        async with signing(scene, "one") as (signer,):

            async def objected() -> bool:
                incidents = await scene.parts.store.incidents()
                return any(incident.kind == "ledger-broken" for incident in incidents)

            await wait_until(objected, what="the signer to refuse")
            assert "the witness saw 20 leaves signed and the tables know of 10" in (signer.problem() or "")
        assert await scene.parts.pool.fetchval("SELECT max(size) FROM ledger.checkpoint") == 10


@pytest.mark.timeout(120)
async def test_the_witness_is_fed_what_it_missed(platform: Platform, tmp_path: Path):
    """It stands elsewhere than we thought: its own size is where the next proof begins."""
    async with staged(platform, tmp_path) as scene:
        await scene.append(10)
        await scene.sign()
        await scene.cosign()
        await scene.admin.execute("DELETE FROM ledger.cosignature")
        hammer = Hammer(scene, ids=[UUID(int=n) for n in range(10)])
        async with signing(scene, "one"):
            await wait_until(hammer.is_covered, what="the cosignature to be had again")
            hammer.ids += [leaf.id for leaf in await scene.append(300)]
            await wait_until(hammer.is_covered, what="the next one")


@pytest.mark.timeout(120)
async def test_a_ledger_that_signs_with_sm2_is_witnessed_and_verified_as_well(platform: Platform, tmp_path: Path):
    async with staged(platform, tmp_path, kind=KeyKind.SM2) as scene:
        hammer = Hammer(scene)
        async with signing(scene, "one"):
            hammer.ids += [leaf.id for leaf in await scene.append(300)]
            await wait_until(hammer.is_covered, what="the witness to cosign what SM2 signed")
        result = await scene.audit()
        assert result.findings == []
        assert result.witnessed is not None
        assert result.witnessed.size == 300


@pytest.mark.timeout(120)
async def test_two_histories_that_were_signed_are_found_even_when_the_true_one_is_shown(
    platform: Platform, tmp_path: Path
):
    """The witness refuses the second one and keeps both signatures: nobody can deny them."""
    async with staged(platform, tmp_path) as scene:
        await scene.append(20)
        await scene.sign()
        await scene.cosign()
        fork = sign_checkpoint(Checkpoint(ORIGIN, 20, SM3.leaf(b"another root")), scene.key)
        with pytest.raises(WitnessRefusesError):
            await scene.witness.add(20, [], fork)
        (found,) = (await scene.audit()).findings
        assert found.text == "the ledger signed two histories of 20 leaves; the witness has both"
