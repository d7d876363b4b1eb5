"""Claims held against the records: a contradiction is flagged, never refused."""

import pytest
from rating.cross_check import Recorded, contradicted

from .conftest import Service, handling

ONLINE = Recorded(promised_minutes=120, taken_minutes=120, visits=0, online=True)
LATE = Recorded(promised_minutes=120, taken_minutes=121, visits=0, online=True)
VISITED = Recorded(promised_minutes=120, taken_minutes=30, visits=2, online=False)


@pytest.mark.parametrize(
    ("option", "recorded", "speaks_against"),
    [
        ("110", ONLINE, True),
        ("110", LATE, False),
        ("209", ONLINE, True),
        ("209", LATE, False),
        ("309", ONLINE, False),
        ("309", LATE, True),
        ("112", ONLINE, True),
        ("112", VISITED, False),
        ("211", ONLINE, True),
        ("211", VISITED, False),
        ("113", ONLINE, True),
        ("113", VISITED, False),
        ("114", ONLINE, True),
        ("114", VISITED, False),
        ("411", ONLINE, True),
        ("411", VISITED, False),
        ("214", ONLINE, False),
        ("115", ONLINE, False),
    ],
)
def test_what_the_records_can_say(option: str, recorded: Recorded, *, speaks_against: bool):
    assert contradicted([option, "108"], recorded) == ((option,) if speaks_against else ())


@pytest.mark.postgres
async def test_a_contradicted_review_is_taken_and_flagged(service: Service):
    (found,) = await service.invited(handling(promised=120, taken=30))
    answer = await service.review(found["id"], level="DISSATISFIED", options=["209", "214"])
    assert answer.status_code == 201
    order = await service.order(answer.json()["order"])
    assert (order["state"], [option["code"] for option in order["contradicted"]]) == ("VERIFY", ["209"])
    assert await service.said() == []


@pytest.mark.postgres
async def test_a_claim_that_the_clock_confirms_goes_to_the_department_at_once(service: Service):
    asked = await service.bad_review(handling(promised=120, taken=300), options=["209"])
    assert asked.personal.options == ("未在承诺时间内办结",)


@pytest.mark.postgres
async def test_a_good_review_that_the_records_speak_against_is_flagged_and_counts(service: Service):
    (found,) = await service.invited()
    assert (await service.review(found["id"], level="SATISFIED", options=["411"])).status_code == 201
    kinds = {row["kind"] for row in await service.rows("SELECT kind FROM fact")}
    assert kinds == {"INVITED", "REVIEWED", "FLAGGED"}


@pytest.mark.postgres
async def test_a_clock_that_runs_backwards_counts_as_no_time(service: Service):
    (found,) = await service.invited(handling(taken=-500))
    assert found["taken_minutes"] == 0
