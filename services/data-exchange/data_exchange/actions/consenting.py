"""The consent register: consents come with applications, and are taken back here, as easily as they were given."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from typing import Final
from uuid import UUID

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import ConsentsGiven, ConsentText, Event, GivenConsent
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
    told: list[ConsentsGiven] = []
    for message in messages:
        match message.content.data:
            case ConsentsGiven() as event if all(_is_as_digested(given.agreed_to) for given in event.consents):
                told.append(event)
            case ConsentsGiven():
                rejected.append(Rejected(message, "a text is not the one that its digest is of"))
            case other:
                rejected.append(Rejected(message, f"{type(other).__name__} is no consent"))
    if told:
        await _enter(transaction.connection, told, keyring)
    return rejected


def _is_as_digested(agreed_to: ConsentText) -> bool:
    return hashlib.sha256(agreed_to.text.encode()).hexdigest() == agreed_to.text_digest


async def _enter(connection: Connection, events: Sequence[ConsentsGiven], keyring: Keyring) -> None:
    givers = {event.giver_ref: person_index(keyring, event.giver_ref) for event in events}
    forgotten = await find_forgotten(connection, givers.values(), [event.application_id for event in events])
    kept: dict[UUID, tuple[ConsentsGiven, GivenConsent]] = {}
    for event in events:
        giver = givers[event.giver_ref]
        if not forgotten.covers(giver, case_id=event.application_id, role=event.giver, said_at=event.given_at):
            for given in event.consents:
                kept.setdefault(given.consent_id, (event, given))
    if not kept:
        return
    texts = {bytes.fromhex(given.agreed_to.text_digest): given.agreed_to.text for _, given in kept.values()}
    await connection.execute(
        """
        WITH told AS (
            INSERT INTO consent_text (digest, text) SELECT * FROM unnest($10::bytea[], $11::text[]) ORDER BY 1
            ON CONFLICT DO NOTHING
        )
        INSERT INTO consent (id, case_id, giver, role, basis, text_digest, given_at, valid_until, sealed)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::text[], $5::text[], $6::bytea[],
            $7::timestamptz[], $8::timestamptz[], $9::bytea[])
        ON CONFLICT DO NOTHING
        """,
        list(kept),
        [event.application_id for event, _ in kept.values()],
        [givers[event.giver_ref] for event, _ in kept.values()],
        [event.giver for event, _ in kept.values()],
        [given.agreed_to.basis for _, given in kept.values()],
        [bytes.fromhex(given.agreed_to.text_digest) for _, given in kept.values()],
        [event.given_at for event, _ in kept.values()],
        [given.valid_until for _, given in kept.values()],
        [seal(event, given, keyring) for event, given in kept.values()],
        list(texts),
        list(texts.values()),
    )


async def withdraw_consent(
    transaction: Transaction[Connection], consent_id: UUID, *, giver: bytes, keyring: Keyring
) -> Consent:
    """Take a consent back. Repeating changes nothing; raises `ConsentNotFound` for anybody but the giver."""
    await hold_withdrawal(transaction.connection)
    # Looked at once: it may be entered at this moment, and what one statement does not see yet another one would.
    found = await transaction.connection.fetchrow(
        "SELECT c.*, t.text FROM consent c JOIN consent_text t ON t.digest = c.text_digest"
        " WHERE c.id = $1 AND c.giver = $2 FOR UPDATE OF c",
        consent_id,
        giver,
    )
    if found is None:
        raise ConsentNotFound
    consent = open_consent(found, keyring)
    if consent.withdrawn_at is not None:
        return consent
    at = await transaction.connection.fetchval(
        "UPDATE consent SET withdrawn_at = clock_timestamp() WHERE id = $1 RETURNING withdrawn_at", consent_id
    )
    await transaction.publish([outgoing(withdrawn(found, at.astimezone(UTC)))])
    return replace(consent, withdrawn_at=at)


async def hold_withdrawal(connection: Connection) -> None:
    """To be called before a withdrawal is written: until COMMIT nobody says that all withdrawals were told."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", WITHDRAWAL_LOCK)
