"""Forgetting a person in the dead letters: an operator may replay what is left of them.

A disclosure keeps its ids and what those who remain may see, since approval waits for its leaf; of a person's consent,
and of what cannot be read, nothing is kept.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.sealer import KeyringSealer
from yijian_contracts.cloudevents import UndecodableError, decode
from yijian_contracts.events import DataDisclosed, DisclosedPart, DocumentShown
from yijian_messaging import Record, Store, Transaction
from yijian_messaging.letters import pack
from yijian_messaging.store import LetterState

from data_exchange.owners import CHILD

_MOST_LETTERS: Final = 100_000


async def erase_letters(
    transaction: Transaction[Connection], ref: str, *, keyring: Keyring, store: Store[Connection]
) -> None:
    """Take the person out of every dead letter that names them."""
    sealer = KeyringSealer(keyring)
    for letter in await store.letters(limit=_MOST_LETTERS):
        found = await store.letter(letter.id)
        if found is None or ref.encode() not in (found.record.value or b""):
            continue
        left = _without(found.record, ref)
        if left is None:
            await transaction.settle_letter(letter.id, LetterState.DISCARDED, "erased with the person it named")
        sealed = b"" if left is None else sealer.seal(pack(replace(found.record, value=left)))
        await transaction.connection.execute("UPDATE dead_letter SET sealed = $2 WHERE id = $1", letter.id, sealed)


def _without(record: Record, ref: str) -> bytes | None:
    """The record's value without the person and without what only they could see; None if nothing is to be kept."""
    try:
        event = decode(record.headers, record.value).data
    except UndecodableError:
        return None
    match event:
        case DataDisclosed():
            people = tuple(person for person in event.people if person.ref != ref)
            seen = {person.role for person in people}
            seen |= {CHILD} if not seen.isdisjoint(event.guardians) else set()
            parts = tuple(_seen_by(part, seen) for part in event.parts)
            return event.model_copy(update={"people": people, "parts": parts}).model_dump_json().encode()
        case DocumentShown():
            others = tuple(one for one in event.people if one != ref)
            part = event.part if others else _seen_by(event.part, ())
            return event.model_copy(update={"people": others, "part": part}).model_dump_json().encode()
        case _:
            return None


def _seen_by(part: DisclosedPart, roles: Collection[str]) -> DisclosedPart:
    fields: Sequence[object] = [field for field in part.fields if not set(field.concerns).isdisjoint(roles)]
    return part.model_copy(update={"fields": tuple(fields)})
