"""Judging a run: the twelve invariants of its snapshot and its history."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from yijian_chaos.checker import (
    accepted,
    dead_letters,
    effects,
    endings,
    isolation,
    ledger,
    messages,
    offsets,
    privacy,
    resources,
)
from yijian_chaos.checker.evidence import Evidence
from yijian_chaos.checker.going_back import GoingBack
from yijian_chaos.checker.history import read_history
from yijian_chaos.checker.snapshot import Snapshot
from yijian_chaos.checker.verdict import INVARIANTS, Judgement, Verdict

_JUDGES: Final = (
    accepted.judge,
    endings.judge,
    effects.judge,
    messages.judge,
    ledger.judge,
    offsets.judge,
    resources.judge,
    isolation.judge,
    dead_letters.judge,
    privacy.judge,
)


SAMPLED: Final = ("processes", "samples of the database")
"""What there is to look at only where somebody sampled the processes."""

_WHATEVER_HAPPENED: Final[Mapping[str, tuple[str, ...]]] = {
    "I1": ("accepted submissions",),
    "I2": ("keys", "application rows"),
    "I3": ("applications", "lines of timelines"),
    "I4": ("requests", "answers", "records at their consumers"),
    "I5": ("records",),
    "I6": ("first occurrences", "versions told"),
    "I7": ("leaves", "checkpoints", "disclosures", "cosignatures", "the witness's checkpoints"),
    "I8": ("stored offsets", "committed offsets", "groups"),
    "I9": ("sessions", *SAMPLED),
    "I10": ("topics that refused a department",),
    "I11": ("dead letters",),
    "I12": ("canaries that are found where they may stand",),
}
"""What there is to look at in every run; an invariant of which one of these is missing was not looked at."""


def check(
    folder: Path, snapshot: Snapshot, *, may_be_empty: Collection[str] = ("I11",), all_fine: bool = False
) -> Verdict:
    """What a run's folder and its snapshot say. What looked at nothing is broken, but for `may_be_empty`: invariants,
    or single kinds of what they look at.

    With `all_fine` nothing stood in the way of any application: each was to be granted in full.
    """
    return judge(Evidence(snapshot, read_history(folder), all_fine), may_be_empty=may_be_empty)


def judge(evidence: Evidence, *, may_be_empty: Collection[str] = ("I11",)) -> Verdict:
    """The same for what was read already."""
    judgement = Judgement(GoingBack(evidence).explains)
    for part in _JUDGES:
        part(evidence, judgement)
    for invariant in INVARIANTS:
        if invariant not in may_be_empty:
            kinds = (kind for kind in _WHATEVER_HAPPENED[invariant] if kind not in may_be_empty)
            judgement.require_looked(invariant, *kinds)
    return judgement.verdict()
