"""What clients bring along: access tokens, and the word of the other parent. Identity may be down; they are patient.

Getting a token is no operation of the run: it is not in the history. How often and how long it was waited for is.
"""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

from yijian_chaos.http_client import RefusedError, UnansweredError, request

ASK_WITHIN_S = 5.0
ASK_AGAIN_AFTER_S = 1.0
# A token is not used in its last half minute: the request it goes with may wait that long.
FRESH_S = 30.0
AT_ONCE = 4


@dataclass(slots=True)
class Waits:
    """How patient one had to be: answers that did not come, and the longest wait for one (seconds)."""

    asked: int = 0
    unanswered: int = 0
    longest_s: float = 0.0


class People:
    """Everybody's tokens. `identity_url` is asked at most `AT_ONCE` times at a moment."""

    def __init__(self, identity_url: str) -> None:
        self._url = identity_url
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._asking = asyncio.Semaphore(AT_ONCE)
        self.waits = Waits()

    async def token(self, account: str, audience: str = "approval") -> str:
        """A token that is good for a while yet."""
        held, until = self._tokens.get((account, audience), ("", 0.0))
        if time.monotonic() < until - FRESH_S:
            return held
        answer = await self._ask("/dev/token", {"account": account, "audience": audience})
        self._tokens[account, audience] = answer["access_token"], time.monotonic() + answer["expires_in"]
        return str(answer["access_token"])

    def forget(self, account: str, audience: str = "approval") -> None:
        """Whoever was told that a token is not good any more gets another one."""
        self._tokens.pop((account, audience), None)

    async def word(self, giver: str, actor: str) -> str:
        """What identity signs when one parent authorises the other by a one-time code; good for one application."""
        body = {"account": giver, "actor": actor, "life_event": "birth"}
        return str((await self._ask("/dev/authorisation", body))["authorisation"])

    async def _ask(self, path: str, body: dict[str, str]) -> Any:
        began = time.monotonic()
        self.waits.asked += 1
        while True:
            async with self._asking:
                answered = await self._once(path, json.dumps(body).encode())
            if answered is not None:
                self.waits.longest_s = max(self.waits.longest_s, time.monotonic() - began)
                return answered
            self.waits.unanswered += 1
            await asyncio.sleep(ASK_AGAIN_AFTER_S)

    async def _once(self, path: str, body: bytes) -> Any:
        try:
            answer = await request("POST", f"{self._url}{path}", body=body, within_s=ASK_WITHIN_S)
        except (RefusedError, UnansweredError):
            return None
        return answer.json() if answer.status == 200 else None
