"""Erasing a person: what identity keeps of them goes, and everyone else is told, in one transaction.

What is sealed under a data key of their own becomes unreadable with the key, wherever a copy of it is. A child's
documents are the child's: they stay with the other guardian, or for the child alone when nobody else is left. Only a
newborn whom nobody could name any more goes with the last guardian. docs/decisions/0020.
"""

import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.errors import Forbidden, Unauthenticated
from yijian_common.pairwise import id_proof
from yijian_common.sealer import KeyringSealer
from yijian_contracts.events import DocumentShown, ErasedParts, PersonErased, SessionsEnded
from yijian_messaging import Transaction
from yijian_messaging.store import LetterState

from identity.events import say
from identity.people import Person, read_person
from identity.provider import OpenIdProvider
from identity.queries import lock_person
from identity.wallet.arrivals import ERASURES
from identity.wallet.documents import SHANGHAI, comes_of_age

MESSAGES_KEPT = timedelta(days=9)
"""Longer than the outbox and any topic keep a message."""

_GUARDED = "SELECT holder_id FROM guardian WHERE person = $1"
_HOLDERS = "SELECT holder_id FROM guardian WHERE person = $1 UNION SELECT id FROM holder WHERE id_index = $1"
# Of those whom this person stood in for: the nameless with nobody left, whom nobody could ever ask for again.
_NOBODYS = """
SELECT id FROM holder WHERE id = ANY($1) AND id_index IS NULL AND NOT EXISTS (
    SELECT FROM guardian WHERE guardian.holder_id = holder.id
)
"""
_LOOKS = """
SELECT document_look.id FROM document_look JOIN document ON document.id = document_look.document_id
WHERE document.holder_id = ANY($1) AND document_look.looked_at > $2
"""
_FORGET_HOLDERS = (
    "DELETE FROM presentation USING document WHERE document_id = document.id AND document.holder_id = ANY($1)",
    "DELETE FROM document WHERE holder_id = ANY($1)",
    "DELETE FROM guardian WHERE holder_id = ANY($1)",
    "DELETE FROM case_holder WHERE holder_id = ANY($1)",
    "DELETE FROM holder WHERE id = ANY($1)",
)
_FORGET_PERSON = (
    # What was asked of others by text names who asks.
    "DELETE FROM texts USING authorisation_requests WHERE texts.person_id = giver_id AND actor_id = $1",
    "DELETE FROM presentation WHERE person_id = $1",
    "DELETE FROM document_look WHERE person_id = $1",
    "DELETE FROM idempotency_keys WHERE about = $1",
    "DELETE FROM people WHERE id = $1",
)
_REMEMBER = """
INSERT INTO erased_person (person, erased_at) VALUES ($1, $2)
ON CONFLICT (person) DO UPDATE SET erased_at = excluded.erased_at
"""
FORGET_MESSAGES = """
DELETE FROM outbox USING erased_message
WHERE outbox.event_id = erased_message.event_id
    AND NOT EXISTS (SELECT FROM outbox_unsent WHERE outbox_unsent.id = outbox.id)
"""


async def erase_person(transaction: Transaction[Connection], provider: OpenIdProvider, person_id: UUID) -> datetime:
    """Forget a citizen, and say so. Returns since when. Raises `Unauthenticated` when that was done already."""
    held = transaction.connection
    await held.execute("SELECT pg_advisory_xact_lock($1)", ERASURES)
    row = await lock_person(held, person_id)
    person = None if row is None else read_person(row, provider.keyring)
    if row is None or person is None or person.id_no is None:
        raise Unauthenticated("登录已失效，请重新登录", token_error=True)
    at = datetime.now(UTC)
    _refuse_minors(person, at)
    erasure_id = uuid4()
    index = provider.keyring.blind_index("id_no", person.id_no)
    refs = {audience: id_proof(key, person.id_no) for audience, key in provider.pairwise.items()}
    erased = PersonErased(erasure_id=erasure_id, subject=person.id, erased_at=at, personal=ErasedParts(refs=refs))
    await _forget_messages(held, index, beside=erased.event_id, at=at)
    await _forget_letters(transaction, provider.keyring, person.id_no)
    await _forget_wallet(held, index)
    account = provider.keyring.blind_index("login account", person.account)
    await held.execute("DELETE FROM login_failures WHERE key_index = $1", account)
    for statement in _FORGET_PERSON:
        await held.execute(statement, person.id)
    await held.execute(_REMEMBER, index, at)
    await say(transaction, erased, SessionsEnded(subject=person.id, ended_at=at))
    provider.keyring.forget(row["data_key"])
    return at


def _refuse_minors(person: Person, at: datetime) -> None:
    if at.astimezone(SHANGHAI).date() < comes_of_age(person.id_no, at - timedelta(days=40_000)):
        raise Forbidden("未满十八周岁的，由监护人到办事大厅办理")


async def _forget_wallet(held: Connection, index: bytes) -> None:
    """The person's own documents, and their place beside children and family."""
    guarded = [row["holder_id"] for row in await held.fetch(_GUARDED, index)]
    await held.execute("SELECT FROM holder WHERE id = ANY($1) ORDER BY id FOR UPDATE", sorted(guarded))
    await held.execute("DELETE FROM guardian WHERE person = $1", index)
    own = await held.fetch("SELECT id FROM holder WHERE id_index = $1 FOR UPDATE", index)
    gone = [row["id"] for row in (*own, *await held.fetch(_NOBODYS, guarded))]
    for statement in _FORGET_HOLDERS:
        await held.execute(statement, gone)


async def _forget_messages(held: Connection, index: bytes, *, beside: UUID, at: datetime) -> None:
    """What was said of showings to the ledger, and `beside` itself: their rows go when they are sent."""
    holders = await held.fetch(_HOLDERS, index)
    looks = await held.fetch(_LOOKS, [row["holder_id"] for row in holders], at - MESSAGES_KEPT)
    events = [beside, *(DocumentShown.derive_id(row["id"]) for row in looks)]
    await held.execute(
        "INSERT INTO erased_message (event_id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
        [str(event) for event in events],
    )
    await held.execute(FORGET_MESSAGES)


async def _forget_letters(transaction: Transaction[Connection], keyring: Keyring, id_no: str) -> None:
    """Dead letters that hold the number are given up: an operator's note stays, what they held goes."""
    held, sealer = transaction.connection, KeyringSealer(keyring)
    rows = await held.fetch("SELECT id, sealed FROM dead_letter WHERE sealed <> ''")
    letters = [row["id"] for row in rows if _mentions(sealer.open(row["sealed"]), id_no)]
    for letter in letters:
        await transaction.settle_letter(letter, LetterState.DISCARDED, "its person was erased")
    await held.execute("UPDATE dead_letter SET sealed = '' WHERE id = ANY($1)", letters)


def _mentions(letter: bytes, id_no: str) -> bool:
    value = json.loads(letter)["value"]
    return value is not None and id_no.encode() in base64.b64decode(value).upper()
