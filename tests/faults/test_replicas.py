"""Two processes of approval: they share the work, and one goes on where the other was killed."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio
from yijian_messaging.testing import wait_until

from tests.faults.births import Births

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

# Kafka's session time-out and the outbox's lease are 20 and 15 seconds.
TAKEN_OVER_WITHIN_S = 90


@pytest_asyncio.fixture
async def second(births: Births) -> AsyncIterator[None]:
    births.city.platform.start_service("approval", replica=2)
    yield
    births.heal()
    births.city.platform.stop_service("approval", replica=2)


def shares(births: Births) -> set[int]:
    """How many shards of the outbox each live owner has."""
    rows = births.city.query(
        "approval",
        "SELECT count(*) AS n FROM outbox_lease WHERE owner IS NOT NULL AND expires_at > now() GROUP BY owner",
    )
    return {row["n"] for row in rows}


def in_progress(births: Births) -> set[UUID]:
    rows = births.city.query("approval", "SELECT id FROM application WHERE status = 'IN_PROGRESS'")
    return {row["id"] for row in rows}


@pytest.mark.usefixtures("second")
async def test_the_second_takes_over_what_the_first_was_doing(births: Births):
    async def shared() -> bool:
        return shares(births) == {8}

    await wait_until(shared, what="both to hold half of the outbox", within=30)
    # Other stories end with somebody who never answers.
    waiting_for_people = in_progress(births)
    await births.apply(3)
    await births.all_granted()

    applying = asyncio.create_task(births.apply(3))
    await asyncio.sleep(0.1)
    births.city.kill("approval")

    async def all_taken() -> bool:
        return shares(births) == {16}

    await wait_until(all_taken, what="the second to hold the whole outbox", within=TAKEN_OVER_WITHIN_S)

    async def nothing_waits() -> bool:
        return in_progress(births) <= waiting_for_people

    # Whatever the first had accepted completes without it.
    await wait_until(nothing_waits, what="the second to complete what was accepted", within=TAKEN_OVER_WITHIN_S)
    births.heal()
    await applying
    await births.settled_once()
