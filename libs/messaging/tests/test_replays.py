"""What an operator has handled again."""

import sqlite3
from typing import Any

from yijian_messaging.record import Record
from yijian_messaging.store import LetterState
from yijian_messaging.testing import wait_until

from .line import Line


def record(line: Line, number: int) -> Record:
    return Record(line.topic, 0, number, b"k", b'{"id": "e%d", "text": "%05d"}' % (number, number), (), 0)


async def test_a_letter_that_cannot_be_opened_stays_dead_and_the_others_are_handled(line: Line):
    store = line.bench.store
    async with line.running(relay=False) as consumer:
        async with store.transaction() as transaction:
            await transaction.bury(consumer.name, [(record(line, 1), "broken"), (record(line, 2), "broken")])
            # Its key was retired: what is stored opens no more.
            outcome = transaction.connection.execute("UPDATE dead_letter SET sealed = 'x' WHERE record_offset = 1")
            if not isinstance(transaction.connection, sqlite3.Connection):
                await outcome
        for letter in await store.letters():
            await store.request_replay(letter.id, note="mended", value=None)
        await line.arrived(1)
        await wait_until(lambda: decided(store), what="both letters to be decided")
    unopened, handled = await store.letters()
    assert (unopened.state, handled.state) == (LetterState.DEAD, LetterState.REPLAYED)
    assert unopened.note.startswith("replay failed: ")
    assert await line.bench.effects() == ["00002"]


async def decided(store: Any) -> bool:
    return all(letter.state is not LetterState.REPLAY for letter in await store.letters())
