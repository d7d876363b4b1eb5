"""A rebalance storm: members join a consumer group and leave it, again and again, and do none of its work."""

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException
from yijian_contracts.departments import departments
from yijian_embedded.credentials import KafkaCredentials

from yijian_chaos.stage import Stage

STAYS_S: Final = 2.0
POLL_S: Final = 0.2
AWAY_S: Final = 0.5
ENDS_WITHIN_S: Final = 30.0


class Storm:
    """Healed when the last member has left."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._over = threading.Event()
        self._blowing: asyncio.Task[None] | None = None
        self.joined = 0
        self.given = 0

    async def inject(self, stage: Stage) -> Mapping[str, Any]:
        principal, topics = members_of(self._group)
        credentials = stage.platform.kafka_credentials(principal)
        self._blowing = asyncio.create_task(asyncio.to_thread(self.blow, credentials, topics))
        return {"topics": len(topics)}

    async def heal(self, stage: Stage) -> Mapping[str, Any]:  # noqa: ARG002 - the group knows nothing of the stage
        self._over.set()
        if self._blowing is not None:
            await asyncio.wait_for(self._blowing, ENDS_WITHIN_S)
        return {"joined": self.joined, "partitions_given": self.given}

    def blow(self, credentials: KafkaCredentials, topics: Sequence[str]) -> None:
        """One short-lived member after another, until it is over."""
        while not self._over.is_set():
            try:
                self._belong(credentials, topics)
            except KafkaException:
                # Another fault may have taken the brokers away.
                self._over.wait(AWAY_S)

    def _belong(self, credentials: KafkaCredentials, topics: Sequence[str]) -> None:
        own = {
            "group.id": self._group,
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
            # As our own consumers propose it: a group agrees on one.
            "partition.assignment.strategy": "roundrobin",
        }
        with closing(Consumer({**credentials.client_config(), **own})) as member:
            member.subscribe(list(topics), on_assign=self._assigned)
            self.joined += 1
            leaves = time.monotonic() + STAYS_S
            while time.monotonic() < leaves and not self._over.is_set():
                member.poll(POLL_S)

    def _assigned(self, _member: Consumer, partitions: Sequence[Any]) -> None:
        self.given += len(partitions)


def members_of(group: str) -> tuple[str, tuple[str, ...]]:
    """The principal whose group this is, and what its members read."""
    for entry in departments().values():
        if group == f"{entry.principal}.tasks":
            return entry.principal, (entry.tasks_topic,)
    if group == "approval.results":
        return "approval", tuple(entry.results_topic for entry in departments().values())
    raise ValueError(f"no consumer group is called {group}")
