"""The running platform, with families that no story of tests/e2e takes, and a look into its raw sources."""

import os
import random
from collections import deque
from collections.abc import AsyncIterator

import httpx
import pytest
from yijian_embedded.platform import Platform
from yijian_examples.records import find_population

from tests.e2e.city import City
from tests.faults.births import Births

FIRST, LAST = 21, 200


@pytest.fixture(scope="session")
def waiting_families() -> deque[int]:
    """The families whose mothers apply during faults, each once."""
    return deque(range(FIRST, LAST + 1))


@pytest.fixture
async def births(running_platform: Platform, waiting_families: deque[int]) -> AsyncIterator[Births]:
    population = find_population(running_platform.home.records)
    assert population is not None
    async with httpx.AsyncClient(trust_env=False, timeout=20, limits=httpx.Limits(max_connections=64)) as http:
        city = City(running_platform, families=None, http=http)  # type: ignore[arg-type] # its stories' own
        yield Births(city, waiting_families, population.today)


@pytest.fixture(scope="session")
def seed() -> int:
    """What this run leaves to chance; a failing test shows it, and the variable FAULT_SEED repeats it."""
    chosen = int(os.environ.get("FAULT_SEED") or random.randrange(10**6))  # noqa: S311 - tests, not secrets
    print(f"FAULT_SEED={chosen}")  # noqa: T201 - for whoever repeats a failure
    return chosen
