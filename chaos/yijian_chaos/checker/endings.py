"""I3: every accepted application has come to exactly one end, by a path of the state machine.

Per task: the states on the timeline, in the order of its versions, are a path through `facts.NEXT`, and end where the
task stands; what needs something was asked for only when that was granted. Per application: versions 1, 2, 3, … without
a gap up to its row's; one line that ends it, behind which nothing stands but what may; as many tasks as a birth has; an
outcome that follows from the tasks; in a run in which nothing stands in the way of any of them, and unless somebody
took it back or a consent with it, that everything is granted. Rectifications, which are no applications, are not looked
at.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from yijian_chaos.checker.evidence import Evidence
from yijian_chaos.checker.facts import AFTER_THE_END, APPLICATION_ENDS, BIRTH, ENDS, NEXT, OPTIONAL
from yijian_chaos.checker.history import CONSENT_WITHDRAW, WITHDRAW
from yijian_chaos.checker.snapshot import Application, Entry, Task
from yijian_chaos.checker.verdict import Judgement

_ENDING_LINES = {"COMPLETED": "COMPLETED", "WITHDRAWN": "WITHDRAWN"}
_GRANTS = frozenset({"DECIDED_APPROVED", "SKIPPED_WITH_PROOF", "NOT_NEEDED"})


def judge(evidence: Evidence, judgement: Judgement) -> None:
    for application in evidence.living:
        judgement.looked("I3", "applications")
        entries = evidence.timelines.get(application.id, [])
        _versions(application, entries, judgement)
        _end(application, entries, judgement)
        _tasks_of_a_birth(application, judgement)
        _paths(application, entries, judgement)
    if evidence.all_fine:
        _granted_in_full(evidence, judgement)


def _granted_in_full(evidence: Evidence, judgement: Judgement) -> None:
    taken_back = evidence.history.wanted(WITHDRAW) | evidence.history.wanted(CONSENT_WITHDRAW)
    for application in evidence.living:
        if application.id in taken_back or application.status not in APPLICATION_ENDS:
            continue
        judgement.looked("I3", "applications that nothing stood in the way of")
        if application.outcome != "ALL_GRANTED":
            what = "nothing stood in the way of an application, and it was not granted in full"
            judgement.broken("I3", what, application=application.id, outcome=application.outcome)


def _versions(application: Application, entries: Sequence[Entry], judgement: Judgement) -> None:
    judgement.looked("I3", "lines of timelines", len(entries))
    if [entry.version for entry in entries] != list(range(1, application.version + 1)):
        judgement.broken(
            "I3",
            "the timeline is not without gaps up to the application's version",
            application=application.id,
            version=application.version,
            lines=[entry.version for entry in entries][-5:],
        )
    if (application.state_version, application.state_status) != (application.version, application.status):
        judgement.broken(
            "I3",
            "an application's columns and its state disagree",
            application=application.id,
            columns=[application.version, application.status],
            state=[application.state_version, application.state_status],
        )


def _end(application: Application, entries: Sequence[Entry], judgement: Judgement) -> None:
    if application.status not in APPLICATION_ENDS:
        judgement.broken(
            "I3",
            "an application has not come to its end",
            application=application.id,
            status=application.status,
            open={task.key: task.state for task in application.tasks if task.state not in ENDS},
        )
        return
    endings = [entry for entry in entries if entry.kind in _ENDING_LINES]
    if [entry.kind for entry in endings] != [application.status]:
        judgement.broken(
            "I3",
            "an application has not exactly the one end that its status says",
            application=application.id,
            status=application.status,
            lines=[(entry.version, entry.kind) for entry in endings],
        )
        return
    late = [entry for entry in entries if entry.version > endings[0].version and entry.kind not in AFTER_THE_END]
    for entry in late:
        judgement.broken(
            "I3",
            "something was written behind an application's end",
            application=application.id,
            version=entry.version,
            kind=entry.kind,
            task=entry.task,
        )
    if application.outcome != _outcome(application):
        judgement.broken(
            "I3",
            "an application's outcome does not follow from its tasks",
            application=application.id,
            outcome=application.outcome,
        )


def _outcome(application: Application) -> str | None:
    if application.status != "COMPLETED":
        return None
    wanted = [task for task in application.tasks if task.state != "NOT_NEEDED"]
    granted = sum(_granted(task) for task in wanted)
    if granted == len(wanted):
        return "ALL_GRANTED"
    return "PARTLY" if granted else "NONE"


def _granted(task: Task) -> bool:
    return task.decision == "APPROVED" or task.state == "SKIPPED_WITH_PROOF"


def _tasks_of_a_birth(application: Application, judgement: Judgement) -> None:
    if application.life_event != "birth":
        return
    children = {task.child for task in application.tasks if task.child is not None}
    expected = Counter(
        (code, matter.department, child)
        for code, matter in BIRTH.items()
        if code not in OPTIONAL
        for child in (children if matter.per_child else {None})
    )
    found = Counter(
        (task.matter, task.department, task.child) for task in application.tasks if task.matter not in OPTIONAL
    )
    if found != expected or not children:
        difference = sorted({code for code, _, _ in (expected - found) | (found - expected)})
        what = "an application has not the tasks of a birth"
        judgement.broken("I3", what, application=application.id, matters=difference)


# --- tasks -----------------------------------------------------------------------------------------------------------


def _paths(application: Application, entries: Iterable[Entry], judgement: Judgement) -> None:
    states = {task.key: "DRAFT" for task in application.tasks}
    granted: set[str] = set()
    for entry in entries:
        if entry.kind == "WITHDRAWN":
            states |= {key: "WITHDRAWN" for key, state in states.items() if state not in ENDS}
        if not entry.task:
            continue
        if entry.task not in states:
            judgement.broken("I3", "the timeline tells of a task that is not there", **_where(application, entry))
            continue
        if entry.kind == "TASK_REQUESTED":
            _needs(application, entry, granted, judgement)
        _steps(application, entry, states, judgement)
        if not _GRANTS.isdisjoint(entry.states):
            granted.add(entry.task)
    for task in application.tasks:
        if states[task.key] != task.state:
            where = {"application": application.id, "task": task.key}
            what = "a task does not stand where its history ends"
            judgement.broken("I3", what, **where, state=task.state, history=states[task.key])


def _steps(application: Application, entry: Entry, states: dict[str, str], judgement: Judgement) -> None:
    for state in entry.states or _held(entry, states[entry.task]):
        judgement.looked("I3", "steps of tasks")
        if state not in NEXT.get(states[entry.task], ()):
            what = "a task took a step that the state machine does not have"
            judgement.broken("I3", what, **_where(application, entry), step=[states[entry.task], state])
        states[entry.task] = state


def _held(entry: Entry, state: str) -> tuple[str, ...]:
    """A task that was returned and corrected while the ledger is behind goes back to being a draft, without a line."""
    return ("DRAFT",) if entry.kind == "TASK_HELD" and state == "RETURNED_FOR_CORRECTION" else ()


def _needs(application: Application, entry: Entry, granted: set[str], judgement: Judgement) -> None:
    task = next(task for task in application.tasks if task.key == entry.task)
    matter = BIRTH.get(task.matter)
    if matter is None:
        return
    judgement.looked("I3", "requests")
    for group in matter.needs:
        fitting = {
            other.key
            for other in application.tasks
            if other.matter in group and (task.child is None or other.child in (None, task.child))
        }
        if fitting.isdisjoint(granted):
            judgement.broken(
                "I3", "a department was asked before what it needs was granted", **_where(application, entry)
            )


def _where(application: Application, entry: Entry) -> dict[str, object]:
    return {"application": application.id, "version": entry.version, "kind": entry.kind, "task": entry.task}
