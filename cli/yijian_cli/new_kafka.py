"""Every store begins anew with a Kafka that was made anew, each in one transaction of its own."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from yijian_common.sealer import KeyringSealer
from yijian_contracts.departments import departments
from yijian_contracts.events import TaskCancelled, TaskRequested
from yijian_embedded.errors import PlatformError
from yijian_messaging import new_kafka

from yijian_cli.platform import this_platform
from yijian_cli.stores import APPROVAL, SERVICES, OpenStore, open_store, record_action, store_address

KEPT_DAYS: Final = 8
"""For so long the outboxes keep what was sent."""

_HALTED: Final = "offset-lost"


async def begin_anew(cluster: str, since: datetime, *, reason: str, by: str) -> dict[str, tuple[int, int]]:
    """Forgotten offsets and messages said again, by service. Raises `PlatformError` if this Kafka is not a new one."""
    files = {code: this_platform().home.department_store(code) for code in departments()}
    present = {code: path for code, path in files.items() if path.is_file()}
    if not await _counted_elsewhere(cluster, present):
        raise PlatformError("every offset was counted in this Kafka: it is not a new one, and nothing has to be done")
    done = {service: await _begin_service(service, since, reason=reason, by=by) for service in SERVICES}
    return done | {code: _begin_department(path, since, reason=reason, by=by) for code, path in present.items()}


async def _counted_elsewhere(cluster: str, stores: dict[str, Path]) -> bool:
    other = "SELECT count(*) FROM consumer_offset WHERE cluster_id <> "
    for service in SERVICES:
        async with open_store(store_address(service)) as opened, _pool(opened).acquire() as connection:
            if await connection.fetchval(f"{other}$1", cluster):
                return True
    for path in stores.values():
        with closing(sqlite3.connect(path, timeout=10)) as db:
            if db.execute(f"{other}?", [cluster]).fetchone()[0]:
                return True
    return False


async def _begin_service(service: str, since: datetime, *, reason: str, by: str) -> tuple[int, int]:
    async with open_store(store_address(service)) as opened, opened.store.transaction() as transaction:
        connection = transaction.connection
        but = await _taken_back(opened, connection, since) if service == APPROVAL else ()
        offsets = await new_kafka.begin_anew(connection)
        waiting = await new_kafka.say_again(connection, since, but=but)
        what = f"began anew with another Kafka: {offsets} offsets forgotten, {waiting} messages said again"
        await record_action(transaction, "new-kafka", service, what=what, reason=reason, by=by)
        halted = await connection.fetch("SELECT subject FROM incident WHERE kind = $1 AND closed_at IS NULL", _HALTED)
        for row in halted:
            await transaction.close_incident(_HALTED, row["subject"], f"read from the beginning: {reason} ({by})")
        return offsets, waiting


async def _taken_back(opened: OpenStore, connection: Any, since: datetime) -> list[str]:
    """The requests that were cancelled since: whoever has not had one must not get it now; the cancellation goes."""
    sealer = KeyringSealer(opened.keyring)
    cancelled = new_kafka.said(connection, TaskCancelled.full_type(), since, sealer=sealer)
    return [str(TaskRequested.id_for(TaskCancelled.model_validate_json(value).task_id)) async for value in cancelled]


def _begin_department(path: Path, since: datetime, *, reason: str, by: str) -> tuple[int, int]:
    with closing(sqlite3.connect(path, timeout=10)) as db, db:
        offsets, waiting = new_kafka.begin_anew_sqlite(db), new_kafka.say_again_sqlite(db, since)
        db.execute(
            "UPDATE incident SET closed_at = (julianday('now') - 2440587.5) * 86400.0, resolution = ?"
            " WHERE kind = ? AND closed_at IS NULL",
            (f"read from the beginning: {reason} ({by})", _HALTED),
        )
        return offsets, waiting


def _pool(opened: OpenStore) -> Any:
    if opened.pool is None:
        raise PlatformError("a service keeps its messages in Postgres: correct YIJIAN_DATABASE_URL.")
    return opened.pool
