"""A person is forgotten: nothing that approval keeps opens to their data any more, even with the key file."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import approval
import pytest
from approval.actions.erasures import LOOK_AGAIN_AFTER, erase_people, look_again
from approval.actions.results import record_task_results
from approval.application import ApplicationStatus, TaskState
from approval.erasing import cut_form
from approval.forgetting import Forgetting
from approval.life_event import LifeEvent, load_life_event
from yijian_common import pairwise
from yijian_common.sealer import KeyringSealer
from yijian_contracts.cloudevents import CloudEvent, encode
from yijian_contracts.events import (
    ApplicationWithdrawn,
    ErasedParts,
    Outcome,
    PersonErased,
    TaskAnswered,
    TaskCancelled,
)
from yijian_examples.family import Family, Person
from yijian_examples.forms import form_of
from yijian_examples.population import family
from yijian_messaging import Message, Record

from .attacker import readable
from .bureaus import grant_all, message_of, reply, said, state
from .conftest import Service

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(60)]

RECORD = Record("identity.erasures", 0, 0, key=None, value=None, headers=(), timestamp_ms=0)


async def erase(service: Service, person: Person, *, subject: str | None = None) -> None:
    """What identity says, as the consumer hands it over."""
    refs = {"approval": pairwise.id_proof(service.pairwise_key, person.id_no)}
    event = PersonErased(
        erasure_id=uuid4(),
        subject=UUID(subject or str(uuid4())),
        erased_at=datetime.now(UTC),
        personal=ErasedParts(refs=refs),
    )
    message = Message(str(event.event_id), CloudEvent(str(event.event_id), "/t", datetime.now(UTC), event), RECORD)
    async with service.parts.store.transaction() as transaction:
        await erase_people(transaction, [message], effects=service.parts.effects, keys=service.parts.keys)


async def send_everything(service: Service) -> None:
    """As if the relay had sent all that waits, and Kafka had acknowledged it."""
    await service.parts.pool.execute("DELETE FROM outbox_unsent")


def forgetting(service: Service) -> Forgetting:
    parts = service.parts
    return Forgetting(parts.pool, parts.store, KeyringSealer(parts.keys.keyring))


def texts_of(person: Person) -> set[str]:
    return {person.name, person.id_no}


def everything_of(born: Family) -> set[str]:
    children = {child.given_name for child in born.delivery.newborns}
    homes = {home.address for home in born.households} | {home.number for home in born.households}
    return texts_of(born.mother) | texts_of(born.father) | children | homes | {born.bank_account, born.mother.mobile}


def found(service: Service, canaries: set[str], *applications: UUID) -> set[str]:
    """Which of the canaries somebody with the database and the key file can read."""
    texts = set(readable(service.database_url, service.parts.keys.keyring, applications))
    return {canary for canary in canaries if any(canary.encode() in text for text in texts)}


async def bury(service: Service, application_id: UUID, content: str) -> None:
    """A dead letter that holds personal data: an answer that did not fit."""
    event = encode(
        TaskAnswered(
            application_id=application_id,
            department="health",
            task_id=uuid4(),
            matter="B2",
            outcome=Outcome.APPROVED,
            decided_at=datetime.now(UTC),
            personal={"outputs": {"birth_cert_no": content}},  # type: ignore[arg-type]
        ),
        source="department.health",
    )
    record = Record("department.health.results", 0, 7, key=b"another", value=event.value, headers=(), timestamp_ms=0)
    async with service.parts.store.transaction() as transaction:
        await transaction.bury("approval.results", [(record, "does not fit")])


async def a_full_life(service: Service, number: int) -> tuple[UUID, set[str]]:
    """An application that was corrected and granted, with a dead letter; and what must not be found of it."""
    application_id = UUID((await service.submit(number)).json()["id"])
    await reply(service, application_id, "C1", Outcome.APPROVED, personal={"outputs": {"marriage_verified": True}})
    correction = {"pointer": "/newborns/0/weight_g", "message": "请核对"}
    await reply(service, application_id, "B2-1", Outcome.RETURNED, reason="体重不符", corrections=(correction,))
    body = {"task": "B2-1", "fields": [{"pointer": "/newborns/0/weight_g", "value": 3456}]}
    headers = service.mother(number) | {"Idempotency-Key": uuid4().hex}
    answer = await service.client.post(f"/v1/applications/{application_id}/corrections", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    serial = f"{number:07}"
    await grant_all(service, application_id, serial=serial)
    await bury(service, application_id, f"NONSENSE-{serial}")
    return application_id, {f"Z99{serial}", f"NO-{serial}-household-page", f"NONSENSE-{serial}"}


async def test_after_an_erasure_nothing_opens_even_with_the_key_file(service: Service):
    born, neighbours = family(101), family(102)
    application_id, issued = await a_full_life(service, 101)
    other, kept = await a_full_life(service, 102)
    canaries = everything_of(born) | issued
    assert found(service, canaries, application_id, other) == canaries, "the attacker knows how to look"

    await erase(service, born.mother, subject=service.subjects[101])
    assert not await forgetting(service).finish(), "what waits for Kafka is not lost"
    await send_everything(service)
    assert await forgetting(service).finish()
    assert found(service, canaries, application_id, other) == set()
    assert found(service, {service.subjects[101]}, application_id) == set()
    assert await service.count("erasure_unfinished") == 0

    tombstone = await state(service, application_id)
    assert tombstone.status is ApplicationStatus.COMPLETED
    assert all(not (task.reason or task.corrections or task.digests) for task in tombstone.tasks)
    answer = await service.client.get(f"/v1/applications/{application_id}", headers=service.mother(101))
    assert answer.status_code == 404
    shown = await service.client.get(f"/v1/applications/{other}", headers=service.mother(102))
    assert shown.status_code == 200, "the neighbours are untouched"
    assert {neighbours.mother.name, *kept} <= found(service, everything_of(neighbours) | kept, application_id, other)


async def test_what_runs_is_withdrawn_first(service: Service):
    application_id, mother = await service.accepted()
    await erase(service, family(101).mother, subject=service.subjects[101])
    (withdrawn,) = await said(service, application_id, ApplicationWithdrawn)
    assert withdrawn.application_id == application_id
    assert [event.matter for event in await said(service, application_id, TaskCancelled)] == ["C1"]
    waiting = await service.parts.pool.fetch(
        "SELECT o.topic FROM outbox_unsent u JOIN outbox o ON o.id = u.id AND o.day = u.day"
        " WHERE o.key = $1 AND o.headers LIKE '%task-requested%'",
        str(application_id),
    )
    assert waiting == [], "a request that was not sent is not sent any more"
    assert (await state(service, application_id)).status is ApplicationStatus.WITHDRAWN
    assert (await service.client.get("/v1/applications", headers=mother)).json()["items"] == []


async def test_the_other_parents_part_stays_readable(service: Service):
    application_id, _ = await a_full_life(service, 101)
    born = family(101)
    before = await service.parts.pool.fetchval("SELECT data_key FROM application WHERE id = $1", application_id)
    await erase(service, born.father)
    await send_everything(service)
    assert await forgetting(service).finish()

    assert found(service, texts_of(born.father), application_id) == set()
    assert texts_of(born.mother) <= found(service, everything_of(born), application_id)
    after = await service.parts.pool.fetchval("SELECT data_key FROM application WHERE id = $1", application_id)
    assert before != after
    shown = (await service.client.get(f"/v1/applications/{application_id}", headers=service.mother(101))).json()
    assert shown["status"] == "COMPLETED"
    assert any(task["documents"] for task in shown["tasks"])
    assert (
        await service.client.get(f"/v1/applications/{application_id}", headers=service.father(101))
    ).status_code == 404
    assert (await service.client.get("/v1/applications", headers=service.father(101))).json()["items"] == []


async def test_without_one_of_the_parents_no_department_is_asked_any_more(service: Service):
    application_id, mother = await service.accepted()
    await erase(service, family(101).father)
    application = await state(service, application_id)
    assert application.status is ApplicationStatus.WITHDRAWN
    assert {task.state for task in application.tasks} <= {TaskState.WITHDRAWN, TaskState.NOT_NEEDED}
    lines = (await service.client.get(f"/v1/applications/{application_id}/timeline", headers=mother)).json()
    assert "请重新申请" in lines[-1]["note"]


async def test_what_comes_late_about_somebody_forgotten_is_forgotten_too(service: Service):
    application_id, _ = await service.accepted()
    application = await state(service, application_id)
    await erase(service, family(101).mother, subject=service.subjects[101])
    late = TaskAnswered(
        application_id=application_id,
        department="civil-affairs",
        task_id=next(e.task_id for e in await said(service, application_id, TaskCancelled)),
        matter="C1",
        outcome=Outcome.APPROVED,
        decided_at=datetime.now(UTC),
        personal={"outputs": {"marriage_verified": True}},  # type: ignore[arg-type]
    )
    assert application.status is ApplicationStatus.IN_PROGRESS
    async with service.parts.store.transaction() as transaction:
        assert await record_task_results(transaction, [message_of(late)], effects=service.parts.effects) == []
    assert await service.parts.store.incidents() == []
    assert await service.count("timeline") == 0


async def test_a_child_of_somebody_forgotten_may_be_applied_for_again(service: Service):
    await service.accepted()
    assert (await service.submit(101)).status_code == 409
    await erase(service, family(101).mother, subject=service.subjects[101])
    assert await service.count("claim") == 0
    assert (await service.submit(101)).status_code == 202


async def look_once_more(service: Service) -> int:
    await service.parts.pool.execute(
        "UPDATE erased_lately SET look_again_at = look_again_at - $1::interval", LOOK_AGAIN_AFTER
    )
    async with service.parts.store.transaction() as transaction:
        return await look_again(transaction, effects=service.parts.effects, keys=service.parts.keys, limit=100)


async def test_what_was_applied_for_with_a_token_that_outlived_the_account_is_erased_too(service: Service):
    """The erasure overlooks what commits beside it; a token lasts five minutes where the sign-out is not heard of."""
    service.mother(101)
    await erase(service, family(101).mother, subject=service.subjects[101])
    application_id, _ = await service.accepted()
    async with service.parts.store.transaction() as transaction:
        looked = await look_again(transaction, effects=service.parts.effects, keys=service.parts.keys, limit=100)
    assert looked == 0, "its time has not come"
    assert await look_once_more(service) == 1
    await send_everything(service)
    assert await forgetting(service).finish()
    assert found(service, everything_of(family(101)), application_id) == set()
    assert len(await said(service, application_id, ApplicationWithdrawn)) == 0, "its row in the outbox is gone as well"
    assert await service.count("erased_lately") == 0


async def test_somebody_who_came_back_within_minutes_keeps_what_they_applied_for(service: Service):
    await erase(service, family(101).mother, subject=str(uuid4()))
    application_id, _ = await service.accepted()
    assert await look_once_more(service) == 1
    assert (await state(service, application_id)).status is ApplicationStatus.IN_PROGRESS
    assert found(service, texts_of(family(101).mother), application_id)


async def test_to_be_told_twice_changes_nothing(service: Service):
    application_id, _ = await service.accepted()
    for _ in range(2):
        await erase(service, family(101).mother, subject=service.subjects[101])
    assert len(await said(service, application_id, ApplicationWithdrawn)) == 1


def test_a_form_loses_what_is_about_one_role_alone(birth: LifeEvent) -> None:
    form = form_of(family(101))
    cut = cut_form(birth, form, "FATHER")
    assert "father" not in cut
    assert "father_auth" not in cut["consents"]
    assert {name: part for name, part in cut.items() if name != "consents"} == {
        name: part for name, part in form.items() if name not in ("father", "consents")
    }
    without_mother = cut_form(birth, form | {"applicant": {**form["applicant"], "relation": "FATHER"}}, "MOTHER")
    assert {"mother", "benefit"}.isdisjoint(without_mother)
    assert without_mother["applicant"]["mobile"], "the father's, who applies"
    assert without_mother["father"] == form["father"]


@pytest.fixture(scope="module")
def birth() -> LifeEvent:
    return load_life_event(Path(approval.__file__).parent / "life_events" / "birth.yaml", allow_fictitious=True)
