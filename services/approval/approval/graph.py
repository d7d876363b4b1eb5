"""The order of matters: who waits for whom, how long the longest way takes, and whether it ends at all."""

from collections.abc import Mapping, Sequence

Needs = Mapping[str, Sequence[str]]


def find_cycle(needs: Needs) -> tuple[str, ...]:
    """A chain of matters in which each needs the next and the last is the first again; empty when there is none."""
    done: set[str] = set()
    for start in needs:
        trail = _walk(start, needs, done, ())
        if trail:
            return trail
    return ()


def _walk(matter: str, needs: Needs, done: set[str], trail: tuple[str, ...]) -> tuple[str, ...]:
    if matter in trail:
        return (*trail[trail.index(matter) :], matter)
    if matter in done or matter not in needs:
        return ()
    for needed in needs[matter]:
        found = _walk(needed, needs, done, (*trail, matter))
        if found:
            return found
    done.add(matter)
    return ()


def ancestors(matter: str, needs: Needs) -> frozenset[str]:
    """Everything that `matter` needs, directly or through what it needs. The graph has no cycle."""
    found: set[str] = set()
    waiting = list(needs.get(matter, ()))
    while waiting:
        needed = waiting.pop()
        if needed not in found:
            found.add(needed)
            waiting += needs.get(needed, ())
    return frozenset(found)


def longest_path(needs: Needs, minutes: Mapping[str, int]) -> tuple[int, tuple[str, ...]]:
    """The minutes of the longest chain of matters, and the chain from first to last. The graph has no cycle."""
    best: dict[str, tuple[int, tuple[str, ...]]] = {}

    def reach(matter: str) -> tuple[int, tuple[str, ...]]:
        if matter not in best:
            before = max((reach(needed) for needed in needs[matter]), default=(0, ()))
            best[matter] = (before[0] + minutes[matter], (*before[1], matter))
        return best[matter]

    return max((reach(matter) for matter in needs), default=(0, ()))


def levels(needs: Needs) -> tuple[tuple[str, ...], ...]:
    """The matters by the number of steps that must come before them, each level in the given order."""
    depth: dict[str, int] = {}

    def measure(matter: str) -> int:
        if matter not in depth:
            depth[matter] = 1 + max((measure(needed) for needed in needs[matter]), default=-1)
        return depth[matter]

    for matter in needs:
        measure(matter)
    return tuple(
        tuple(matter for matter in needs if depth[matter] == level)
        for level in range(max(depth.values(), default=-1) + 1)
    )
