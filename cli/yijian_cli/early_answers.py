"""Answers that were read again before the request that they answer: replayed until each has had its effect."""

import asyncio
import time
from typing import Final

from approval.actions.results import NOT_REQUESTED
from yijian_messaging.store import LetterState

from yijian_cli.stores import APPROVAL, open_store, record_action, store_address

GIVE_UP_AFTER_S: Final = 60.0
MOST: Final = 1_000_000


async def replay_early_answers(*, by: str) -> tuple[int, int]:
    """How many were handled, and how many still wait for a request after a minute without any progress."""
    async with open_store(store_address(APPROVAL)) as opened:
        last, moved_at, first = -1, time.monotonic(), None
        while True:
            letters = await opened.store.letters(state=LetterState.DEAD, limit=MOST)
            waiting = [letter for letter in letters if letter.error == NOT_REQUESTED]
            replaying = await opened.store.letters(state=LetterState.REPLAY, limit=MOST)
            left = len(waiting) + sum(letter.error == NOT_REQUESTED for letter in replaying)
            first = left if first is None else first
            if left != last:
                last, moved_at = left, time.monotonic()
            if not left or time.monotonic() - moved_at > GIVE_UP_AFTER_S:
                break
            for letter in waiting:
                await opened.store.request_replay(letter.id, note=f"early answer, replayed by {by}", value=None)
            await asyncio.sleep(2)
        if first:
            async with opened.store.transaction() as transaction:
                what = f"had {first - left} early answers handled; {left} wait"
                await record_action(transaction, "early-answers", APPROVAL, what=what, reason="after a restore", by=by)
        return first - left, left
