"""The outbox's days: there before anything is said on them, gone when all of it was sent long ago."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from yijian_messaging import postgres
from yijian_messaging.outbox_days import DAYS_AHEAD, days_kept, keep_days
from yijian_messaging.retention import SENT_DAYS

from .conftest import Bench
from .test_retained import message

pytestmark = [pytest.mark.postgres, pytest.mark.parametrize("bench", ["postgres"], indirect=True)]


EVES = [date(2027, 1, 31), date(2028, 2, 28), date(2026, 12, 31)]
"""The ends of a month, of a February with a 29th, and of a year."""


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@pytest.fixture
async def pool(bench: Bench) -> Any:
    """A database whose outbox has no day yet."""
    pool = bench._pool
    assert pool is not None
    for day in await days_kept(pool):
        await pool.execute(f"DROP TABLE outbox_{day:%Y%m%d}")
    return pool


async def say(pool: Any, event_id: str, day: date, *, sent: bool) -> None:
    """A message of this day, as `publish` writes it."""
    row = await pool.fetchval(
        "INSERT INTO outbox (day, shard, event_id, topic, key, headers, value, personal)"
        " VALUES ($1, 0, $2, 't', 'k', '{}', '', false) RETURNING id",
        day,
        event_id,
    )
    if not sent:
        await pool.execute(
            "INSERT INTO outbox_unsent (id, day, shard, event_id) VALUES ($1, $2, 0, $3)", row, day, event_id
        )


@pytest.mark.parametrize("eve", EVES, ids=str)
async def test_days_are_made_ahead_and_dropped_behind_across_a_month_or_a_year(pool: Any, eve: date):
    for today in days(eve - timedelta(days=9), eve + timedelta(days=10)):
        last = await keep_days(pool, today=today)
        assert last == today + timedelta(days=DAYS_AHEAD)
        kept = await days_kept(pool)
        first = max(eve - timedelta(days=10), today - timedelta(days=SENT_DAYS))
        assert kept == days(first, last), "no gap, nothing too old, nothing too far ahead"
        await say(pool, str(today), today, sent=True)
        await say(pool, f"{today}, at a clock that is ahead", today + timedelta(days=1), sent=True)


async def test_whoever_slept_for_weeks_finds_all_days_and_drops_all_that_is_over(pool: Any):
    began, woke = date(2026, 12, 3), date(2027, 1, 14)
    await keep_days(pool, today=began)
    await say(pool, "sent before it slept", began, sent=True)
    await keep_days(pool, today=woke)
    assert await days_kept(pool) == days(woke - timedelta(days=1), woke + timedelta(days=DAYS_AHEAD))
    await say(pool, "said on waking", woke, sent=False)


async def test_a_day_with_an_unsent_message_stays_until_it_is_sent(pool: Any):
    said, today = date(2026, 12, 30), date(2027, 1, 31)
    await keep_days(pool, today=said)
    await say(pool, "waits", said, sent=False)
    await keep_days(pool, today=today)
    assert said in await days_kept(pool)
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE event_id = 'waits'") == 1
    await pool.execute("DELETE FROM outbox_unsent")
    await keep_days(pool, today=today)
    assert said not in await days_kept(pool)


async def test_several_who_keep_the_days_at_once_agree(pool: Any):
    today = date(2027, 1, 31)
    await keep_days(pool, today=today - timedelta(days=30))
    assert set(await asyncio.gather(*(keep_days(pool, today=today) for _ in range(5)))) == {
        today + timedelta(days=DAYS_AHEAD)
    }
    assert await days_kept(pool) == days(today - timedelta(days=1), today + timedelta(days=DAYS_AHEAD))


class Clock:
    """A clock that a test moves."""

    now_is = datetime.now(UTC)

    @classmethod
    def now(cls, _zone: object) -> datetime:
        return cls.now_is


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Clock]]:
    monkeypatch.setattr(postgres, "datetime", Clock)
    yield Clock
    Clock.now_is = datetime.now(UTC)


async def test_a_store_that_woke_after_its_last_day_has_a_place_for_what_is_said(bench: Bench, clock: type[Clock]):
    """As its process finds them: nobody has kept the days since, and no relay has had its turn yet."""
    pool = bench._pool
    assert pool is not None
    for day in await days_kept(pool):
        if day >= datetime.now(UTC).date():
            await pool.execute(f"DROP TABLE outbox_{day:%Y%m%d}")
    clock.now_is = datetime.now(UTC) + timedelta(days=DAYS_AHEAD)
    async with bench.store.transaction() as transaction:
        await transaction.publish([message("said on waking")])
    assert [unsent.message.id for unsent in await bench.store.unsent(list(range(16)), 10)] == ["said on waking"]
