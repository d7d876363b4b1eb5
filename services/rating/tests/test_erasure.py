"""A person is forgotten: nothing of them opens any more, with every key there is, and what was counted stays."""

import asyncio
import json
from base64 import b64decode
from typing import Any

import pytest
from rating.consumers import take_over
from yijian_common.crypto import Keyring, UnsealError
from yijian_contracts.cloudevents import encode
from yijian_contracts.events import Outcome
from yijian_messaging import Record

from .conftest import Service, as_json, completed, handling

pytestmark = pytest.mark.postgres

CANARY = "金丝雀住在芦苇荡"


async def everything_opened(service: Service) -> str:
    """Every value of every table, as it stands and opened in every way that the key file allows."""
    keyring = Keyring.load(service.key_file)
    tables = await service.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    rows = [row for (table,) in tables for row in await service.rows(f'SELECT * FROM "{table}"')]  # noqa: S608 - our own names
    values = [value for row in rows for value in row.values()]
    sealed = [value for value in values if isinstance(value, bytes)]
    keys = [key for value in sealed if (key := unwrapped(keyring, value)) is not None]
    opened = [as_json(value) for value in values if not isinstance(value, bytes)]
    opened += [value.decode("utf-8", "replace") for value in sealed]
    for value in sealed:
        for context in (b"messaging", b"answer", *(other for other in sealed if len(other) == 32)):
            opened.append(in_envelope(keyring, value, context))
        for key in keys:
            for row in rows:
                if "sealed" in row and "id" in row and hasattr(row["id"], "bytes"):
                    opened.append(with_key(key, value, b"review:" + row["id"].bytes))
    return "\n".join(opened + [unpacked(one) for one in opened])


def unwrapped(keyring: Keyring, value: bytes) -> Any:
    try:
        return keyring.unwrap(value)
    except UnsealError:
        return None


def in_envelope(keyring: Keyring, value: bytes, context: bytes) -> str:
    try:
        return keyring.open_envelope(value, context).decode("utf-8", "replace")
    except UnsealError:
        return ""


def unpacked(opened: str) -> str:
    """The value within a dead letter, which keeps it in Base64."""
    try:
        return b64decode(json.loads(opened)["value"]).decode()
    except (ValueError, KeyError, TypeError):
        return ""


def with_key(key: Any, value: bytes, context: bytes) -> str:
    try:
        opened: bytes = key.open(value, context)
    except UnsealError:
        return ""
    return opened.decode("utf-8", "replace")


async def story(service: Service) -> Any:
    """A bad review with a canary in it, asked of the department and answered; and a dead letter of the same person."""
    asked = await service.bad_review(comment=CANARY)
    event = encode(completed(service.subject("mother"), handling()), source="/approval")
    headers = tuple((name, text.encode()) for name, text in event.headers.items())
    letter = Record(event.topic, 0, 7, event.key.encode(), event.value, headers, 0)
    async with service.parts.store.transaction() as transaction:
        await transaction.bury("rating.events", [(letter, "the handler failed")])
    return asked


async def test_before_it_everything_opens_and_afterwards_nothing(service: Service):
    await story(service)
    before = await everything_opened(service)
    assert before.count(CANARY) >= 2, "the review and the outbox"
    assert service.subject("mother") in before, "the dead letter"
    await service.erase()
    after = await everything_opened(service)
    assert CANARY not in after
    assert service.subject("mother") not in after
    for table in ("invitation", "handling", "review", "idempotency_keys"):
        assert await service.rows(f"SELECT 1 FROM {table}") == []  # noqa: S608 - our own names
    assert await service.own() == []


async def test_what_was_counted_stays(service: Service):
    await story(service)
    before = await service.rows("SELECT department, day, counts FROM figure")
    facts = await service.rows("SELECT cause, kind FROM fact")
    await service.erase()
    assert await service.rows("SELECT department, day, counts FROM figure") == before
    assert await service.rows("SELECT cause, kind FROM fact") == facts


async def test_the_department_is_still_asked_and_nobody_is_called_back(service: Service):
    asked = await story(service)
    await service.erase()
    (again,) = await service.said()
    assert (again.order_id, again.round, again.event_id) == (asked.order_id, 1, asked.event_id)
    assert (again.personal.comment, again.personal.options) == ("", asked.personal.options)
    await service.answer(again)
    assert (await service.order(asked.order_id))["state"] == "CLOSED"
    assert len((await service.client.get("/v1/published-rectifications")).json()["items"]) == 1


async def test_an_order_that_waits_for_the_person_is_closed(service: Service):
    asked = await story(service)
    await service.answer(asked)
    assert (await service.order(asked.order_id))["state"] == "CALLBACK"
    await service.erase()
    order = await service.order(asked.order_id)
    assert (order["state"], order["comment"]) == ("CLOSED", "")
    assert (await service.call_back(asked.order_id, satisfied=False)).status_code == 404


async def test_an_order_in_verification_goes_on_without_words(service: Service):
    (found,) = await service.invited(handling(promised=120, taken=30))
    answer = await service.review(found["id"], level="DISSATISFIED", options=["209"], comment=CANARY)
    await service.erase()
    body = {"verdict": "VALID", "reason": "核实无误"}
    who = service.official("SUPERVISOR", "taxation")
    path = f"/v1/orders/{answer.json()['order']}/verification"
    assert (await service.client.post(path, json=body, headers=who)).json()["state"] == "RECTIFYING"
    (asked,) = await service.said()
    assert asked.personal.comment == ""
    await service.answer(asked, Outcome.REJECTED)
    assert (await service.order(asked.order_id))["state"] == "VERIFY"


async def test_what_comes_late_about_a_forgotten_person_invites_nobody(service: Service):
    await service.erase()
    await service.hear(completed(service.subject("mother"), handling()))
    assert await service.own() == []
    assert await service.rows("SELECT 1 FROM fact") == []


async def test_forgetting_twice_is_forgetting_once_and_others_are_untouched(service: Service):
    await service.invited(name="father")
    await story(service)
    await service.erase()
    await service.erase()
    assert len(await service.own("father")) == 1


async def test_forgetting_while_a_review_is_given_leaves_one_truth(service: Service):
    (found,) = await service.invited()
    results = await asyncio.gather(service.review(found["id"], level="DISSATISFIED", comment=CANARY), service.erase())
    assert results[0].status_code in (201, 404)
    assert CANARY not in await everything_opened(service)


async def test_an_erasure_waits_for_an_invitation_that_is_being_written(service: Service):
    """Another process reads the other topic."""
    async with service.parts.store.transaction() as transaction:
        messages = [service._on_the_wire(completed(service.subject("mother"), handling()))]
        await take_over(transaction, [one for one in messages if one], carrier=service.parts.carrier)
        erasing = asyncio.create_task(service.erase())
        await asyncio.sleep(0.3)
        assert not erasing.done()
    await asyncio.wait_for(erasing, 10)
    assert await service.rows("SELECT 1 FROM invitation") == []
    assert await service.rows("SELECT 1 FROM handling") == []
