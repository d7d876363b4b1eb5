"""A ledger does not go back: what was appended after the moment to which its database went back is brought forward.

Both databases are one history, of which the restored one is the beginning. So what stands in the former one behind the
restored leaves is put behind them, byte for byte, and the root is the one that the witness saw. With the leaves come
the details of their cases, and what was said of the checkpoints over them, to be said again: nobody would make it anew,
and whoever has heard it knows it by its id. What else is new is heard from Kafka again.
"""

from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg import sql
from yijian_contracts.topics import CHECKPOINTS
from yijian_embedded.errors import PlatformError

Connection = psycopg.Connection[tuple[object, ...]]

# Each table with what of it is newer than `leaves` leaves, of which `signed` were signed.
_LEDGER: Final = {
    "leaf": sql.SQL("SELECT * FROM ledger.leaf WHERE index >= %(leaves)s"),
    "tile": sql.SQL("SELECT * FROM ledger.tile WHERE index >= (%(signed)s::bigint >> (8 * (level + 1)))"),
    "checkpoint": sql.SQL("SELECT * FROM ledger.checkpoint WHERE size > %(signed)s"),
    "cosignature": sql.SQL("SELECT * FROM ledger.cosignature WHERE size > %(signed)s"),
}
_CASES: Final = "SELECT d.case_id FROM disclosure d JOIN ledger.leaf l ON l.id = d.id WHERE l.index >= %(leaves)s"
_DETAILS: Final = ("case_key", "case_person", "disclosure")
_LAST_SAID: Final = "SELECT coalesce(max(created_at), '-infinity')::text FROM outbox WHERE topic = %s"
_SAID: Final = """
SELECT shard, event_id, topic, key, headers, value, personal, gate FROM outbox
WHERE topic = %s AND created_at > %s::timestamptz ORDER BY id
"""
_SAY: Final = """
WITH said AS (
    INSERT INTO outbox (shard, event_id, topic, key, headers, value, personal, gate)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id, day, shard, event_id, gate
)
INSERT INTO outbox_unsent (id, day, shard, event_id, gate) SELECT id, day, shard, event_id, gate FROM said
"""


def bring_forward(former_url: str, url: str) -> int:
    """Put the leaves that only the former database has behind those of the restored one; returns how many.

    Raises `PlatformError` when the two are not one history.
    """
    with psycopg.connect(former_url) as former, psycopg.connect(url) as here:
        at = {"leaves": _size(here, "leaf", "index", 1), "signed": _size(here, "checkpoint", "size", 0)}
        _refuse_another_history(former, here, at["leaves"])
        _bring_details(former, here, at)
        for table, newer in _LEDGER.items():
            _copy(former, here, newer, at, into=sql.Identifier("ledger", table))
        _bring_words(former, here)
        return _size(here, "leaf", "index", 1) - at["leaves"]


def leaves_missing(former_url: str, url: str) -> int:
    """How many leaves the former database has that the other has not."""
    with psycopg.connect(former_url) as former, psycopg.connect(url) as here:
        return max(0, _size(former, "leaf", "index", 1) - _size(here, "leaf", "index", 1))


def _bring_details(former: Connection, here: Connection, at: dict[str, int]) -> None:
    """Whole cases, as they were last: what was destroyed of them since is not there again."""
    if not _has(former, "disclosure", "case_key"):
        return
    cases = [row[0] for row in former.execute(_CASES, at).fetchall()]
    for table in _DETAILS:
        name = sql.Identifier(table)
        here.execute(sql.SQL("DELETE FROM {} WHERE case_id = ANY(%s)").format(name), [cases])
        wanted = sql.SQL("SELECT * FROM {} WHERE case_id = ANY(%(cases)s)").format(name)
        _copy(former, here, wanted, {"cases": cases}, into=name)


def _bring_words(former: Connection, here: Connection) -> None:
    """What was said of checkpoints since, in its order; their other readers may need it, after a loss of Kafka."""
    if not _has(former, "outbox"):
        return
    last = here.execute(_LAST_SAID, [CHECKPOINTS]).fetchone()
    here.cursor().executemany(_SAY, former.execute(_SAID, [CHECKPOINTS, last[0] if last else "-infinity"]).fetchall())


def _has(session: Connection, *tables: str) -> bool:
    """Whether these tables are there: what was harmed may be without."""
    row = session.execute("SELECT bool_and(to_regclass(t) IS NOT NULL) FROM unnest(%s::text[]) t", [list(tables)])
    return row.fetchone() == (True,)


def _copy(
    former: Connection, here: Connection, wanted: sql.Composable, at: Mapping[str, object], *, into: sql.Identifier
) -> None:
    out = sql.SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(wanted)
    back = sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(into)
    with former.cursor().copy(out, at) as source, here.cursor().copy(back) as target:
        for block in source:
            target.write(block)


def _size(session: Connection, table: str, column: str, further: int) -> int:
    names = {"column": sql.Identifier(column), "table": sql.Identifier("ledger", table)}
    statement = sql.SQL("SELECT coalesce(max({column}) + %s, 0) FROM {table}").format(**names)
    row = session.execute(statement, [further]).fetchone()
    return int(str(row[0])) if row else 0


def _refuse_another_history(former: Connection, here: Connection, leaves: int) -> None:
    last = "SELECT data FROM ledger.leaf WHERE index = %s"
    if leaves and here.execute(last, [leaves - 1]).fetchone() != former.execute(last, [leaves - 1]).fetchone():
        raise PlatformError("the former ledger does not go on from the restored one: look for who changed it")
