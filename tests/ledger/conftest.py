"""What is drawn by lot is drawn from a seed that a failure names."""

import os
import secrets

import pytest


@pytest.fixture
def seed() -> int:
    """A failing test shows it, and the variable FAULT_SEED repeats it."""
    return int(os.environ.get("FAULT_SEED") or secrets.randbelow(10**9))
