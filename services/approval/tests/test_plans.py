"""Every statement that runs per request or per batch is a look-up by index, however much is stored.

The statements are not copied here: a real round of requests and answers is listened to, and what it ran is explained
under the settings it ran with, with its own arguments and as a generic plan.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from approval import engine
from approval.actions.changes import look_after
from approval.actions.coverage import proceed, record_checkpoints
from approval.actions.erasures import erase_people
from approval.actions.rectifications import (
    record_rectification_results,
    request_rectifications,
    resend_rectifications,
    task_id_of,
)
from approval.actions.results import record_task_results
from approval.application import TaskState, load
from approval.consent_gate import ConsentGate
from approval.forgetting import Forgetting
from asyncpg.connection import LoggedQuery
from yijian_common import pairwise
from yijian_common.sealer import KeyringSealer
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import (
    RECTIFICATION,
    CheckpointSigned,
    ComplaintParts,
    ErasedParts,
    Outcome,
    PersonErased,
    ReceivedStatus,
    RectificationRequested,
    TaskAnswered,
    TaskReceived,
    WithdrawalsToldUntil,
)
from yijian_examples.population import family
from yijian_messaging import Message, Record
from yijian_messaging.postgres import PLANNER_SETTINGS
from yijian_messaging.store import Move

from .conftest import Service
from .parents import FATHERS, answered, told, withdrawn

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]

# These stay small for ever: a row per shard, relay, parked key, life event or issuer; and what waits to be sent.
SMALL = {
    "outbox_lease",
    "outbox_relay",
    "outbox_parked",
    "outbox_unsent",
    "life_event",
    "identity_key_sets",
    "erasure_unfinished",
    "withdrawals_told",
}
ROWS = 50_000


@dataclass(frozen=True)
class Ran:
    """A statement and the arguments it ran with."""

    query: str
    args: tuple[Any, ...]


async def round_of_everything(service: Service) -> list[Ran]:
    """Submit, read, decide, receive, withdraw, sweep and send; returns every statement of data that ran."""
    ran: list[LoggedQuery] = []
    pool = service.parts.pool
    held = [await pool.acquire() for _ in range(pool.get_max_size())]
    for connection in held:
        connection.add_query_logger(ran.append)
    for connection in held:
        await pool.release(connection)

    first, mother = await service.accepted()
    second, other = await service.accepted()
    for path in ("", f"/{first}", f"/{first}/timeline?after=1", f"/{first}/consents"):
        answer = await service.client.get(f"/v1/applications{path}", headers=mother)
        assert answer.status_code == 200
    stranger = service.mother(20)
    assert (await service.client.get(f"/v1/applications/{first}", headers=stranger)).status_code == 404
    third = UUID((await service.submit(next(service.families), authorised=False)).json()["id"])
    await agree_and_take_back(service, third)
    await answers(service, first)
    assert (await service.client.post(f"/v1/applications/{second}/withdrawal", headers=other)).status_code == 200
    await loops(service)
    return list(_data_statements(ran))


async def agree_and_take_back(service: Service, application_id: UUID) -> None:
    """The father finds what waits for him and agrees; then it is withdrawn, and heard of."""
    number = max(service.subjects)
    father = service.father(number)
    assert len((await service.client.get("/v1/consents/pending", headers=father)).json()) == 1
    agreed = await answered(service, application_id, father, give=list(FATHERS))
    assert agreed.status_code == 200, agreed.text
    event = withdrawn(application_id, "card-guardian", "FATHER")
    assert await told(service, event, WithdrawalsToldUntil(as_of=datetime.now(UTC))) == []
    assert await ConsentGate(service.parts.pool)()


async def answers(service: Service, application_id: UUID) -> None:
    """A batch as the consumer runs it: offsets, inbox, a receipt and a decision, a dead letter."""
    store = service.parts.store
    state = load(await service.parts.pool.fetchval("SELECT state FROM application WHERE id = $1", application_id))
    messages = []
    for task in state.tasks:
        if task.state is not TaskState.SUBMITTED:
            continue
        about = {
            "application_id": application_id,
            "department": task.department,
            "task_id": engine.task_id(state, task),
            "matter": task.matter,
        }
        now = datetime.now(UTC)
        for event in (
            TaskReceived(**about, status=ReceivedStatus.IN_REVIEW, received_at=now),
            TaskAnswered(**about, outcome=Outcome.REJECTED, reason="不符合", decided_at=now),
        ):
            content = CloudEvent(id=str(event.event_id), source="/t", time=now, data=event)
            messages.append(Message(content.id, content, RECORD))
    assert messages
    await store.positions("approval.results", {("t", 0): 0}, "cluster")
    async with store.transaction() as transaction:
        assert await transaction.advance("approval.results", [Move("t", 0, 0, 5)])
        await transaction.unseen([uuid4().bytes])
        await transaction.forget([uuid4().bytes])
        assert await record_task_results(transaction, messages, effects=service.parts.effects) == []
        await transaction.bury("approval.results", [(RECORD, "nonsense")])
        await transaction.cancel_unsent([str(uuid4())])
        await transaction.close_incident("none", "none", "none")


RECORD = Record("t", 0, 0, b"k", b"v", (), 0)


async def loops(service: Service) -> None:
    """What runs all the time: the relay, the replays, the sweeper."""
    store = service.parts.store
    shards = await store.lease_shards("relay", 30)
    rows = await store.unsent(shards, 5)
    await store.mark_sent("relay", rows)
    await store.backlog()
    await store.replays("approval.results", 20)
    async with store.transaction() as transaction:
        await look_after(transaction, effects=service.parts.effects, limit=100)
    await ledger(service)
    await rectification(service)
    await erasure(service)


async def erasure(service: Service) -> None:
    """Somebody is forgotten who applied, and then the other parent of another application."""
    effects, keys = service.parts.effects, service.parts.keys
    for number, who in ((next(service.families), "mother"), (next(service.families), "father")):
        assert (await service.submit(number)).status_code == 202
        person = getattr(family(number), who)
        erased = PersonErased(
            erasure_id=uuid4(),
            subject=UUID(service.subjects[number]) if who == "mother" else uuid4(),
            erased_at=datetime.now(UTC),
            personal=ErasedParts(refs={"approval": pairwise.id_proof(keys.pairwise, person.id_no)}),
        )
        async with service.parts.store.transaction() as transaction:
            told = Message("e", CloudEvent("e", "/t", datetime.now(UTC), erased), RECORD)
            await erase_people(transaction, [told], effects=effects, keys=keys)
    await Forgetting(service.parts.pool, service.parts.store, KeyringSealer(keys.keyring)).finish()


async def ledger(service: Service) -> None:
    """What is asked of the ledger's coverage, all the time and with each checkpoint."""
    effects = service.parts.effects
    await effects.coverage.look()
    now = datetime.now(UTC)
    signed = CheckpointSigned(origin="o", size=1, checkpoint="c", covered=(uuid4(),), signed_at=now)
    async with service.parts.store.transaction() as transaction:
        await record_checkpoints(transaction, [Message("c", CloudEvent("c", "/t", now, signed), RECORD)])
        await proceed(transaction, effects=effects, limit=100)


async def rectification(service: Service) -> None:
    """An order, what its department says to it, and the sweep over those that wait."""
    effects = service.parts.effects
    now = datetime.now(UTC)
    order = RectificationRequested(
        order_id=uuid4(),
        round=1,
        department="health",
        matter="B2",
        matter_name="出生医学证明签发",
        requested_at=now,
        due_at=now,
        personal=ComplaintParts(level=1),
    )
    async with service.parts.store.transaction() as transaction:
        asked = Message("r", CloudEvent("r", "/t", now, order), RECORD)
        await request_rectifications(transaction, [asked], effects=effects)
    await service.parts.pool.execute(
        "UPDATE rectification SET next_look_at = now() WHERE order_id = $1", order.order_id
    )
    async with service.parts.store.transaction() as transaction:
        assert await resend_rectifications(transaction, effects=effects, limit=100) == 1
        answered = TaskAnswered(
            application_id=order.order_id,
            department="health",
            task_id=task_id_of(order),
            matter=RECTIFICATION,
            outcome=Outcome.REJECTED,
            reason="没有依据",
            decided_at=now,
        )
        answer = Message("a", CloudEvent("a", "/t", now, answered), RECORD)
        assert await record_rectification_results(transaction, [answer], effects=effects) == []


def _data_statements(ran: list[LoggedQuery]) -> Iterator[Ran]:
    seen = set()
    for one in ran:
        word = one.query.split(maxsplit=1)[0].upper()
        if word in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH") and one.query not in seen:
            seen.add(one.query)
            yield Ran(one.query, tuple(one.args))


GROWING = {
    "application": "gen_random_uuid()",
    "application_party": "decode(md5(n::text), 'hex')",
    "application_form": "gen_random_uuid()",
    "timeline": "gen_random_uuid()",
    "disclosure": "gen_random_uuid()",
    "disclosure_uncovered": "gen_random_uuid()",
    "disclosure_covered_early": "gen_random_uuid()",
    "consent": "gen_random_uuid()",
    "rectification": "gen_random_uuid()",
    "claim": "decode(md5(n::text), 'hex')",
    "idempotency_keys": "decode(md5(n::text), 'hex')",
    "inbox": "decode(md5(n::text), 'hex')",
    "outbox_unsent": "n + 1000000",
}


def fill(service: Service) -> None:
    """Many rows in every table that grows, of which the planner has heard nothing."""
    with psycopg.connect(service.database_url, autocommit=True) as session:
        for table, key in GROWING.items():
            columns = session.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position",
                [table],
            ).fetchall()
            first, *others = (str(name) for (name,) in columns)
            copied = ", ".join([key, *(f"t.{name}" for name in others)])
            session.execute(
                f"INSERT INTO {table} SELECT {copied} FROM (SELECT * FROM {table} ORDER BY {first} LIMIT 1) t,"  # type: ignore[call-overload]  # noqa: S608 - our own names
                f" generate_series(1, {ROWS}) n"
            )
        session.execute(
            "INSERT INTO outbox (shard, event_id, topic, key, headers, value, personal)"
            " SELECT n %% 16, n::text, 't', n::text, '{}', '', false FROM generate_series(1, %s::int) n",
            [ROWS],
        )


def analyse(service: Service) -> None:
    with psycopg.connect(service.database_url, autocommit=True) as session:
        session.execute("ANALYZE")


async def scans(service: Service, statements: list[Ran]) -> list[str]:
    """The readings of whole tables that grow, each with its statement."""
    plans = [(ran.query, await _plan_with_arguments(service, ran)) for ran in statements]
    plans += [(ran.query, plan) for ran, plan in zip(statements, _generic_plans(service, statements), strict=True)]
    return [
        f"{node['Node Type']} of {node['Relation Name']} in {query}"
        for query, plan in plans
        for node in _nodes(plan)
        if _reads_all(node)
    ]


def _reads_all(node: dict[str, Any]) -> bool:
    """Whether a node of a plan reads a table that grows from end to end, through an index or not."""
    table = node.get("Relation Name", "")
    looked_up = "Index Cond" in node or node["Node Type"] in ("Bitmap Heap Scan", "ModifyTable")
    return bool(table) and not looked_up and table not in SMALL and not table.startswith("pg_")


async def _plan_with_arguments(service: Service, ran: Ran) -> dict[str, Any]:
    explained = await service.parts.pool.fetchval(f"EXPLAIN (FORMAT JSON) {ran.query}", *ran.args)
    (plan,) = json.loads(explained)
    inner: dict[str, Any] = plan["Plan"]
    return inner


def _generic_plans(service: Service, statements: list[Ran]) -> list[dict[str, Any]]:
    """As the server plans a prepared statement once for all arguments; asked for without any, as that demands."""
    with psycopg.connect(service.database_url, autocommit=True) as session:
        for name, value in PLANNER_SETTINGS.items():
            session.execute(f"SET {name} = {value}")  # type: ignore[call-overload]
        explained = [
            session.execute(f"EXPLAIN (FORMAT JSON, GENERIC_PLAN) {ran.query}").fetchone()  # type: ignore[call-overload]
            for ran in statements
        ]
    return [plan[0][0]["Plan"] for plan in explained]


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)


async def test_no_statement_reads_a_whole_table_whatever_is_stored(service: Service):
    analyse(service)
    statements = await round_of_everything(service)
    assert len(statements) > 25
    assert await scans(service, statements) == []

    fill(service)
    assert await service.count("application") > ROWS
    assert await scans(service, statements) == []

    analyse(service)
    assert await scans(service, statements) == []
