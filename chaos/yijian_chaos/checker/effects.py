"""I4: what a department was asked for reached it at least once, and took effect exactly once.

Per attempt that the timeline says was requested: at least one record in the department's topic, one row among its
tasks, one row in its own tables where the matter leaves one and it was granted, one answer however often it was sent,
and that answer is what approval's task says. An attempt whose task was cancelled may have been taken back before it was
sent, and may have been decided before the department heard of it; then approval took no notice of the answer.

The other way round: no department has a task that nobody asked for, no table a row that no answer speaks of, no series
gave a number that no answer has. And at the consumers: no inbox has a key twice, every event that a consumer is to act
on stands in its inbox, and each completed application that has something to rate was invited for once. Answers are not
looked for in approval's inbox, whose keys for them are keyed hashes: the timeline stands for them.

Rectifications wait for people, and are looked at as far as being delivered.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from yijian_chaos.checker import facts
from yijian_chaos.checker.evidence import Asked, Evidence
from yijian_chaos.checker.snapshot import DepartmentTask, Record
from yijian_chaos.checker.verdict import Judgement

_TAKEN_BACK = frozenset({"WITHDRAWN", "TERMINATED"})


def judge(evidence: Evidence, judgement: Judgement) -> None:
    for asked in evidence.asked.values():
        judgement.looked("I4", "requests")
        _delivered(evidence, asked, judgement)
        _answered(evidence, asked, judgement)
    _unasked(evidence, judgement)
    _own_tables(evidence, judgement)
    _series(evidence, judgement)
    _inboxes(evidence, judgement)
    _invitations(evidence, judgement)


def _where(asked: Asked) -> dict[str, Any]:
    return {
        "application": asked.application.id,
        "task": asked.task.key,
        "attempt": asked.attempt,
        "task_id": asked.id,
        "department": asked.task.department,
    }


def _delivered(evidence: Evidence, asked: Asked, judgement: Judgement) -> None:
    requests = evidence.by_task.get((facts.TASK_REQUESTED, asked.id), ())
    cancels = evidence.by_task.get((facts.TASK_CANCELLED, asked.id), ())
    row = evidence.department_tasks.get((asked.task.department, asked.id))
    topic = facts.tasks_topic(asked.task.department)
    if not requests and not cancels:
        judgement.broken("I4", "a request never reached its department's topic", **_where(asked))
    if any(record.topic != topic for record in (*requests, *cancels)):
        judgement.broken("I4", "a request came by another department's topic", **_where(asked))
    if row is None:
        judgement.broken("I4", "a department does not have a task that it was asked for", **_where(asked))
    elif row.state not in ("ANSWERED", "CANCELLED"):
        judgement.broken("I4", "a department has not ended a task", **_where(asked), state=row.state)
    elif row.state == "CANCELLED" and not cancels:
        judgement.broken("I4", "a department holds a task for cancelled that nobody cancelled", **_where(asked))
    judgement.looked("I4", "deliveries", len(requests))


def _answered(evidence: Evidence, asked: Asked, judgement: Judgement) -> None:
    answers = evidence.by_task.get((facts.TASK_ANSWERED, asked.id), ())
    row = evidence.department_tasks.get((asked.task.department, asked.id))
    contents = {(record.event, record.content) for record in answers}
    judgement.looked("I4", "answers", len(contents))
    if len(contents) > 1:
        places = [list(record.place) for record in answers][:10]
        judgement.broken("I4", "a task was answered in more than one way", **_where(asked), records=places)
    if row is not None and row.answered != bool(answers):
        what = "a department's answer is not in its topic" if row.answered else "an answer is in no department's store"
        judgement.broken("I4", what, **_where(asked))
    if asked.attempt > asked.task.answers and asked.task.state not in _TAKEN_BACK:
        judgement.broken("I4", "approval has no answer to a request", **_where(asked), state=asked.task.state)
    if answers and asked.task.state not in _TAKEN_BACK:
        _recorded(asked, answers[0], evidence, judgement)


def _recorded(asked: Asked, answer: Record, evidence: Evidence, judgement: Judgement) -> None:
    """The last attempt's answer is what the task says; those before it were returned."""
    outcome = answer.said[1] if len(answer.said) > 1 else ""
    requests = evidence.entry_counts[asked.application.id, asked.task.key, "TASK_REQUESTED"]
    if asked.attempt < requests:
        fits = outcome == "RETURNED"
    else:
        fits = facts.OUTCOME_STATES.get(outcome) == asked.task.state and asked.task.decision == _DECISIONS.get(outcome)
    if not fits:
        judgement.broken(
            "I4",
            "approval's task is not what the department answered",
            **_where(asked),
            outcome=outcome,
            state=asked.task.state,
            decision=asked.task.decision,
        )
    decided = evidence.entry_counts[asked.application.id, asked.task.key, "TASK_DECIDED"]
    returned = evidence.entry_counts[asked.application.id, asked.task.key, "TASK_RETURNED"]
    if asked.attempt == requests and decided + returned != asked.task.answers:
        lines = {"decided": decided, "returned": returned, "answers": asked.task.answers}
        judgement.broken("I4", "an answer was taken more than once, or never", **_where(asked), **lines)


_DECISIONS = {"APPROVED": "APPROVED", "REJECTED": "DENIED"}


def _unasked(evidence: Evidence, judgement: Judgement) -> None:
    for row in evidence.snapshot.tasks:
        judgement.looked("I4", "departments' tasks")
        if row.matter == facts.RECTIFICATION or row.application in evidence.erased:
            continue
        known = evidence.asked.get(row.task)
        if known is None or (known.task.department, known.task.matter) != (row.department, row.matter):
            what = "a department has a task that nobody asked for"
            judgement.broken("I4", what, department=row.department, task_id=row.task, application=row.application)


# --- the departments' own tables -------------------------------------------------------------------------------------


def _grants(evidence: Evidence) -> Iterator[tuple[DepartmentTask, facts.Matter, str]]:
    """Every task that its department granted in the birth, with the fingerprint of the number that it gave."""
    for row in evidence.snapshot.tasks:
        answers = evidence.by_task.get((facts.TASK_ANSWERED, row.task), ())
        matter = facts.BIRTH.get(row.matter)
        if matter is not None and answers and len(answers[0].said) == 3 and answers[0].said[1] == "APPROVED":
            yield row, matter, answers[0].said[2]


def _own_tables(evidence: Evidence, judgement: Judgement) -> None:
    by_task: Counter[tuple[str, str]] = Counter()
    by_number: Counter[tuple[str, str]] = Counter()
    for effect in evidence.snapshot.effects:
        if effect.task is not None:
            by_task[effect.table, effect.task] += 1
        elif effect.number is not None:
            by_number[effect.table, effect.number] += 1
    granted: set[tuple[str, str]] = set()
    for row, matter, number in _grants(evidence):
        if not matter.table:
            continue
        judgement.looked("I4", "effects")
        place = (matter.table, row.task) if matter.by_task else (matter.table, number)
        rows = (by_task if matter.by_task else by_number)[place]
        granted.add(place)
        if rows != 1:
            where = {"department": row.department, "table": matter.table, "task_id": row.task, "rows": rows}
            judgement.broken("I4", "a granted task has not exactly one effect", application=row.application, **where)
    for table, name in [*by_task, *by_number]:
        known = name in evidence.snapshot.known_numbers.get(table, ())
        if (table, name) not in granted and not known:
            judgement.broken("I4", "a department's table has a row that no answer speaks of", table=table, row=name)


def _series(evidence: Evidence, judgement: Judgement) -> None:
    """A number that is taken is given back when its task fails, so a series counts the grants."""
    given: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row, matter, number in _grants(evidence):
        if matter.series and number not in evidence.snapshot.known_numbers.get(matter.table, ()):
            given[row.department, matter.series][number] += 1
    known = {(each.department, each.series): each for each in facts.BIRTH.values() if each.series}
    for series in evidence.snapshot.series:
        source = known.get((series.department, series.name))
        if source is None:
            continue
        judgement.looked("I4", "series")
        numbers = given[series.department, series.name]
        where = {"department": series.department, "series": series.name}
        if not source.keeps and any(times > 1 for times in numbers.values()):
            judgement.broken("I4", "a number was given twice", **where)
        if series.last < len(numbers) or (source.exact and series.last != len(numbers)):
            what = "a series gave other numbers than answers have"
            judgement.broken("I4", what, **where, last=series.last, answers=len(numbers))


# --- consumers -------------------------------------------------------------------------------------------------------

_NOT_NOTED: Mapping[str, frozenset[str]] = {
    # Under a key of its own, since one answer is told from another.
    "approval.results": frozenset({facts.TASK_ANSWERED}),
}
_ONLY_NOTED: Mapping[str, frozenset[str]] = {
    # Most of what approval says of applications is passed over by rating.
    "rating.events": frozenset({facts.COMPLETED, facts.RECTIFICATION_ANSWERED, facts.PERSON_ERASED}),
}


def _inboxes(evidence: Evidence, judgement: Judgement) -> None:
    for store, repeated in evidence.snapshot.inbox_repeated.items():
        judgement.looked("I4", "inboxes")
        if repeated:
            judgement.broken("I4", "an inbox has keys more than once", store=store, keys=repeated)
    for consumer, record in _to_be_noted(evidence):
        judgement.looked("I4", "records at their consumers")
        is_buried = (consumer.group, record.place) in evidence.buried
        if is_buried or inbox_key(consumer, record) in evidence.snapshot.inbox.get(consumer.store, ()):
            continue
        judgement.broken(
            "I4",
            "a consumer passed over a record that it was to act on",
            consumer=consumer.group,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            event=record.event,
        )


def _to_be_noted(evidence: Evidence) -> Iterator[tuple[facts.Consumer, Record]]:
    """Every record with each consumer that notes it."""
    readers: dict[str, list[facts.Consumer]] = defaultdict(list)
    for consumer in facts.CONSUMERS:
        for topic in consumer.topics:
            readers[topic].append(consumer)
    for record in evidence.own_records:
        yield from ((each, record) for each in readers.get(record.topic, ()) if _is_noted(each, record))


def _is_noted(consumer: facts.Consumer, record: Record) -> bool:
    only = _ONLY_NOTED.get(consumer.group)
    return record.kind not in _NOT_NOTED.get(consumer.group, ()) and (only is None or record.kind in only)


def inbox_key(consumer: facts.Consumer, record: Record) -> str:
    """The key under which a consumer notes an event: 8 bytes of its subject, 16 of who noted what from where.

    A department notes the delivery and not the event, since a request that comes again is answered again.
    """
    event = record.event
    if consumer.store in facts.DEPARTMENTS:
        event = f"{event}@{record.partition}:{record.offset}"
    try:
        locality = UUID(record.key).bytes[:8]
    except ValueError:
        locality = hashlib.blake2b(record.key.encode(), digest_size=8).digest()
    named = f"{consumer.group}\x00{record.topic}\x00{event}".encode()
    return (locality + hashlib.blake2b(named, digest_size=16).digest()).hex()


def _invitations(evidence: Evidence, judgement: Judgement) -> None:
    invited = Counter(evidence.snapshot.invitations)
    expected = {
        record.application
        for record in evidence.records_of.get(facts.COMPLETED, ())
        if _handlings(record.said) and record.application not in evidence.erased
    }
    for application in expected:
        judgement.looked("I4", "invitations to rate")
        if invited[application] != 1:
            what = "a completed application was not invited for exactly once"
            judgement.broken("I4", what, application=application, invitations=invited[application])
    for application in invited.keys() - expected - evidence.erased:
        judgement.broken("I4", "an invitation for an application that was not completed", application=application)


def _handlings(said: Sequence[str]) -> int:
    return int(said[1]) if len(said) > 1 else 0
