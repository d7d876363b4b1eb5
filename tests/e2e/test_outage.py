"""A department that is away: its applications wait, nothing is lost, and the rest of the city goes on."""

import asyncio

import pytest
from approval.application import TaskState
from yijian_contracts.events import ApplicationOutcome, TaskRequested
from yijian_examples.forms import form_of

from tests.e2e.city import City

pytestmark = pytest.mark.e2e

S = TaskState
ARRIVING = 12


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_what_arrives_while_a_department_is_down_is_decided_when_it_is_back(city: City, end: str):
    families = [city.families.take() for _ in range(ARRIVING)]
    before, meanwhile = families[: ARRIVING // 2], families[ARRIVING // 2 :]
    mothers = {one.n: city.resident(one.account) for one in families}

    early = {one.n: await mothers[one.n].apply(form_of(one)) for one in before}
    getattr(city, end)("health")
    try:
        late = {one.n: await mothers[one.n].apply(form_of(one)) for one in meanwhile}
        # Everybody else has done what can be done without it, and approval says what is waited for.
        for n, application in late.items():
            await mothers[n].wait_for_state(application, C1=S.CLOSED, B1=S.SUBMITTED, B2_1=S.SUBMITTED, B4_1=S.DRAFT)
    finally:
        city.start("health")
    done = await asyncio.gather(
        *(mothers[n].wait_until_over(application, within=60) for n, application in (early | late).items())
    )

    assert {application.outcome for application in done} == {ApplicationOutcome.ALL_GRANTED}
    # Each was asked once for each matter: nothing had to be said again, and nothing was decided twice.
    for application in late.values():
        asked = [event.data for event in city.said_to("health", application)]
        assert sorted(event.matter for event in asked if isinstance(event, TaskRequested)) == ["B1", "B2", "B9"]
