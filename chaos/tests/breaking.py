"""One thing that goes wrong in a run on paper, and who has to notice."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from yijian_chaos.checker import check

from .checked_world import World


@dataclass(frozen=True)
class Breaking:
    """`harm` breaks `invariant`; what it takes along with it is noticed by `also`."""

    invariant: str
    harm: Callable[[World], object]
    also: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.invariant}-{self.harm.__name__}"


def assert_found(breaking: Breaking, world: World, folder: Path) -> None:
    """Break it, and see that exactly this is found."""
    breaking.harm(world)
    verdict = check(world.write(folder), world.snapshot(), may_be_empty=())
    assert set(verdict.broken) == {breaking.invariant, *breaking.also}, verdict.violations
    assert verdict.found.keys() == {violation.invariant for violation in verdict.violations}
