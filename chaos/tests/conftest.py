"""A run on paper in which nothing went wrong, for each test to break something in a copy of it."""

import copy

import pytest

from .checked_births import healthy
from .checked_world import World


@pytest.fixture(scope="session")
def unharmed() -> World:
    return healthy()


@pytest.fixture
def world(unharmed: World) -> World:
    return copy.deepcopy(unharmed)
