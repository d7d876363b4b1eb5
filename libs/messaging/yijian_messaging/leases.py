"""How the outbox's shards are shared among relays: each takes its fair part of what is free."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """A shard and who holds it; `owner` is None when it is free or its lease ran out."""

    shard: int
    owner: str | None


@dataclass(frozen=True, slots=True)
class Share:
    """What one owner does with the shards: hold these, let those go."""

    hold: tuple[int, ...]
    release: tuple[int, ...]


def share(leases: Sequence[Lease], *, owner: str, owners: int) -> Share:
    """The fair share of `owner` among `owners` live relays, keeping what it has where it can."""
    fair = -(-len(leases) // max(owners, 1))
    mine = [lease.shard for lease in leases if lease.owner == owner]
    free = [lease.shard for lease in leases if lease.owner is None]
    hold = mine[:fair]
    hold += free[: fair - len(hold)]
    return Share(hold=tuple(sorted(hold)), release=tuple(mine[fair:]))
