"""Forgetting a person in the dead letters: an operator may replay what is left of them.

A disclosure keeps its ids and what those who remain may see, since approval waits for its leaf; of a person's consent,
and of what cannot be read, nothing is kept.
"""

from dataclasses import replace
from typing import Final

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.sealer import KeyringSealer
from yijian_contracts.cloudevents import UndecodableError, decode
from yijian_contracts.events import DataDisclosed, DocumentShown
from yijian_messaging import Record, Transaction
from yijian_messaging.letters import pack, unpack
from yijian_messaging.store import LetterState

from data_exchange.owners import CHILD

_LETTERS_AT_ONCE: Final = 500


async def erase_letters(transaction: Transaction[Connection], ref: str, *, keyring: Keyring) -> None:
    """Take the person out of every dead letter that names them.

    Through the one connection that we have: those who wait for the erasure to end may hold all the others.
    """
    sealer = KeyringSealer(keyring)
    connection = transaction.connection
    last = 0
    while rows := await connection.fetch(
        "SELECT id, topic, partition, record_offset, sealed FROM dead_letter WHERE id > $1 AND sealed <> ''"
        " ORDER BY id LIMIT $2",
        last,
        _LETTERS_AT_ONCE,
    ):
        last = rows[-1]["id"]
        for row in rows:
            place = {"topic": row["topic"], "partition": row["partition"], "offset": row["record_offset"]}
            record = unpack(sealer.open(row["sealed"]), **place)
            if ref.encode() not in (record.value or b""):
                continue
            left = _without(record, ref)
            if left is None:
                await transaction.settle_letter(row["id"], LetterState.DISCARDED, "erased with the person it named")
            sealed = b"" if left is None else sealer.seal(pack(replace(record, value=left)))
            await connection.execute("UPDATE dead_letter SET sealed = $2 WHERE id = $1", row["id"], sealed)


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
            parts = tuple(part for part in event.parts if not seen.isdisjoint(part.concerns))
            return event.model_copy(update={"people": people, "parts": parts}).model_dump_json().encode()
        case DocumentShown():
            others = tuple(one for one in event.people if one != ref)
            part = event.part if others else event.part.model_copy(update={"fields": ()})
            return event.model_copy(update={"people": others, "part": part}).model_dump_json().encode()
        case _:
            return None
