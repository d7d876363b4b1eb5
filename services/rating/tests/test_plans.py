"""Every statement that runs per request, per batch or per tick is a look-up by index, however much is stored.

The statements are not copied here: a whole story is listened to, and what it ran is explained as a generic plan under
the settings it ran with.
"""

import re

import psycopg
import pytest
from yijian_messaging.postgres import PLANNER_SETTINGS

from .conftest import Service, handling

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]

# A row per shard, relay, parked key or issuer, and what waits to be sent: these stay small for ever.
SMALL = {"outbox_lease", "outbox_relay", "outbox_parked", "outbox_unsent", "identity_key_sets"}


async def story(service: Service) -> set[str]:
    """Invite, review, ask, answer, call back, verify, let time pass, read; the statements that ran."""
    ran: set[str] = set()
    pool = service.parts.pool
    held = [await pool.acquire() for _ in range(pool.get_max_size())]
    for connection in held:
        connection.add_query_logger(lambda logged: ran.add(logged.query))
    for connection in held:
        await pool.release(connection)
    asked = await service.bad_review()
    await service.answer(asked)
    (own,) = await service.own()
    await service.review(own["id"], level="VERY_DISSATISFIED")
    (again,) = await service.said()
    await service.answer(again)
    await service.call_back(asked.order_id, satisfied=False)
    (flagged,) = await service.invited(handling(promised=120, taken=30), name="father")
    order = (await service.review(flagged["id"], name="father", level="DISSATISFIED", options=["209"])).json()["order"]
    supervisor = service.official("SUPERVISOR", "taxation")
    body = {"verdict": "VALID", "reason": "核实无误"}
    await service.client.post(f"/v1/orders/{order}/verification", json=body, headers=supervisor)
    (third,) = await service.said()
    await service.time_is(third.due_at)
    for path in (
        "orders?state=ESCALATED",
        f"orders/{order}",
        "figures?department=health&from=2026-11-01&to=2027-01-01",
    ):
        assert (await service.client.get(f"/v1/{path}", headers=supervisor)).status_code == 200
    assert (await service.client.get("/v1/published-rectifications")).status_code == 200
    return {query for query in ran if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", query)}


async def test_no_statement_reads_a_whole_table(service: Service):
    ran = await story(service)
    assert len(ran) > 30
    settings = "".join(f"SET {name} = {value};" for name, value in PLANNER_SETTINGS.items())
    address = service.parts.pool._connect_args[0]
    scanned = {}
    with psycopg.connect(address) as held:
        held.execute(settings)
        for query in ran:
            plan = "\n".join(row[0] for row in held.execute("EXPLAIN (GENERIC_PLAN) " + query))
            tables = set(re.findall(r"Seq Scan on (\w+)", plan)) - SMALL
            if {table for table in tables if not table.startswith("outbox_2")}:
                scanned[query] = plan
    assert not scanned
