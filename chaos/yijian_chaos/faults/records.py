"""What arrives: again and again, in another order, or as nonsense; and a group whose members come and go."""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

from yijian_chaos.faults.fault import Fault, Skipped, in_thread
from yijian_chaos.faults.poison import poison
from yijian_chaos.faults.storm import Storm
from yijian_chaos.faults.tap import Taken, put, take_latest, topic_of, window
from yijian_chaos.matrix import FaultKind
from yijian_chaos.schedule import Planned
from yijian_chaos.stage import Stage

RECENT: Final = 200
"""So many records of each partition are taken."""
SHARE: Final = 0.2
TIMES: Final = 3
WINDOW: Final = 50


def build(planned: Planned) -> Fault:
    match planned.fault:
        case FaultKind.STORM:
            return Storm(planned.component)
        case FaultKind.DUPLICATES:
            return Duplicates(planned)
        case FaultKind.REORDER:
            return Reorder(planned)
        case FaultKind.POISON:
            return Poison(planned)
        case other:
            raise ValueError(f"{other} is not done to records")


class Republished(ABC):
    """Records put on a topic by its own writer's login, made of what is there. What was put stays: nothing is healed.

    The timeline says where each stands, so that whoever judges the run knows them from the writer's own.
    """

    KIND: str

    def __init__(self, planned: Planned) -> None:
        self._topic = planned.component
        self._chance = random.Random(planned.index)

    async def inject(self, stage: Stage) -> Mapping[str, Any]:
        return await in_thread(self._put, stage)

    async def heal(self, stage: Stage) -> Mapping[str, Any]:  # noqa: ARG002 - as every fault
        return {}

    def _put(self, stage: Stage) -> Mapping[str, Any]:
        topic = topic_of(self._topic)
        there = take_latest(stage.platform.kafka_credentials(topic.readers[0]), topic.name, at_most=RECENT)
        own = [record for record in there if record.key != b"poison"]
        if not own:
            raise Skipped("nothing was on the topic yet")
        stood = put(stage.platform.kafka_credentials(topic.writer), topic.name, self.make(own))
        return {"records": [each.as_json(self.KIND) for each in stood]}

    @abstractmethod
    def make(self, there: Sequence[Taken]) -> list[Taken]:
        """What to put there."""


class Duplicates(Republished):
    """A fifth of the youngest records, three times each."""

    KIND = "duplicate"

    def make(self, there: Sequence[Taken]) -> list[Taken]:
        chosen = self._chance.sample(there, max(1, round(len(there) * SHARE)))
        return [record for record in chosen for _ in range(TIMES)]


class Reorder(Republished):
    """The youngest records once more, within each stretch of fifty in any order, across keys and within a key."""

    KIND = "duplicate"

    def make(self, there: Sequence[Taken]) -> list[Taken]:
        return [record for some in window(there, WINDOW) for record in self._chance.sample(some, len(some))]


class Poison(Republished):
    """Sixty kinds of nonsense, each once, between what is good."""

    KIND = "poison"

    def make(self, there: Sequence[Taken]) -> list[Taken]:
        return list(poison(self._chance.choice(there)).values())
