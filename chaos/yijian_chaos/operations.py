"""Who asks for what and when: the clients' plan, drawn from the seed before anything runs.

The load is open: an operation begins at its moment whatever became of those before it. One that needs an application
which is not accepted yet waits for it; one whose application was refused is dropped.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from yijian_chaos.profiles import FIRST_FAMILY, WARM_UP_FAMILIES, Profile

# A corrected number that no marriage has, as a slip of the pen would give it: civil affairs returns it.
MISTAKEN_MARRIAGE = "J990199-2001-000000"
REPEATED_SHARE = 0.05
LOOKED_AT_WITHIN_S = 60.0
HASTY_WITHIN_S = 0.3
CHANGED_AFTER_S = (2.0, 15.0)


class Story(StrEnum):
    """What the mother of a family does after she has applied.

    CORRECTED, WITHDRAWN and UNCONSENTED begin with a mistaken marriage number, so that something is under way when she
    corrects it, takes the application back, or takes a consent back and then corrects it. HASTY takes back at once what
    may be over already; REVOKED takes back a consent on which everything was sent already.
    """

    PLAIN = "plain"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"
    HASTY = "hasty"
    UNCONSENTED = "unconsented"
    REVOKED = "revoked"

    @property
    def mistaken(self) -> bool:
        return self in (Story.CORRECTED, Story.WITHDRAWN, Story.UNCONSENTED)


SHARES = {
    Story.PLAIN: 0.80,
    Story.CORRECTED: 0.06,
    Story.WITHDRAWN: 0.04,
    Story.HASTY: 0.04,
    Story.UNCONSENTED: 0.03,
    Story.REVOKED: 0.03,
}


class Wish(StrEnum):
    """What an operation is for; REPEAT submits once more, with the same key, what was accepted."""

    SUBMIT = "submit"
    REPEAT = "repeat"
    LOOK = "look"
    CORRECT = "correct"
    WITHDRAW = "withdraw"
    WITHDRAW_CONSENT = "withdraw-consent"


@dataclass(frozen=True, slots=True)
class Operation:
    """`at` seconds after the load began, the mother of `family` wants something. `address` is the API she tries first.

    `wait` more seconds pass once what it needs is there.
    """

    at: float
    wish: Wish
    family: int
    story: Story
    address: int
    wait: float = 0.0


def plan_operations(profile: Profile, seed: int) -> tuple[Operation, ...]:
    """Every operation of the load, in the order of their moments. The same profile and seed, the same plan."""
    chance = random.Random(f"operations:{profile.name}:{profile.load_s}:{seed}")
    planned: list[Operation] = []
    for number in range(profile.submissions):
        at = (number + chance.random()) / profile.submits_per_s
        family = FIRST_FAMILY + WARM_UP_FAMILIES + number
        planned += _of_family(profile, family, at, chance)
    return tuple(sorted(planned, key=lambda operation: (operation.at, operation.family, operation.wish)))


def _of_family(profile: Profile, family: int, at: float, chance: random.Random) -> Iterator[Operation]:
    story = chance.choices(list(SHARES), list(SHARES.values()))[0]

    def operation(wish: Wish, moment: float, wait: float = 0.0) -> Operation:
        return Operation(
            round(min(moment, profile.load_s), 3), wish, family, story, chance.randrange(2), round(wait, 3)
        )

    until = min(at + LOOKED_AT_WITHIN_S, profile.load_s)
    yield operation(Wish.SUBMIT, at)
    looks = int(profile.looks) + (chance.random() < profile.looks % 1)
    for _ in range(looks):
        yield operation(Wish.LOOK, chance.uniform(at, until))
    if chance.random() < REPEATED_SHARE:
        yield operation(Wish.REPEAT, chance.uniform(at, until))
    later = at + chance.uniform(*CHANGED_AFTER_S)
    match story:
        case Story.PLAIN:
            pass
        case Story.CORRECTED:
            yield operation(Wish.CORRECT, later)
        case Story.WITHDRAWN:
            yield operation(Wish.WITHDRAW, later)
        case Story.HASTY:
            yield operation(Wish.WITHDRAW, at, chance.uniform(0.0, HASTY_WITHIN_S))
        case Story.UNCONSENTED:
            yield operation(Wish.WITHDRAW_CONSENT, later)
            yield operation(Wish.CORRECT, later + chance.uniform(*CHANGED_AFTER_S))
        case Story.REVOKED:
            yield operation(Wish.WITHDRAW_CONSENT, later)
