"""The consent register: consents come with applications, and are taken back here, as easily as they were given."""

import hashlib
from collections.abc import Sequence
from datetime import UTC
from typing import Final
from uuid import UUID

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import ConsentGiven, Event
from yijian_messaging import Message, Rejected, Transaction

from data_exchange.consents import Consent, open_consent, seal, withdrawn
from data_exchange.errors import ConsentNotFound
from data_exchange.forgetting import find_forgotten
from data_exchange.people import person_index
from data_exchange.telling import outgoing

# Held shared by whoever withdraws, until COMMIT, and alone by whoever says how far withdrawals were told; "consent" in
# ASCII.
WITHDRAWAL_LOCK: Final = 0x636F6E73656E74

Told = Message[CloudEvent[Event]]


async def register_consents(
    transaction: Transaction[Connection], messages: Sequence[Told], *, keyring: Keyring
) -> list[Rejected]:
    """Enter consents, each once, in the open transaction. What is none, or not in the words it says, is rejected.

    A consent that is there stays as it is: told again it is not given again after it was taken back.
    """
    rejected = []
    given: dict[UUID, ConsentGiven] = {}
    for message in messages:
        match message.content.data:
            case ConsentGiven() as event if hashlib.sha256(event.text.encode()).hexdigest() == event.text_digest:
                given.setdefault(event.consent_id, event)
            case ConsentGiven():
                rejected.append(Rejected(message, "the text is not the one that its digest is of"))
            case other:
                rejected.append(Rejected(message, f"{type(other).__name__} is no consent"))
    if given:
        await _enter(transaction.connection, list(given.values()), keyring)
    return rejected


async def _enter(connection: Connection, events: Sequence[ConsentGiven], keyring: Keyring) -> None:
    givers = {event.consent_id: person_index(keyring, event.giver_ref) for event in events}
    forgotten = await find_forgotten(connection, givers.values(), [event.application_id for event in events])
    kept = [
        event
        for event in events
        if not forgotten.covers(
            givers[event.consent_id], case_id=event.application_id, role=event.giver, said_at=event.given_at
        )
    ]
    texts = {bytes.fromhex(event.text_digest): event.text for event in kept}
    await connection.execute(
        "INSERT INTO consent_text (digest, text) SELECT * FROM unnest($1::bytea[], $2::text[]) ORDER BY 1"
        " ON CONFLICT DO NOTHING",
        list(texts),
        list(texts.values()),
    )
    await connection.execute(
        """
        INSERT INTO consent (id, case_id, giver, role, basis, text_digest, given_at, valid_until, sealed)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::text[], $5::text[], $6::bytea[],
            $7::timestamptz[], $8::timestamptz[], $9::bytea[])
        ON CONFLICT DO NOTHING
        """,
        [event.consent_id for event in kept],
        [event.application_id for event in kept],
        [givers[event.consent_id] for event in kept],
        [event.giver for event in kept],
        [event.basis for event in kept],
        [bytes.fromhex(event.text_digest) for event in kept],
        [event.given_at for event in kept],
        [event.valid_until for event in kept],
        [seal(event, keyring) for event in kept],
    )


async def withdraw_consent(
    transaction: Transaction[Connection], consent_id: UUID, *, giver: bytes, keyring: Keyring
) -> Consent:
    """Take a consent back. Repeating changes nothing; raises `ConsentNotFound` for anybody but the giver."""
    await hold_withdrawal(transaction.connection)
    row = await transaction.connection.fetchrow(
        "UPDATE consent SET withdrawn_at = clock_timestamp() WHERE id = $1 AND giver = $2 AND withdrawn_at IS NULL"
        " RETURNING id, case_id, basis, role, withdrawn_at",
        consent_id,
        giver,
    )
    if row is not None:
        await transaction.publish([outgoing(withdrawn(row, row["withdrawn_at"].astimezone(UTC)))])
    found = await transaction.connection.fetchrow(
        "SELECT c.*, t.text FROM consent c JOIN consent_text t ON t.digest = c.text_digest"
        " WHERE c.id = $1 AND c.giver = $2",
        consent_id,
        giver,
    )
    if found is None:
        raise ConsentNotFound
    return open_consent(found, keyring)


async def hold_withdrawal(connection: Connection) -> None:
    """To be called before a withdrawal is written: until COMMIT nobody says that all withdrawals were told."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", WITHDRAWAL_LOCK)
