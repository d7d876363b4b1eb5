"""The same thing asked twice: by the same person, by the other parent, by a stranger, by thirty-two retries at once."""

import asyncio
from uuid import uuid4

import pytest
from yijian_contracts.events import ApplicationOutcome
from yijian_examples.forms import form_of

from tests.e2e.city import City, standard_form

pytestmark = pytest.mark.e2e


async def test_the_same_key_gets_the_same_answer_and_another_form_under_it_is_refused(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    key = uuid4().hex

    first = await mother.submit(form_of(one), key=key)
    repeated = await mother.submit(form_of(one), key=key)
    changed = await mother.submit(standard_form(one, benefit={"bank_name": "另一家银行"}), key=key)

    assert (first.status_code, repeated.status_code) == (202, 202)
    assert (repeated.content, repeated.headers["Location"]) == (first.content, first.headers["Location"])
    assert (changed.status_code, changed.json()["type"]) == (422, "/problems/idempotency-key-reused")
    await mother.wait_until_over(first.json()["id"])
    assert (await mother.submit(form_of(one), key=key)).content == first.content


async def test_thirty_two_parallel_repeats_make_one_application(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    key = uuid4().hex
    await city.token(one.account)

    answers = await asyncio.gather(*(mother.submit(form_of(one), key=key) for _ in range(32)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    listed = (await mother.request("GET", "/applications")).json()["items"]
    assert [item["id"] for item in listed] == [answers[0].json()["id"]]
    done = await mother.wait_until_over(answers[0].json()["id"])
    assert done.outcome is ApplicationOutcome.ALL_GRANTED
    assert len(city.tasks_of("civil-affairs", done.id)) == 1


async def test_thirty_two_parallel_applications_for_one_child_under_different_keys_make_one(city: City):
    one = city.families.take()
    mother = city.resident(one.account)
    await city.token(one.account)

    answers = await asyncio.gather(*(mother.submit(form_of(one)) for _ in range(32)))

    (accepted,) = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert {(answer.status_code, answer.json().get("application_id")) for answer in refused} == {(409, accepted)}
    assert (await mother.wait_until_over(accepted)).outcome is ApplicationOutcome.ALL_GRANTED


async def test_the_other_parent_is_told_of_the_application_that_is_there(city: City):
    one = city.families.take()
    application = await city.resident(one.account).apply(form_of(one))
    father = city.resident(one.father_account)

    refused = await father.submit(standard_form(one, by="FATHER"))

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/already-applied")
    assert refused.json()["application_id"] == str(application)
    assert (await father.wait_until_over(application)).outcome is ApplicationOutcome.ALL_GRANTED


async def test_a_stranger_who_names_the_child_learns_nothing(city: City):
    one, stranger = city.families.take(), city.families.take()
    mother = city.resident(one.account)
    application = await mother.apply(form_of(one))
    before = await mother.wait_until_over(application)

    # He claims to be the father of another woman's child.
    form = standard_form(one, by="FATHER") | {"father": form_of(stranger)["father"]}
    form["newborns"][0] |= {"surname": stranger.father.name[0]}
    refused = await city.resident(stranger.father_account).submit(form)

    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/cannot-accept")
    assert str(application) not in refused.text
    assert set(refused.json()) == {"type", "title", "status", "detail"}
    assert (await city.resident(stranger.father_account).request("GET", "/applications")).json()["items"] == []
    assert await mother.application(application) == before


async def test_a_refused_application_leaves_its_key_free(city: City):
    one, other = city.families.take(), city.families.take()
    application = await city.resident(one.account).apply(form_of(one))
    father = city.resident(one.father_account)
    key = uuid4().hex

    refused = await father.submit(standard_form(one, by="FATHER"), key=key)
    somebody_elses = await father.submit(standard_form(other, by="FATHER"), key=uuid4().hex)

    assert refused.status_code == 409
    assert (somebody_elses.status_code, somebody_elses.json()["type"]) == (403, "/problems/applicant-is-no-party")
    await father.wait_until_over(application)
