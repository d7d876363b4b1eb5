"""Every statement that runs per request, per batch or per tick is a look-up by index, however much is stored.

The statements are not copied here: a whole story is listened to, and what it ran is explained as a generic plan under
the settings it ran with.
"""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from data_exchange.withdrawals_told import tell
from yijian_ledger.keys import new_key
from yijian_messaging.postgres import PLANNER_SETTINGS

from .conftest import Service
from .consent_story import MOTHER, bearer, consent, register
from .disclosure_story import disclosed, record, shown
from .ledger_story import ORIGIN, append, sign
from .test_erasures import erase, erased

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(120)]

# A row per shard, relay, parked key, issuer, signer or beat; what waits to be sent; what an operator has to look at:
# these stay small for ever.
SMALL = {
    "outbox_lease", "outbox_relay", "outbox_parked", "outbox_unsent", "identity_key_sets", "dead_letter",
    "ledger_signer", "withdrawals_told",
}  # fmt: skip


async def story(service: Service) -> set[str]:
    """Disclose, agree, sign, look, take evidence away, take back, tell, forget; the statements that ran."""
    ran: set[str] = set()
    pool = service.parts.pool
    held = [await pool.acquire() for _ in range(pool.get_max_size())]
    for connection in held:
        connection.add_query_logger(lambda logged: ran.add(logged.query))
    for connection in held:
        await pool.release(connection)
    event, given = disclosed(), consent(application=uuid4())
    await record(service, event, shown())
    await register(service, given)
    await append(service, 300)
    await sign(service, new_key(ORIGIN))
    for path in (
        "/v1/disclosures",
        f"/v1/disclosures/{event.task_id}/evidence",
        f"/v1/applications/{event.application_id}/evidence",
        "/v1/consents",
        f"/v1/ledger/inclusion?id={event.task_id}",
        "/v1/ledger/consistency?old=1&size=300",
        "/v1/ledger",
        "/checkpoint",
        "/tile/0/000",
    ):
        answer = await service.client.get(path, headers=bearer(service, MOTHER))
        assert answer.status_code == 200, (path, answer.text)
    path = f"/v1/consents/{given.consent_id}/withdrawal"
    assert (await service.client.post(path, headers=bearer(service, MOTHER))).status_code == 200
    async with service.parts.store.transaction() as transaction:
        await tell(transaction, pause=0)
    await erase(service, erased(MOTHER))
    return {query for query in ran if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", query)}


async def test_no_statement_reads_a_whole_table(service: Service):
    ran = await story(service)
    assert len(ran) > 30
    settings = "".join(f"SET {name} = {value};" for name, value in PLANNER_SETTINGS.items())
    with psycopg.connect(service.settings.database_url.get_secret_value()) as held:
        held.execute(settings)
        plans = {query: held.execute(f"EXPLAIN (FORMAT JSON, GENERIC_PLAN) {query}").fetchone() for query in ran}
    scanned = [
        f"{node['Node Type']} of {node['Relation Name']} in {query}"
        for query, plan in plans.items()
        for node in _nodes(plan[0][0]["Plan"] if plan else {})
        if _reads_all(node)
    ]
    assert scanned == [], "\n".join(scanned)


def _reads_all(node: dict[str, Any]) -> bool:
    """Whether a node of a plan reads a table that grows from end to end, through an index or not."""
    table = node.get("Relation Name", "")
    looked_up = "Index Cond" in node or node["Node Type"] == "ModifyTable"
    return bool(table) and not looked_up and table not in SMALL and not table.startswith(("outbox_2", "pg_"))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node but the newest entries of an index, which are read from its end."""
    yield plan
    for inner in plan.get("Plans", []):
        ends = plan["Node Type"] == "Limit" and inner["Node Type"].startswith("Index") and "Filter" not in inner
        yield from inner.get("Plans", []) if ends else _nodes(inner)
