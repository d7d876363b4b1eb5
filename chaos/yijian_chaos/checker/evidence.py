"""The snapshot and the history, with what several invariants look up in them made once."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from yijian_chaos.checker import facts
from yijian_chaos.checker.history import History
from yijian_chaos.checker.snapshot import Application, DepartmentTask, Entry, Outgoing, Record, Snapshot, Task


@dataclass(frozen=True, slots=True)
class Asked:
    """One attempt at a task that the timeline says a department was asked for."""

    id: str
    application: Application
    task: Task
    attempt: int


@dataclass(frozen=True)
class Evidence:
    """Everything that is judged."""

    snapshot: Snapshot
    history: History
    all_fine: bool = False
    """Whether nothing stands in the way of any application, so that each is granted in full unless it is taken back."""

    @cached_property
    def applications(self) -> Mapping[str, Application]:
        return {application.id: application for application in self.snapshot.applications}

    @cached_property
    def living(self) -> tuple[Application, ...]:
        """The applications that were not erased."""
        return tuple(each for each in self.snapshot.applications if not each.erased)

    @cached_property
    def erased(self) -> frozenset[str]:
        return frozenset(each.id for each in self.snapshot.applications if each.erased)

    @cached_property
    def timelines(self) -> Mapping[str, list[Entry]]:
        """The lines of each application by version."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.snapshot.timeline:
            found[entry.application].append(entry)
        for entries in found.values():
            entries.sort(key=lambda entry: entry.version)
        return found

    @cached_property
    def entry_counts(self) -> Mapping[tuple[str, str, str], int]:
        """How many lines of a kind there are about a task: by application, task and kind."""
        found: dict[tuple[str, str, str], int] = defaultdict(int)
        for entry in self.snapshot.timeline:
            found[entry.application, entry.task, entry.kind] += 1
        return found

    @cached_property
    def asked(self) -> Mapping[str, Asked]:
        """Every attempt that a department was asked for, by the id of the task."""
        return {asked.id: asked for asked in self._asked()}

    def _asked(self) -> Iterator[Asked]:
        for application in self.living:
            for task in application.tasks:
                for attempt in range(1, self.entry_counts[application.id, task.key, "TASK_REQUESTED"] + 1):
                    identity = facts.task_id(application.id, child=task.child, matter=task.matter, attempt=attempt)
                    yield Asked(identity, application, task, attempt)

    @cached_property
    def own_records(self) -> tuple[Record, ...]:
        """The records without those that a fault put there."""
        return tuple(record for record in self.snapshot.records if record.place not in self.injected)

    @cached_property
    def buried(self) -> frozenset[tuple[str, tuple[str, int, int]]]:
        """What is a dead letter, by consumer and place."""
        return frozenset((letter.consumer, letter.place) for letter in self.snapshot.letters)

    @cached_property
    def records_of(self) -> Mapping[str, list[Record]]:
        """Records by type, in the order of their topics, without those that a fault put there."""
        found: dict[str, list[Record]] = defaultdict(list)
        for record in self.own_records:
            found[record.kind].append(record)
        return found

    @cached_property
    def by_task(self) -> Mapping[tuple[str, str], list[Record]]:
        """Records by type and the task that they speak of."""
        found: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for kind in (facts.TASK_REQUESTED, facts.TASK_CANCELLED, facts.TASK_RECEIVED, facts.TASK_ANSWERED):
            for record in self.records_of[kind]:
                found[kind, record.task].append(record)
        return found

    @cached_property
    def injected(self) -> Mapping[tuple[str, int, int], str]:
        return self.history.injected

    @cached_property
    def outbox_events(self) -> Mapping[str, Mapping[str, Outgoing]]:
        """By store, the first row of each event id."""
        found: dict[str, dict[str, Outgoing]] = defaultdict(dict)
        for row in self.snapshot.outbox:
            known = found[row.store].get(row.event)
            if known is None or row.id < known.id:
                found[row.store][row.event] = row
        return found

    @cached_property
    def department_tasks(self) -> Mapping[tuple[str, str], DepartmentTask]:
        """What departments keep, by department and task."""
        return {(row.department, row.task): row for row in self.snapshot.tasks}
