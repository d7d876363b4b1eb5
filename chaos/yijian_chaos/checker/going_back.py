"""What is explained by a database that was put back to an earlier moment on purpose, and nothing more than that.

timeline.jsonl says so: `{"event": "restored", "component": <service>, "at": <when it was back>, "detail": {"to": <the
moment gone back to>}}`, in Unix seconds. Between the two moments

- approval may have accepted applications that are not there any more. Whatever is broken about one of those is
  explained: its key, what departments decided, its records, its leaves. One that was accepted before the moment gone
  back to, or after the return, has to be there as ever.
- the service may have said what it had no row of afterwards. Explained are only words that nobody relies on: hints that
  applications moved, which come in other company the second time, and how far withdrawals were told. Everything else
  has an id that follows from what it is about: said a second time, it has its row again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from yijian_chaos.checker import facts
from yijian_chaos.checker.evidence import Evidence
from yijian_chaos.checker.history import SUBMIT

_APPROVAL: Final = "approval"
_NEVER_COMMITTED: Final = "a record says what was never committed"


@dataclass(frozen=True)
class GoingBack:
    """Says of what is broken whether a restore explains it."""

    evidence: Evidence

    def explains(self, what: str, where: Mapping[str, Any]) -> bool:
        if not self._restored:
            return False
        if any(value in self._lost for value in where.values() if isinstance(value, str)):
            return True
        return what == _NEVER_COMMITTED and (where["topic"], where["partition"], where["offset"]) in self._passing_words

    @cached_property
    def _restored(self) -> Mapping[str, list[tuple[float, float]]]:
        """By service, from the moment gone back to until it was back."""
        found: dict[str, list[tuple[float, float]]] = {}
        for fault in self.evidence.history.faults:
            if fault.event == "restored":
                found.setdefault(fault.component, []).append((float(fault.detail["to"]), fault.at))
        return found

    @cached_property
    def _lost(self) -> frozenset[str]:
        """The applications that were lost, and the tasks and events about them."""
        applications = {
            attempt.application
            for attempt in self.evidence.history.attempts
            if attempt.kind == SUBMIT and attempt.phase == "ok" and attempt.application
            if attempt.application not in self.evidence.applications and self._is_within(_APPROVAL, attempt.ended_at)
        }
        snapshot = self.evidence.snapshot
        events = {record.event for record in snapshot.records if record.application in applications}
        tasks = {row.task for row in snapshot.tasks if row.application in applications}
        return frozenset(applications | events | tasks)

    @cached_property
    def _passing_words(self) -> frozenset[tuple[str, int, int]]:
        """Where words stand that nobody relies on, said by a service in the time that it went back over."""
        return frozenset(self._words())

    def _words(self) -> Iterator[tuple[str, int, int]]:
        for record in self.evidence.snapshot.records:
            is_passing = record.kind == facts.PROGRESSED or record.key == facts.TOLD_UNTIL
            if is_passing and self._is_within(facts.WRITERS[record.topic], record.at):
                yield record.place

    def _is_within(self, service: str, moment: float) -> bool:
        return any(begin <= moment <= end for begin, end in self._restored.get(service, ()))
