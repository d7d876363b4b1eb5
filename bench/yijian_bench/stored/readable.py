"""A few of the copies can be read: their parts are sealed anew for one citizen, who thereby has many applications."""

from uuid import UUID

import asyncpg
from approval.application import load
from yijian_common.crypto import DataKey, Keyring
from yijian_contracts.derived_ids import task_id

from yijian_bench.stored.past import Past, task

MOST = 2_000
"""So many applications one citizen has in the end, spread over all that is stored."""


def readable(past: Past, *, have: int, wanted: int) -> list[UUID]:
    """The ids of those among the copies after `have`."""
    return [past.application(n) for n in _chosen(have, wanted)]


def _chosen(have: int, wanted: int) -> range:
    return range(have + 1, wanted + 1, max(1, wanted // MOST))


async def make_readable(
    connection: asyncpg.Connection, keyring: Keyring, past: Past, *, subject: str, have: int, wanted: int
) -> None:
    """Give every so-manieth copy after `have` to the applicant `subject`."""
    original = await connection.fetchrow(
        "SELECT id, answers, people, data_key FROM application WHERE applicant = $1 ORDER BY id LIMIT 1", subject
    )
    if original is None:
        raise ValueError(f"{subject} has not applied for anything that could be copied")
    parties = [
        row["party"]
        for row in await connection.fetch(
            "SELECT party FROM application_party WHERE application_id = $1", original["id"]
        )
    ]
    for n in _chosen(have, wanted):
        await _hand_over(connection, keyring, original, n=n, past=past, subject=subject)
    await connection.execute(
        "INSERT INTO application_party SELECT party, id FROM unnest($1::bytea[]) party, unnest($2::uuid[]) id",
        parties,
        readable(past, have=have, wanted=wanted),
    )


async def _hand_over(
    connection: asyncpg.Connection, keyring: Keyring, original: asyncpg.Record, *, n: int, past: Past, subject: str
) -> None:
    """As `approval.rows` seals: the same parts, bound to the copy's id."""
    identity, old = past.application(n), keyring.unwrap(original["data_key"])
    new = keyring.new_data_key()
    await connection.execute(
        "UPDATE application SET applicant = $2, answers = $3, people = $4, data_key = $5 WHERE id = $1",
        identity,
        subject,
        _moved(original["answers"], b"answers:", old, new, original["id"].bytes, identity.bytes),
        _moved(original["people"], b"people:", old, new, original["id"].bytes, identity.bytes),
        new.wrapped,
    )
    tasks = load(await connection.fetchval("SELECT state FROM application WHERE id = $1", identity)).tasks
    await connection.execute(
        "UPDATE disclosure d SET task_id = n.new FROM unnest($2::uuid[], $3::uuid[]) AS n(old, new)"
        " WHERE d.application_id = $1 AND d.task_id = n.old",
        identity,
        [task(identity, one.matter) for one in tasks],
        [task_id(identity, child=one.child, matter=one.matter, attempt=one.attempt) for one in tasks],
    )


def _moved(sealed: bytes, part: bytes, old: DataKey, new: DataKey, was: bytes, is_now: bytes) -> bytes:
    return new.seal(old.open(sealed, part + was), part + is_now) if sealed else b""
