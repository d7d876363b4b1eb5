"""How much is measured, and so how many families have to be there."""

from dataclasses import dataclass

from yijian_bench.report import BOTH, ONE, TWO

NAIVE_APPLICATIONS = 200
STEADY_RATE = 5.0
REPLICAS = (ONE, TWO, BOTH, ONE, TWO, BOTH, ONE)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure. `stored` are the sizes at which saturation and latency are measured.

    Saturation is measured `saturations` times at the first size; each later one is compared with the first in `pairs`
    of turns. `warm_up` are the applications before: the broker goes on compiling itself for many hundred of them, and
    the floor, which is measured last, finds it compiled. `turn_warm_up` are those after services were started again.
    """

    applications: int = 2000
    saturations: int = 3
    warm_up: int = 1000
    turn_warm_up: int = 200
    pairs: int = 4
    steady_seconds: int = 30
    reading_seconds: int = 15
    connections: int = 48
    stored: tuple[int, ...] = (0, 100_000)
    naive: bool = True
    floor: bool = True
    replicas: bool = True

    @property
    def steady_applications(self) -> int:
        return round(self.steady_seconds * STEADY_RATE)

    @property
    def families(self) -> int:
        """How many families all runs of the first platform together need."""
        alone = self.warm_up + self.saturations * self.applications + self.steady_applications
        naive = NAIVE_APPLICATIONS if self.naive else 0
        replicas = len(REPLICAS) * self.applications if self.replicas else 0
        before_reading = self.turn_warm_up if self.stored[0] else 0
        return alone + before_reading + naive + replicas + self._turns

    @property
    def families_beside(self) -> int:
        """How many those of the platform beside it need."""
        before_reading = len(self.stored[1:]) * self.turn_warm_up
        return self.warm_up + before_reading + self._turns

    @property
    def _turns(self) -> int:
        turn = self.turn_warm_up + self.applications + self.steady_applications
        return len(self.stored[1:]) * self.pairs * turn
