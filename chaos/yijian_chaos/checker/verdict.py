"""What a judgement comes to: violations with where to begin to look, and how much was looked at."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

INVARIANTS: Final = tuple(f"I{number}" for number in range(1, 13))

EXPLAINED: Final = "explained by a restore: "
"""Begins the note on what would be a violation had nobody chosen to lose it."""

MOST_SHOWN: Final = 100
"""Of one invariant's violations; what is more is counted. A platform that lost everything has one cause, not 36,000."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise: the invariant, a sentence, and ids, topics, partitions and offsets."""

    invariant: str
    what: str
    where: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`counts` says per invariant what was looked at and how often; `found` how many violations there are in all."""

    violations: tuple[Violation, ...]
    found: Mapping[str, int]
    counts: Mapping[str, Mapping[str, int]]
    notes: Mapping[str, int]

    @property
    def ok(self) -> bool:
        return not self.found

    @property
    def broken(self) -> tuple[str, ...]:
        """The invariants that do not hold, in their order."""
        return tuple(name for name in INVARIANTS if self.found.get(name))

    def as_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, "broken": list(self.broken), **asdict(self)}

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_dict(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _unexplained(what: str, where: Mapping[str, Any]) -> bool:  # noqa: ARG001 - as every explanation
    return False


@dataclass(slots=True)
class Judgement:
    """A verdict in the making. What is broken and `explains` says why is noted, and is no violation."""

    explains: Callable[[str, Mapping[str, Any]], bool] = _unexplained
    _shown: list[Violation] = field(default_factory=list)
    _found: Counter[str] = field(default_factory=Counter)
    _counts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in INVARIANTS})
    _notes: Counter[str] = field(default_factory=Counter)

    def looked(self, invariant: str, what: str, number: int = 1) -> None:
        """So many things of this kind were held against an invariant."""
        self._counts[invariant][what] += number

    def note(self, what: str, number: int) -> None:
        """Something worth knowing that breaks no promise."""
        self._notes[what] += number

    def broken(self, invariant: str, what: str, **where: Any) -> None:
        """A promise does not hold."""
        if self.explains(what, where):
            self.note(EXPLAINED + what, 1)
            return
        self._found[invariant] += 1
        if self._found[invariant] <= MOST_SHOWN:
            self._shown.append(Violation(invariant, what, where))

    def require_looked(self, invariant: str, *kinds: str) -> None:
        """A check that looked at nothing says nothing."""
        for what in kinds:
            if not self._counts[invariant][what]:
                self.broken(invariant, "nothing was there to look at", of=what)

    def verdict(self) -> Verdict:
        return Verdict(
            violations=tuple(self._shown),
            found=dict(self._found),
            counts={name: dict(counts) for name, counts in self._counts.items()},
            notes=dict(self._notes),
        )
