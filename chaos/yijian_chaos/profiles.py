"""How long, how much, and which faults: what a run consists of, beside its seed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

# The first families are stories of their own, such as twins; births that are all alike come after them.
FIRST_FAMILY = 101
WARM_UP_FAMILIES = 20
# Families whose applications show that the platform is healthy again, a few for each fault.
PROBES_PER_FAULT = 4


@dataclass(frozen=True, slots=True)
class Profile:
    """A run: `load_s` seconds of clients beside a nemesis. Times are seconds, rates per second.

    `faults` are the families of faults that the nemesis draws from (the names of the modules in `faults/`), one every
    `every_s` (least, most), the first after `quiet_s` and none healed later than `quiet_s` before the load ends; a
    process is paused for `pause_s`, and nothing lasts longer than `longest_s`.
    Each application is looked at `looks` times. `least_operations` and `least_faults` are what a run must reach to
    count.
    """

    name: str
    load_s: float
    submits_per_s: float
    looks: float
    faults: tuple[str, ...]
    every_s: tuple[float, float]
    quiet_s: float
    pause_s: float
    longest_s: float
    least_operations: int
    least_faults: int
    brokers: int = 1
    rest_within_s: float = 200.0

    @property
    def submissions(self) -> int:
        """How many families apply during the load."""
        return round(self.load_s * self.submits_per_s)

    @property
    def most_faults(self) -> int:
        """No schedule has more."""
        return int(self.load_s / self.every_s[0]) + 1

    @property
    def probe_families(self) -> int:
        return self.most_faults * PROBES_PER_FAULT + PROBES_PER_FAULT

    @property
    def families(self) -> int:
        """How many families the bureaus have to know."""
        return FIRST_FAMILY - 1 + WARM_UP_FAMILIES + self.submissions + self.probe_families

    @property
    def first_probe(self) -> int:
        """The family of the first probe; those of the load come before, after those that warm up."""
        return FIRST_FAMILY + WARM_UP_FAMILIES + self.submissions

    def without_faults(self) -> "Profile":
        return replace(self, faults=(), least_faults=0)

    def lasting(self, seconds: float) -> "Profile":
        """The same for another length; what it must reach changes with it."""
        share = seconds / self.load_s
        return replace(
            self,
            load_s=seconds,
            least_operations=int(self.least_operations * share),
            least_faults=int(self.least_faults * share),
        )


EVERY_FAMILY = ("processes", "network", "kafka_faults", "postgres_faults", "disk", "records", "clock")

SMOKE = Profile(
    name="smoke",
    load_s=70,
    submits_per_s=2,
    looks=2,
    faults=("processes",),
    every_s=(10, 14),
    quiet_s=5,
    pause_s=12,
    longest_s=15,
    least_operations=350,
    least_faults=3,
)
STANDARD = Profile(
    name="standard",
    load_s=600,
    submits_per_s=2.5,
    looks=3,
    faults=EVERY_FAMILY,
    every_s=(10, 15),
    quiet_s=10,
    pause_s=30,
    longest_s=90,
    least_operations=5_500,
    least_faults=20,
)
LONG = Profile(
    name="long",
    load_s=1_900,
    submits_per_s=3,
    looks=5.5,
    faults=EVERY_FAMILY,
    every_s=(10, 15),
    quiet_s=10,
    pause_s=30,
    longest_s=90,
    least_operations=36_000,
    least_faults=120,
)

PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in (SMOKE, STANDARD, LONG)}
