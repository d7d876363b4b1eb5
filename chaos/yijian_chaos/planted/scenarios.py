"""What provokes each of the twelve bugs: a load, and a few faults at fixed moments beside it.

None of it harms a platform without the bug, which the same scenarios show.
"""

import asyncio
from collections.abc import Mapping

from yijian_messaging.faultpoints import VARIABLE, FaultPoint
from yijian_messaging.testing import wait_until

from yijian_chaos.operations import Operation, Story, Wish
from yijian_chaos.planted import interference
from yijian_chaos.planted.bugs import APIS, RELAYS, WORKERS
from yijian_chaos.planted.trial import Attack, Scenario
from yijian_chaos.profiles import Profile
from yijian_chaos.stage import Stage

DIES_WITHIN_S = 120.0
APPLY_EVERY_S = 0.5
PARTS_OF_APPROVAL = (*APIS, *WORKERS, *RELAYS)
FIRST_BUREAU = "civil-affairs"
TASKS_OF_HEALTH = "department.health.tasks"
# Its answer is all that an application then waits for.
LAST_BUREAU = "human-resources"


def _load(name: str, *, seconds: float, submits_per_s: float) -> Profile:
    return Profile(
        name=name,
        load_s=seconds,
        submits_per_s=submits_per_s,
        looks=1,
        faults=(),
        every_s=(10, 15),
        quiet_s=0,
        pause_s=0,
        longest_s=0,
        least_operations=0,
        least_faults=0,
    )


# --- faults ----------------------------------------------------------------------------------------------------------


async def _kill_at(attack: Attack, name: str, point: FaultPoint, times: int) -> None:
    """Have a process killed when it reaches a point for the so-manyeth time, and start it again."""
    stage = attack.stage
    await asyncio.to_thread(stage.stop, name)
    await asyncio.to_thread(stage.start, name, {VARIABLE: f"{point}:{times}"})

    async def dead() -> bool:
        # However slow the machine is and whenever the load ends: something comes by until the point is reached.
        attack.clients.begin(attack.apply())
        await asyncio.sleep(APPLY_EVERY_S)
        return stage.pid(name) is None

    await wait_until(dead, what=f"{name} to die at {point}", within=DIES_WITHIN_S)
    await asyncio.to_thread(stage.start, name)


async def _stop(stage: Stage, *names: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(stage.stop, name) for name in names))


async def _start(stage: Stage, *names: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(stage.start, name) for name in names))


async def _answered_and_not_read(attack: Attack) -> list[int]:
    """Stop the workers, and have eight families apply and the first bureau answer; these families."""
    await asyncio.sleep(3)
    await _stop(attack.stage, *WORKERS)
    families = [next(attack.families) for _ in range(8)]
    applied = await asyncio.gather(*(attack.clients.apply(number, address=number % 2) for number in families))
    await interference.all_answered(attack.stage, FIRST_BUREAU, applied)
    return families


# --- one for each bug ------------------------------------------------------------------------------------------------


async def _worker_dies_before_commit(attack: Attack) -> None:
    await _kill_at(attack, WORKERS[0], FaultPoint.BATCH_BEFORE_COMMIT, 4)


async def _database_away(attack: Attack) -> None:
    """Twice, each time for longer than a consumer takes to commit by itself."""
    for _ in range(2):
        await asyncio.sleep(6)
        await _stop(attack.stage, "postgres")
        await asyncio.sleep(8)
        await _start(attack.stage, "postgres")


async def _apis_slow_to_commit(attack: Attack) -> None:
    """What the API writes is committed later than what workers write meanwhile, under greater numbers."""
    wire = attack.stage.wires["approval-api>postgres"]
    await wire.slow(latency_s=0.05, jitter_s=0.03)
    await asyncio.sleep(20)
    await wire.pass_through()


async def _one_slow_relay(attack: Attack) -> None:
    """What it sends arrives after what the other sends."""
    wire = attack.stage.wires["approval-relay-1>kafka"]
    await wire.slow(latency_s=0.3, jitter_s=0.1)
    await asyncio.sleep(20)
    await wire.pass_through()


async def _api_dies_after_commit(attack: Attack) -> None:
    await _kill_at(attack, APIS[0], FaultPoint.INTAKE_AFTER_COMMIT, 4)


async def _relay_dies_after_sending(attack: Attack) -> None:
    """Its first batch holds requests to health, which is asked as soon as the first bureau's answers are read."""
    stage = attack.stage
    families = await _answered_and_not_read(attack)
    await _stop(stage, *RELAYS)
    await _start(stage, *WORKERS)
    await interference.waits_to_be_sent(stage, TASKS_OF_HEALTH, at_least=len(families))
    await _kill_at(attack, RELAYS[0], FaultPoint.RELAY_AFTER_SEND, 1)
    await _start(stage, *RELAYS[1:])


async def _api_dies_before_commit(attack: Attack) -> None:
    """Twice: what was lost may be handed in once more with its key, and be there again."""
    for _ in range(2):
        await _kill_at(attack, APIS[0], FaultPoint.INTAKE_BEFORE_COMMIT, 4)


async def _kafka_forgets_the_group(attack: Attack) -> None:
    """As it does with a group that was away for longer than its offsets are kept."""
    await asyncio.sleep(5)
    await _stop(attack.stage, *WORKERS)
    await interference.forget_group(attack.stage.platform, "approval.results")
    await _start(attack.stage, *WORKERS)


async def _timestamps_refused(attack: Attack) -> None:
    """Kafka's clock and the relays' disagree for a moment: batches are refused, and leave gaps in their sequence."""
    await asyncio.sleep(5)
    async with interference.timestamps_refused(attack.stage.platform, TASKS_OF_HEALTH):
        await asyncio.sleep(4)


async def _parts_die_after_commit(attack: Attack) -> None:
    await _kill_at(attack, WORKERS[0], FaultPoint.BATCH_AFTER_COMMIT, 4)
    await _kill_at(attack, APIS[0], FaultPoint.INTAKE_AFTER_COMMIT, 4)


async def _withdrawn_before_the_answers_are_read(attack: Attack) -> None:
    for number in await _answered_and_not_read(attack):
        withdrawal = Operation(0, Wish.WITHDRAW, number, Story.HASTY, number % 2)
        await attack.clients.carry_out(withdrawal, moment=0)
    await _start(attack.stage, *WORKERS)


async def _database_put_back(attack: Attack) -> None:
    """To a moment before the last answer about one application was read, and nothing else had happened since."""
    stage = attack.stage
    await asyncio.sleep(12)
    await interference.quiet(stage)
    await _stop(stage, LAST_BUREAU)
    application = await attack.apply()
    await interference.waits_for_its_last_answer(stage, application)
    await _stop(stage, *PARTS_OF_APPROVAL)
    interference.copy_database(stage.platform)
    await _start(stage, *PARTS_OF_APPROVAL, LAST_BUREAU)
    await interference.quiet(stage)
    await _stop(stage, *PARTS_OF_APPROVAL)
    interference.put_database_back(stage.platform)
    await _start(stage, *PARTS_OF_APPROVAL)


SCENARIOS: Mapping[str, Scenario] = {
    "offset-before-commit": Scenario(
        _load("offset-before-commit", seconds=20, submits_per_s=2), _worker_dies_before_commit
    ),
    "auto-commit": Scenario(_load("auto-commit", seconds=35, submits_per_s=5), _database_away),
    "relay-id-greater-than-last": Scenario(
        _load("relay-id-greater-than-last", seconds=20, submits_per_s=4), _apis_slow_to_commit, wired=True
    ),
    "two-relays-skip-locked": Scenario(
        _load("two-relays-skip-locked", seconds=20, submits_per_s=4), _one_slow_relay, wired=True
    ),
    "direct-produce": Scenario(_load("direct-produce", seconds=20, submits_per_s=2), _api_dies_after_commit),
    "inbox-unique-dropped": Scenario(
        _load("inbox-unique-dropped", seconds=20, submits_per_s=2), _relay_dies_after_sending
    ),
    "commit-after-response": Scenario(
        _load("commit-after-response", seconds=20, submits_per_s=2), _api_dies_before_commit
    ),
    "latest-reset": Scenario(_load("latest-reset", seconds=20, submits_per_s=2), _kafka_forgets_the_group),
    "producer-not-rebuilt": Scenario(_load("producer-not-rebuilt", seconds=20, submits_per_s=4), _timestamps_refused),
    "ledger-leaf-outside-tx": Scenario(
        _load("ledger-leaf-outside-tx", seconds=20, submits_per_s=2), _parts_die_after_commit
    ),
    "late-result-overwrites-final": Scenario(
        _load("late-result-overwrites-final", seconds=15, submits_per_s=2), _withdrawn_before_the_answers_are_read
    ),
    "restored-without-reseek": Scenario(
        _load("restored-without-reseek", seconds=10, submits_per_s=2), _database_put_back
    ),
}
