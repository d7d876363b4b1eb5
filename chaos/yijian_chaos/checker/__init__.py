"""Judges a run from raw sources only.

Imports nothing of the platform: what is checked must not be what checks.

    snapshot = collect(sources)           when the platform has come to rest
    verdict = check(folder, snapshot)     the folder has history.jsonl, timeline.jsonl and samples.jsonl
"""

from yijian_chaos.checker.check import SAMPLED, check
from yijian_chaos.checker.collect import collect
from yijian_chaos.checker.snapshot import Snapshot
from yijian_chaos.checker.sources import Sources
from yijian_chaos.checker.storage import read_snapshot, write_snapshot
from yijian_chaos.checker.verdict import Verdict, Violation

__all__ = [
    "SAMPLED",
    "Snapshot",
    "Sources",
    "Verdict",
    "Violation",
    "check",
    "collect",
    "read_snapshot",
    "write_snapshot",
]
