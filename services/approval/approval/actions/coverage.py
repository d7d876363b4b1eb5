"""What the ledger has written down need not be waited for any more."""

from collections.abc import Sequence
from datetime import UTC, datetime

from yijian_common.database import Connection
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import CheckpointSigned
from yijian_messaging import Message, Transaction

from approval import engine, rows
from approval.effects import Effects

# A disclosure that is written again after a restore comes within the time that Kafka keeps what was said of it.
EARLY_DAYS = 9


async def record_checkpoints(
    transaction: Transaction[Connection], messages: Sequence[Message[CloudEvent[CheckpointSigned]]]
) -> None:
    """The disclosures that these checkpoints cover are waited for no longer.

    What was not waited for is remembered for a while: after a restore a disclosure is written again after the
    checkpoint that covers it was read again.
    """
    await transaction.connection.execute(
        """
        WITH covered AS (
            SELECT DISTINCT id FROM unnest($1::uuid[]) AS c(id)
        ), gone AS (
            DELETE FROM disclosure_uncovered u USING covered c WHERE u.task_id = c.id RETURNING u.task_id
        )
        INSERT INTO disclosure_covered_early (disclosure_id)
        SELECT id FROM covered EXCEPT SELECT task_id FROM gone
        ON CONFLICT DO NOTHING
        """,
        [each for message in messages for each in message.content.data.covered],
    )
    await transaction.connection.execute(
        "DELETE FROM disclosure_covered_early WHERE covered_at < now() - make_interval(days => $1)", EARLY_DAYS
    )


async def proceed(transaction: Transaction[Connection], *, effects: Effects, limit: int) -> int:
    """Have applications go on that waited for the ledger; returns how many were looked at."""
    at = datetime.now(UTC)
    if effects.coverage.behind(at):
        return 0
    waiting = await rows.lock_held(transaction.connection, effects.keyring, limit=limit)
    for held in waiting:
        held.fold(engine.proceed(held.application, at=at))
    await effects.carry_out(transaction, waiting, at=at)
    return len(waiting)
