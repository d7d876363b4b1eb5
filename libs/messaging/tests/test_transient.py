"""A connection that ends is waited for, whenever it ends; nothing is counted against the messages."""

import asyncio
import time

import asyncpg
import pytest

from .conftest import Bench

MOMENTS = [(paused, turns) for paused in (0.0, 0.1) for turns in range(7)]


@pytest.mark.parametrize("bench", ["postgres"], indirect=True)
async def test_a_connection_that_ended_while_idle_is_transient(bench: Bench):
    met = [await use_an_ended_connection(bench, paused, turns) for paused, turns in MOMENTS]
    assert [error for error in met if not bench.store.is_transient(error)] == []
    # The race has several outcomes; without this one the test shows nothing.
    assert asyncpg.InternalClientError in {type(error) for error in met}


async def use_an_ended_connection(bench: Bench, paused: float, turns: int) -> Exception:
    """Have the server end an idle connection, and use it `turns` turns of the event loop after the news could come."""
    async with bench.store._pool.acquire() as connection:
        ended = await connection.fetchval("SELECT pg_backend_pid()")
        async with bench.store.transaction() as another:
            await another.connection.execute("SELECT pg_terminate_backend($1)", ended)
        time.sleep(paused)  # noqa: ASYNC251 - the news waits in the socket, unread
        for _ in range(turns):
            await asyncio.sleep(0)
        with pytest.raises(
            (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
        ) as caught:
            await connection.execute("SELECT 1")
    return caught.value
