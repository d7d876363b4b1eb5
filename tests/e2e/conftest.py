"""The running platform as a city, and the order in which its stories are told."""

from collections.abc import AsyncIterator

import httpx
import pytest
from yijian_embedded.platform import Platform
from yijian_examples.records import find_population

from tests.e2e.city import City, Families


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is looked for in every log and store is looked for after the other stories."""
    items.sort(key=lambda item: item.path.name == "test_leaks.py")


@pytest.fixture(scope="session")
def families(running_platform: Platform) -> Families:
    population = find_population(running_platform.home.records)
    assert population is not None
    return Families(population.today)


@pytest.fixture
async def city(running_platform: Platform, families: Families) -> AsyncIterator[City]:
    async with httpx.AsyncClient(trust_env=False, timeout=30, limits=httpx.Limits(max_connections=64)) as http:
        yield City(running_platform, families, http)
