"""Forgetting people: their invitations and words go, with the keys that opened them; what was counted stays."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from yijian_common.crypto import UnsealError
from yijian_common.database import Connection
from yijian_common.sealer import KeyringSealer
from yijian_contracts.events import PersonErased
from yijian_contracts.topics import RECTIFICATIONS_REQUESTED
from yijian_messaging import Transaction
from yijian_messaging.letters import unpack
from yijian_messaging.store import LetterState

from rating import order_rows, orders
from rating.actions.invitations import person_of
from rating.figures import Fact
from rating.order_effects import Carrier, outgoing
from rating.orders import Order

FORGOTTEN = "the person was forgotten"

# Shared by batches that invite, alone by one that erases; "erasure" in ASCII.
ERASURE_LOCK = 0x65726173757265


async def hold_erasures(connection: Connection, *, alone: bool) -> None:
    """To be called before anything is read: topics are read by several processes at once, and until COMMIT either an
    erasure finds who was invited, or who invites finds the erasure."""
    if alone:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", ERASURE_LOCK)
    else:
        await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", ERASURE_LOCK)


async def forget_people(
    transaction: Transaction[Connection], erased: Sequence[PersonErased], *, carrier: Carrier, at: datetime
) -> list[Fact]:
    """Forget these people. Orders they caused go on, without words and without anybody to call back.

    Returns what is to be counted at the transaction's end: nothing is ever counted back.
    """
    connection = transaction.connection
    subjects = {str(event.subject) for event in erased}
    people = [person_of(carrier.keyring, subject) for subject in sorted(subjects)]
    await connection.execute(
        "INSERT INTO erased_person (person, erased_at) SELECT unnest($1::bytea[]), $2 ON CONFLICT DO NOTHING",
        people,
        at,
    )
    found = await _lock_invitations(connection, people, carrier)
    invitations = [row["id"] for row in found]
    held = await order_rows.lock_orders_of(connection, invitations)
    for order in held:
        orders.forget(order, at=at)
    await _delete(connection, invitations)
    about = subjects | {str(order.id) for order in held} | {str(row["application_id"]) for row in found}
    await _forget_letters(transaction, about, carrier)
    unsent = await _delete_said(connection, held)
    facts = await carrier.update(transaction, held)
    # What was not sent yet is said without the words, so that the department still learns what to put right.
    await transaction.publish(
        [outgoing(await carrier.request(connection, order)) for order in held if order.id in unsent]
    )
    return facts


async def _lock_invitations(connection: Connection, people: Sequence[bytes], carrier: Carrier) -> list[Any]:
    rows: list[Any] = await connection.fetch(
        "SELECT id, application_id, data_key FROM invitation WHERE person = ANY($1) ORDER BY id FOR UPDATE",
        list(people),
    )
    for row in rows:
        carrier.keyring.forget(row["data_key"])
    return rows


async def _delete(connection: Connection, invitations: Sequence[UUID]) -> None:
    for statement in (
        "DELETE FROM review WHERE invitation_id = ANY($1)",
        "DELETE FROM handling WHERE invitation_id = ANY($1)",
        "DELETE FROM invitation WHERE id = ANY($1)",
        "DELETE FROM idempotency_keys WHERE about = ANY($1)",
    ):
        await connection.execute(statement, list(invitations))


async def _delete_said(connection: Connection, held: Sequence[Order]) -> set[UUID]:
    """Delete what was said to departments about these orders; returns those of which something was not sent yet."""
    rows = await connection.fetch(
        """
        WITH said AS (
            DELETE FROM outbox WHERE topic = $1 AND key = ANY($2) RETURNING id, key
        ), waiting AS (
            DELETE FROM outbox_unsent u USING said s WHERE u.id = s.id RETURNING s.key
        )
        SELECT DISTINCT key FROM waiting
        """,
        RECTIFICATIONS_REQUESTED,
        [str(order.id) for order in held],
    )
    return {UUID(row["key"]) for row in rows}


async def _forget_letters(transaction: Transaction[Connection], about: set[str], carrier: Carrier) -> None:
    """Empty the dead letters that name one of these ids. There are few of them, and each has to be opened to know."""
    sealer = KeyringSealer(carrier.keyring)
    names = [text.encode() for text in about]
    letters = await transaction.connection.fetch("SELECT id, sealed FROM dead_letter WHERE sealed <> ''")
    for letter in letters:
        try:
            record = unpack(sealer.open(letter["sealed"]), topic="", partition=0, offset=0)
        except UnsealError:
            continue  # it tells nobody anything any more
        parts = (record.key or b"", record.value or b"", *(value for _, value in record.headers))
        if any(name in part for part in parts for name in names):
            await transaction.connection.execute("UPDATE dead_letter SET sealed = '' WHERE id = $1", letter["id"])
            await transaction.settle_letter(letter["id"], LetterState.DISCARDED, FORGOTTEN)
