"""The life events at hand: those of the files for new applications, every stored version for running ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg

from approval.errors import LifeEventNotFound
from approval.life_event import LifeEvent, load_life_event

FOLDER = Path(__file__).parent / "life_events"


class LifeEvents:
    """Life events by code (as deployed now) and by digest (as an application began)."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", current: Mapping[str, LifeEvent]) -> None:
        self._pool = pool
        self._current = dict(current)
        self._by_digest = {life_event.digest: life_event for life_event in current.values()}

    @classmethod
    async def open(
        cls,
        pool: "asyncpg.Pool[asyncpg.Record]",
        *,
        folder: Path = FOLDER,
        settings: Mapping[str, Mapping[str, str]] | None = None,
        allow_fictitious: bool = False,
    ) -> "LifeEvents":
        """Load every file of `folder`, with the city's `settings` by code, and store their versions by digest."""
        current = _load(folder, settings or {}, allow_fictitious=allow_fictitious)
        for life_event in current.values():
            await pool.execute(
                "INSERT INTO life_event (digest, code, canonical) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                life_event.digest,
                life_event.code,
                life_event.canonical(),
            )
        return cls(pool, current)

    def all(self) -> Sequence[LifeEvent]:
        return tuple(self._current.values())

    def get_current(self, code: str) -> LifeEvent:
        """The life event that a new application gets. Raises `LifeEventNotFound`."""
        try:
            return self._current[code]
        except KeyError:
            raise LifeEventNotFound from None

    async def get(self, digest: str) -> LifeEvent:
        """The version with this digest, whatever is deployed now."""
        found = self._by_digest.get(digest)
        if found is None:
            text = await self._pool.fetchval("SELECT canonical FROM life_event WHERE digest = $1", digest)
            if text is None:
                raise LookupError(f"life event {digest} was never stored here")
            found = self._by_digest[digest] = LifeEvent.from_canonical(text)
        return found


def _load(folder: Path, settings: Mapping[str, Mapping[str, str]], *, allow_fictitious: bool) -> dict[str, LifeEvent]:
    found = [
        load_life_event(path, settings_overrides=settings.get(path.stem, {}), allow_fictitious=allow_fictitious)
        for path in sorted(folder.glob("*.yaml"))
    ]
    return {life_event.code: life_event for life_event in found}
