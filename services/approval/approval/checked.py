"""A life event under inspection: what it says under one choice of settings, and what is found wrong with it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from approval.definition import LifeEventDefinition, MatterDefinition, Where
from approval.matters import holds
from approval.yaml_lines import Path


@dataclass(frozen=True)
class Problem:
    """One mistake: where it stands in the file, what is wrong, and what to do."""

    path: Path
    message: str
    fix: str


@dataclass
class Checked:
    """A definition under one resolution of its settings, and what was found wrong with it."""

    definition: LifeEventDefinition
    settings: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)

    @property
    def form(self) -> Mapping[str, Any]:
        return self.definition.form.json_schema

    def wrong(self, path: Path, message: str, fix: str) -> None:
        self.problems.append(Problem(path, message, fix))

    def holds(self, where: Where) -> bool:
        return holds(where, self.settings)

    @property
    def matters(self) -> list[tuple[int, MatterDefinition]]:
        return [(i, m) for i, m in enumerate(self.definition.matters) if self.holds(m.where)]

    def needs(self, matter: MatterDefinition) -> list[tuple[int, str]]:
        return [
            (i, n if isinstance(n, str) else n.matter)
            for i, n in enumerate(matter.needs)
            if isinstance(n, str) or self.holds(n.where)
        ]


def under(checked: Checked) -> str:
    """Under which settings, where the file leaves a choice."""
    chosen = [
        f"{name} = {checked.settings[name]}" for name, s in checked.definition.settings.items() if len(s.values) > 1
    ]
    return f" with {', '.join(chosen)}" if chosen else ""


def choose(wrong: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = get_close_matches(wrong, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"use one of {', '.join(names[:40])}"
