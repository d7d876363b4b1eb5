"""Judging a run: the twelve invariants of its snapshot and its history."""

from collections.abc import Collection
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


def check(folder: Path, snapshot: Snapshot, *, may_be_empty: Collection[str] = ("I11",)) -> Verdict:
    """What a run's folder and its snapshot say. What looked at nothing is broken, but for `may_be_empty`."""
    return judge(Evidence(snapshot, read_history(folder)), may_be_empty=may_be_empty)


def judge(evidence: Evidence, *, may_be_empty: Collection[str] = ("I11",)) -> Verdict:
    """The same for what was read already."""
    judgement = Judgement(GoingBack(evidence).explains)
    for part in _JUDGES:
        part(evidence, judgement)
    for invariant in INVARIANTS:
        if invariant not in may_be_empty:
            judgement.require_looked(invariant)
    return judgement.verdict()
