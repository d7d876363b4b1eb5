"""Figures by day: folded from what happened, stored as they are folded, and found out when they are not."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rating import figure_rows
from rating.figures import Counts, Fact, FactKind, fold, formula, rates
from rating.questionnaire import Level
from yijian_contracts.events import Outcome
from yijian_contracts.working_days import add_working_days, day_start, local_date

from .conftest import Service, completed, handling

DAY = date(2026, 11, 20)

FACTS = st.builds(
    Fact,
    cause=st.uuids(),
    kind=st.sampled_from(FactKind),
    department=st.sampled_from(["health", "taxation"]),
    day=st.dates(DAY, DAY + timedelta(days=3)),
    level=st.sampled_from([None, *Level]),
)


def reviewed(level: Level, times: int = 1) -> list[Fact]:
    return [Fact(uuid4(), FactKind.REVIEWED, "health", DAY, level) for _ in range(times)]


def of(facts: list[Fact]) -> Counts:
    (counts,) = fold(facts).values()
    return counts


# --- what a formula makes of counts ----------------------------------------------------------------------------------


def test_the_figures_of_a_day():
    facts = [Fact(uuid4(), FactKind.INVITED, "health", DAY) for _ in range(20)]
    facts += reviewed(Level.VERY_SATISFIED, 4) + reviewed(Level.FAIRLY_SATISFIED, 4) + reviewed(Level.DISSATISFIED, 2)
    facts += [Fact(uuid4(), FactKind.DEFAULTED, "health", DAY) for _ in range(9)]
    facts += [
        Fact(uuid4(), kind, "health", DAY) for kind in (FactKind.ORDER_OPENED,) * 2 + (FactKind.ORDER_CALLED_BACK,)
    ]
    found = rates(of(facts), formula())
    assert (found.review, found.satisfaction, found.bad) == (0.5, 0.8, 0.2)
    assert found.called_back == 0.5
    assert found.score == (4 * 100 + 4 * 60 + 2 * 30) / 10


def test_nothing_is_divided_by_nothing():
    assert set(vars_of(rates(Counts(), formula()))) == {None}
    only_orders = of([Fact(uuid4(), kind, "health", DAY) for kind in (FactKind.ORDER_OPENED, FactKind.ORDER_INVALID)])
    assert rates(only_orders, formula()).answered_in_time is None


def vars_of(value: Any) -> list[Any]:
    return [getattr(value, name) for name in value.__slots__]


def test_a_default_is_in_no_rate():
    with_default = of([*reviewed(Level.SATISFIED), Fact(uuid4(), FactKind.DEFAULTED, "health", DAY)])
    assert rates(with_default, formula()) == rates(of(reviewed(Level.SATISFIED)), formula())


def test_an_excluded_review_counts_nowhere():
    excluded = Fact(uuid4(), FactKind.EXCLUDED, "health", DAY, Level.DISSATISFIED)
    found = of([*reviewed(Level.DISSATISFIED), *reviewed(Level.SATISFIED), excluded])
    assert (found.active, rates(found, formula()).bad) == (1, 0.0)


def test_the_formula_says_its_version_and_source():
    assert formula().version >= 1
    assert formula().source
    assert formula().good | formula().bad == set(Level)
    assert not formula().good & formula().bad


@given(st.lists(FACTS, max_size=40), st.randoms())
def test_the_order_of_facts_does_not_matter(facts: list[Fact], random: Any):
    shuffled = list(facts)
    random.shuffle(shuffled)
    assert fold(facts) == fold(shuffled)


@given(st.lists(FACTS, max_size=40), st.integers(0, 40))
def test_counting_in_two_parts_is_counting_at_once(facts: list[Fact], cut: int):
    whole, parts = fold(facts), fold(facts[:cut])
    for place, counts in fold(facts[cut:]).items():
        parts.setdefault(place, Counts()).merge(counts)
    assert parts == whole


@given(st.lists(FACTS, max_size=40))
def test_counts_are_read_as_they_were_stored(facts: list[Fact]):
    for counts in fold(facts).values():
        assert figure_rows.load(figure_rows.dump(counts)) == counts


# --- stored and recomputed -------------------------------------------------------------------------------------------


async def busy_days(service: Service) -> None:
    """Reviews of every kind, an order set aside, one rectified and reviewed again, one escalated, an erasure."""
    for level in Level:
        (found,) = await service.invited()
        await service.review(found["id"], level=level)
    await service.invited(handling("taxation", matter="B7"), name="father")
    asked = (await service.said())[-1]
    await service.answer(asked)
    (own,) = [one for one in await service.own() if one["reviewable"]]
    await service.review(own["id"], level="SATISFIED")
    (flagged,) = await service.invited(handling(promised=120, taken=30))
    order = (await service.review(flagged["id"], level="DISSATISFIED", options=["209"])).json()["order"]
    for name in ("甲", "乙"):
        who = service.official("SUPERVISOR", "taxation", name=name)
        body = {"verdict": "INVALID", "reason": "与记录不符"}
        await service.client.post(f"/v1/orders/{order}/verification", json=body, headers=who)
    await service.time_is(datetime.now(UTC) + timedelta(days=40))
    await service.erase()


async def differences(service: Service) -> list[figure_rows.Difference]:
    async with service.parts.pool.acquire() as held, held.transaction(isolation="repeatable_read", readonly=True):
        return await figure_rows.compare(held, first=date(2000, 1, 1), last=date(2100, 1, 1))


@pytest.mark.postgres
async def test_the_stored_rows_are_what_the_facts_say(service: Service):
    await busy_days(service)
    assert len(await service.rows("SELECT 1 FROM figure")) >= 2
    assert await differences(service) == []
    kinds = {row["kind"] for row in await service.rows("SELECT DISTINCT kind FROM fact")}
    assert kinds == set(FactKind)


@pytest.mark.postgres
@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE figure SET counts = replace(counts, '\"DISSATISFIED\": 1', '\"DISSATISFIED\": 0')",
        "UPDATE figure SET counts = '{}'",
        "UPDATE figure SET department = 'civil-affairs' WHERE department = 'health'",
        "DELETE FROM figure WHERE department = 'health'",
        "INSERT INTO figure VALUES ('health', '2026-01-05', '{\"SATISFIED\": 100}')",
        "DELETE FROM fact WHERE level = 'DISSATISFIED'",
        "UPDATE fact SET level = 'SATISFIED' WHERE level = 'DISSATISFIED'",
    ],
)
async def test_whatever_is_changed_behind_our_back_is_told(service: Service, tampering: str):
    await service.bad_review()
    await service.parts.pool.execute(tampering)
    assert await differences(service) != []


@pytest.mark.postgres
async def test_rows_are_made_again_from_the_facts(service: Service):
    await service.bad_review()
    (right,) = await service.rows("SELECT counts FROM figure WHERE department = 'health'")
    await service.parts.pool.execute("UPDATE figure SET counts = '{\"SATISFIED\": 7}'")
    await service.parts.pool.execute("INSERT INTO figure VALUES ('taxation', '2026-01-05', '{\"SATISFIED\": 1}')")
    async with service.parts.pool.acquire() as held, held.transaction():
        told = await figure_rows.rebuild(held, first=date(2026, 1, 1), last=date(2100, 1, 1))
    assert len(told) == 2
    assert await differences(service) == []
    (again,) = await service.rows("SELECT counts FROM figure")
    assert json.loads(again["counts"]) == json.loads(right["counts"])


@pytest.mark.postgres
async def test_many_writers_at_once_lose_no_count(service: Service):
    handlings = [handling(department) for department in ("health", "taxation", "public-security") for _ in range(8)]
    found = await service.invited(*handlings)
    answers = await asyncio.gather(*(service.review(one["id"], level="SATISFIED") for one in found))
    assert {answer.status_code for answer in answers} == {201}
    assert await differences(service) == []
    rows = await service.rows("SELECT counts FROM figure ORDER BY department")
    assert [json.loads(row["counts"])["SATISFIED"] for row in rows] == [8, 8, 8]


@pytest.mark.postgres
async def test_the_same_cause_counts_once(service: Service):
    fact = reviewed(Level.SATISFIED)[0]
    async with service.parts.store.transaction() as transaction:
        await figure_rows.record(transaction.connection, [fact])
        await figure_rows.record(transaction.connection, [fact, fact])
    assert await differences(service) == []
    (row,) = await service.rows("SELECT counts FROM figure")
    assert json.loads(row["counts"]) == {"REVIEWED": 1, "SATISFIED": 1}


@pytest.mark.postgres
async def test_an_event_of_long_ago_changes_no_day_that_is_over(service: Service):
    """Days are counted by our own clock: what claims to have happened in March counts on the day it is heard."""
    from_march = datetime(2026, 3, 2, 4, tzinfo=UTC)
    await service.hear(completed(service.subject("mother"), handling(), completed_at=from_march))
    (row,) = await service.rows("SELECT day FROM figure")
    assert row["day"] == local_date(datetime.now(UTC))


@pytest.mark.postgres
async def test_a_review_at_the_windows_last_moment_counts_and_a_moment_later_a_default(service: Service):
    await service.invited(handling(), handling("taxation", matter="B7"))
    closes = add_working_days(datetime.now(UTC), 5)
    assert closes == day_start(local_date(closes))
    assert await service.time_is(closes - timedelta(microseconds=1)) == 0
    assert await service.time_is(closes) == 1
    rows = await service.rows("SELECT counts FROM figure WHERE day = $1", local_date(closes))
    counted = [json.loads(row["counts"]) for row in rows]
    assert counted == [{"DEFAULTED": 1}, {"DEFAULTED": 1}], "a default counts on the day it is recorded"


# --- who reads them --------------------------------------------------------------------------------------------------


async def figures(service: Service, who: dict[str, str], department: str = "health") -> dict[str, Any]:
    today = local_date(datetime.now(UTC))
    query = f"department={department}&from={today - timedelta(days=30)}&to={today}"
    answer = await service.client.get(f"/v1/figures?{query}", headers=who)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.postgres
async def test_supervision_reads_every_day_with_the_formulas_version(service: Service):
    asked = await service.bad_review()
    await service.answer(asked, Outcome.APPROVED)
    told = await figures(service, service.official("SUPERVISOR", "taxation"))
    assert (told["department_name"], told["formula_version"], told["withheld_days"]) == ("卫生健康委员会", 1, 0)
    total = told["total"]
    assert (total["handlings"], total["active"], total["orders"], total["answered_in_time"]) == (1, 1, 1, 1)
    assert (total["rates"]["bad"], total["rates"]["rectified_in_time"], total["rates"]["called_back"]) == (
        1.0,
        1.0,
        0.0,
    )


@pytest.mark.postgres
@pytest.mark.parametrize("role", ["HEAD", "OFFICER", "SUPERVISOR"])
async def test_those_rated_see_neither_today_nor_a_day_on_which_one_could_be_told(service: Service, role: str):
    who = service.official(role, "health")
    for _ in range(5):
        (found,) = await service.invited()
        await service.review(found["id"], level="SATISFIED")
    assert (await figures(service, who))["days"][0]["figures"] is None, "today is not over"

    yesterday = local_date(datetime.now(UTC)) - timedelta(days=1)
    await service.parts.pool.execute("UPDATE figure SET day = $1", yesterday)
    told = await figures(service, who)
    assert told["days"][0]["figures"]["levels"]["SATISFIED"] == 5
    (found,) = await service.invited()
    await service.review(found["id"], level="DISSATISFIED", options=["214"])
    await service.parts.pool.execute(
        "UPDATE figure SET day = $1 WHERE day > $2", yesterday - timedelta(days=1), yesterday
    )
    told = await figures(service, who)
    assert [day["figures"] is None for day in told["days"]] == [True, False]
    assert (told["withheld_days"], told["total"]["active"]) == (1, 5), "no sum holds what a day does not show"
