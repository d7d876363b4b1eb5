"""After all stories: nothing that identifies their people stands anywhere but in the departments' own topics.

A task travels in clear, since any bureau's client can read it: under access lists, and for eight days. Everywhere else
it is sealed, or it is not there.
"""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from approval.application import TaskState
from yijian_contracts.cloudevents import UndecodableError, decode
from yijian_contracts.departments import departments
from yijian_contracts.events import TaskAnswered
from yijian_contracts.topics import topics
from yijian_examples.family import Family, Kind
from yijian_examples.forms import form_of
from yijian_messaging.testing import wait_until

from tests.e2e.broker import Read, read_all
from tests.e2e.canaries import canaries
from tests.e2e.city import City, Resident, standard_form
from tests.e2e.leaks import dump_databases, dump_personal_values, dump_stores, dump_topics, postgres_files, search

pytestmark = pytest.mark.e2e


async def test_nobody_of_the_stories_can_be_found_where_they_must_not_be(city: City, tmp_path: Path):
    granted, waiting, clumsy = city.families.take(), city.families.take(Kind.HOME_BIRTH), city.families.take()
    mother = city.resident(granted.account)
    await mother.wait_until_over(await mother.apply(form_of(granted)))
    # One is left at the desk, so that a request is kept; one does everything wrong that a person can do wrong.
    at_home = city.resident(waiting.account)
    await at_home.wait_for_state(await at_home.apply(form_of(waiting)), B2_1=TaskState.IN_REVIEW)
    await _put_personal_data_where_it_does_not_belong(city.resident(clumsy.account), clumsy)
    await _be_a_bureau_that_sends_rubbish(city, clumsy)

    records = read_all(city.platform.kafka_admin, *(topic.name for topic in topics()))
    children, documents = _issued(records)
    known = canaries(city.families.taken, children)
    patterns = tmp_path / "patterns"
    # The search is sound: in the departments' topics, where they may be, it finds them.
    allowed = "\n".join(search(known, [dump_personal_values(records, tmp_path)], patterns))
    for one in (granted, waiting):
        assert {one.mother.name, one.mother.id_no, one.father.id_no} <= set(allowed.replace(":", "\n").split("\n"))

    central = [
        city.platform.home.logs,
        postgres_files(city),
        dump_databases(city, tmp_path),
        dump_topics(records, tmp_path),
    ]
    # And it looks where things are: an account's name says nothing outside, and identity keeps it in clear.
    for place in central[1:3]:
        assert search({granted.account.encode()}, [place], patterns)
    stores = dump_stores(city, departments(), tmp_path)
    assert search(known, [*central, stores, city.platform.home.stores], patterns) == set()
    # A bureau keeps the numbers of its documents as it likes, but not where its tasks and messages wait.
    waiting_rooms = [path for path in stores.iterdir() if path.suffix in (".task", ".outbox", ".dead_letter", ".inbox")]
    assert len(waiting_rooms) >= 2 * len(departments())
    assert search(canaries([], documents), [*central, *waiting_rooms], patterns) == set()


async def _put_personal_data_where_it_does_not_belong(resident: Resident, one: Family) -> None:
    """In paths, queries, headers and in every field of a form that is refused."""
    number, name = one.mother.id_no, one.mother.name
    statuses = [
        (await resident.request("GET", f"/applications/{number}")).status_code,
        (await resident.request("GET", f"/applications/{name}/timeline")).status_code,
        (await resident.request("GET", f"/{number}/{name}")).status_code,
        (await resident.request("GET", "/applications", params={"cursor": number, name: number})).status_code,
        (await resident.request("GET", "/applications", headers={"X-Request-ID": f"r-{number}"})).status_code,
        (await resident.request("GET", "/applications", headers={"User-Agent": number})).status_code,
    ]
    assert set(statuses) <= {200, 404, 422}
    wrong = standard_form(one, mother={"mobile": number, "birth_date": number, name: number}, delivery={"place": name})
    assert (await resident.submit(wrong)).status_code == 422
    assert (await resident.submit(form_of(one), key=f"{number}-{one.mother.mobile}")).status_code == 202
    url = resident.city.platform.url("identity")
    assert (await resident.city.http.post(f"{url}/dev/token", json={"account": number})).status_code == 404


async def _be_a_bureau_that_sends_rubbish(city: City, one: Family) -> None:
    """Records that mean nothing, or speak of nothing known, each full of what must not be repeated."""
    number, application = one.mother.id_no, uuid4()
    rubbish = [
        f'{{"mother": "{one.mother.name}", "id_no": "{number}"'.encode(),
        json.dumps({"application_id": number, "matter": one.mother.name}).encode(),
        json.dumps({"application_id": str(application), "outcome": number, one.mother.mobile: number}).encode(),
    ]
    headers = {"ce_specversion": b"1.0", "ce_id": b"1", "ce_source": b"/department.health"}
    headers["ce_type"] = TaskAnswered.full_type().encode()
    for value in rubbish:
        city.produce("health", value=value, key=str(application).encode(), headers=headers)

    async def are_buried() -> bool:
        letters = city.query(
            "approval", "SELECT count(*) AS n FROM dead_letter WHERE topic = %s", "department.health.results"
        )
        return bool(letters[0]["n"] >= len(rubbish))

    await wait_until(are_buried, what="the dead letters")


def _issued(records: list[Read]) -> tuple[set[str], set[str]]:
    """The numbers that departments gave to children, and those of the documents."""
    children, documents = set(), set()
    for record in records:
        try:
            event = decode(record.headers, record.value).data
        except UndecodableError:
            continue
        if isinstance(event, TaskAnswered):
            outputs = event.personal.outputs
            children |= {str(outputs[name]) for name in ("birth_cert_no", "citizen_id_no") if name in outputs}
            documents |= {document.number for document in event.personal.documents}
    return children, documents
