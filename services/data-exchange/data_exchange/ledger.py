"""The ledger's hot end: leaves get their places, one after the other without a gap."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from yijian_common.database import Connection
from yijian_ledger.leaf import Leaf

# Whoever appends holds this until their transaction ends; "ledger" in ASCII.
APPEND_LOCK: Final = 0x6C6564676572


async def append(connection: Connection, leaves: Sequence[Leaf]) -> dict[UUID, int]:
    """Append leaves in the caller's transaction and return the places of those that were new.

    There is one leaf for each id: a leaf whose id is there already is left out. Everybody else who appends waits until
    the transaction ends, so append last.
    """
    distinct = list({leaf.id: leaf for leaf in leaves}.values())
    if not distinct:
        return {}
    # A statement of its own: the next one must see what the last holder of the lock committed.
    await connection.execute("SELECT pg_advisory_xact_lock($1)", APPEND_LOCK)
    rows = await connection.fetch(
        """
        INSERT INTO ledger.leaf (index, id, data)
        SELECT (SELECT coalesce(max(l.index) + 1, 0) FROM ledger.leaf l) + row_number() OVER (ORDER BY n.place) - 1,
            n.id, n.data
        FROM unnest($1::uuid[], $2::bytea[]) WITH ORDINALITY AS n(id, data, place)
        WHERE NOT EXISTS (SELECT FROM ledger.leaf l WHERE l.id = n.id)
        RETURNING id, index
        """,
        [leaf.id for leaf in distinct],
        [leaf.data for leaf in distinct],
    )
    return {row["id"]: row["index"] for row in rows}
