"""One signer at a time: a lease in the database, with an epoch that grows whenever another one takes it."""

from typing import Final

from yijian_common.database import Connection

LEASE_SECONDS: Final = 6.0


class LeaseLostError(Exception):
    """Another process signs now."""


async def take(connection: Connection, owner: str, *, predecessors: str | None) -> int | None:
    """Take or renew the lease; its epoch, or None while somebody else holds it.

    Owners whose name begins with `predecessors` are known to be dead: two never run under one instance's name.
    """
    epoch: int | None = await connection.fetchval(
        """
        UPDATE ledger_signer SET epoch = epoch + (owner IS DISTINCT FROM $1)::int, owner = $1,
            expires_at = now() + make_interval(secs => $2)
        WHERE owner IS NULL OR owner = $1 OR expires_at < now() OR starts_with(owner, $3)
        RETURNING epoch
        """,
        owner,
        LEASE_SECONDS,
        predecessors,
    )
    return epoch


async def hold(connection: Connection, owner: str, epoch: int) -> None:
    """Keep everybody else from taking the lease until the transaction ends. Raises `LeaseLostError`.

    Where the database is archived, the transaction becomes visible once the archive has it: a checkpoint that somebody
    saw is never lost with the disk (docs/decisions/0028).
    """
    held = await connection.fetchval(
        """
        SELECT set_config('synchronous_commit', 'on', true) FROM ledger_signer
        WHERE owner = $1 AND epoch = $2 AND expires_at > now() FOR UPDATE
        """,
        owner,
        epoch,
    )
    if held is None:
        raise LeaseLostError


async def release(connection: Connection, owner: str) -> None:
    """Give it back, on a graceful stop."""
    await connection.execute("UPDATE ledger_signer SET owner = NULL WHERE owner = $1", owner)
