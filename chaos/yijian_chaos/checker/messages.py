"""I5 and I6: what was committed was said, nothing else was, and in its order.

I5  No row waits in an outbox. Each store's outbox and its topics hold the same events: a row without a record is lost,
    a record without a row was never true. Not sent, and rightly so: a request whose task was cancelled before it was
    sent; an old word of how far withdrawals were told beside a newer one; a row that an operator gave up. Out of sight:
    rows that were committed while the topics were read, and not later by their own clock; on a topic whose first
    records were dropped, rows older than what is left of it; days of an outbox that were dropped; messages about
    somebody who was erased. A record that a fault put on a topic itself is nobody's. Each record's source is its
    topic's writer, its subject its key.
I6  A key has one partition of each topic: in two its events would have no order. First occurrences keep theirs: per
    topic, key and gate, events stand in the topic as their rows stand in the outbox. Rows of one key are written under
    the lock of what they are about, so the order of their numbers is that of their commits. What this does not say:
    rows behind a gate may be passed by rows of their key that are not; topics in OUT_OF_ORDER are written without such
    a lock; hints that several applications moved are ordered for the first of them alone. Versions in hints rise for
    that first one, and the highest that anybody was told of an application is the one it has. That timelines have no
    gaps is I3's to say.
"""

from collections import defaultdict
from itertools import pairwise
from typing import Final

from yijian_chaos.checker import facts
from yijian_chaos.checker.evidence import Evidence
from yijian_chaos.checker.snapshot import Outgoing, Record
from yijian_chaos.checker.verdict import Judgement

WAITING_S: Final = 15.0
"""What data-exchange says every few seconds is on its way for a moment; what waits longer is stuck."""

KEPT_S: Final = 7.5 * 86_400
"""What was sent is kept for eight days, by the day."""

OUT_OF_ORDER: Final = frozenset(
    {"data-exchange.consents", "identity.disclosures", "identity.sessions", "identity.erasures"}
)


def judge(evidence: Evidence, judgement: Judgement) -> None:
    _unsent(evidence, judgement)
    _lost(evidence, judgement)
    _never_true(evidence, judgement)
    _homes(evidence, judgement)
    _order(evidence, judgement)
    _versions(evidence, judgement)


# --- I5 --------------------------------------------------------------------------------------------------------------


def _unsent(evidence: Evidence, judgement: Judgement) -> None:
    judgement.looked("I5", "rows that wait", len(evidence.snapshot.unsent))
    for row in evidence.snapshot.unsent:
        if abs(row.age_s) > WAITING_S:
            judgement.broken(
                "I5", "a row was never sent", store=row.store, row=row.id, event=row.event, age_s=row.age_s
            )
    for parked in evidence.snapshot.parked:
        judgement.broken("I5", "a key is set aside", store=parked.store, key=parked.key, row=parked.row)


def _lost(evidence: Evidence, judgement: Judgement) -> None:
    said: dict[str, set[str]] = defaultdict(set)
    for record in evidence.snapshot.records:
        said[record.topic].add(record.event)
    oldest = _oldest_records(evidence)
    excused = _taken_back(evidence)
    given_up = {
        (letter.store, letter.offset)
        for letter in evidence.snapshot.letters
        if (letter.kind, letter.state) == ("UNSENDABLE", "DISCARDED")
    }
    waiting = {(row.store, row.id) for row in evidence.snapshot.unsent}
    for row in evidence.snapshot.outbox:
        if facts.WRITERS.get(row.topic) != row.store:
            judgement.broken("I5", "a store speaks where it may not", store=row.store, topic=row.topic, row=row.id)
            continue
        judgement.looked("I5", f"rows of {row.store}")
        if row.event in said[row.topic]:
            continue
        if row.event in excused:
            judgement.note("requests that were taken back before they were sent", 1)
            continue
        is_old_word = row.topic == "data-exchange.consents" and row.key == facts.TOLD_UNTIL
        is_newer = evidence.snapshot.topics_read_at <= row.at <= evidence.snapshot.collected_at
        out_of_sight = is_newer or row.at < oldest.get(row.topic, 0.0)
        accounted = (row.store, row.id) in waiting or (row.store, row.id) in given_up
        if not (is_old_word or out_of_sight or accounted or row.key in evidence.erased):
            judgement.broken(
                "I5",
                "what was committed was never said",
                store=row.store,
                row=row.id,
                topic=row.topic,
                key=row.key,
                event=row.event,
                type=row.kind,
            )


def _oldest_records(evidence: Evidence) -> dict[str, float]:
    """When the oldest record was made that is left on topics that no longer begin at their beginning."""
    cut = {place.topic for place in evidence.snapshot.partitions if place.begin > 0}
    oldest: dict[str, float] = {}
    for record in evidence.snapshot.records:
        if record.topic in cut:
            oldest[record.topic] = min(oldest.get(record.topic, record.at), record.at)
    return {topic: oldest.get(topic, float("inf")) for topic in cut}


def _taken_back(evidence: Evidence) -> set[str]:
    """The ids of requests whose task is told to be cancelled."""
    cancelled = {row.event for row in evidence.snapshot.outbox if row.kind == facts.TASK_CANCELLED}
    return {
        facts.event_id(facts.TASK_REQUESTED, task)
        for task in evidence.asked
        if facts.event_id(facts.TASK_CANCELLED, task) in cancelled
    }


def _never_true(evidence: Evidence, judgement: Judgement) -> None:
    dropped_until = evidence.snapshot.topics_read_at - KEPT_S
    seen: set[tuple[str, str]] = set()
    for record in evidence.snapshot.records:
        if record.place in evidence.injected:
            judgement.note(f"records put there by a fault: {evidence.injected[record.place]}", 1)
            continue
        judgement.looked("I5", "records")
        if (record.topic, record.event) in seen:
            judgement.note("repeated records", 1)
            continue
        seen.add((record.topic, record.event))
        store = facts.WRITERS[record.topic]
        known = evidence.outbox_events.get(store, {}).get(record.event)
        where = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "event": record.event}
        if known is None:
            if record.at >= dropped_until and record.key not in evidence.erased:
                judgement.broken("I5", "a record says what was never committed", **where, key=record.key)
        elif (known.topic, known.key) != (record.topic, record.key):
            judgement.broken("I5", "a record stands under another topic or key than its row", **where, row=known.id)
        principal = f"department.{store}" if store in facts.DEPARTMENTS else store
        if (record.source, record.subject) != (f"/{principal}", record.key):
            what = "a record's source or subject is not its topic's writer or its key"
            judgement.broken("I5", what, **where, source=record.source)


# --- I6 --------------------------------------------------------------------------------------------------------------


def _homes(evidence: Evidence, judgement: Judgement) -> None:
    homes: dict[tuple[str, str], Record] = {}
    for record in evidence.own_records:
        home = homes.setdefault((record.topic, record.key), record)
        if home.partition != record.partition:
            judgement.broken(
                "I6",
                "a key stands on two partitions",
                topic=record.topic,
                key=record.key,
                partitions=[home.partition, record.partition],
                offsets=[home.offset, record.offset],
            )


def _order(evidence: Evidence, judgement: Judgement) -> None:
    highest: dict[tuple[str, int, str, str], tuple[Outgoing, Record]] = {}
    seen: set[tuple[str, str]] = set()
    for record in evidence.snapshot.records:
        if record.topic in OUT_OF_ORDER or (record.topic, record.event) in seen:
            continue
        row = evidence.outbox_events.get(facts.WRITERS[record.topic], {}).get(record.event)
        if row is None:
            continue
        seen.add((record.topic, record.event))
        judgement.looked("I6", "first occurrences")
        lane = (record.topic, record.partition, record.key, row.gate)
        before = highest.get(lane)
        if before is None or before[0].id < row.id:
            highest[lane] = (row, record)
        else:
            judgement.broken(
                "I6",
                "an event stands behind one that was committed after it",
                topic=record.topic,
                partition=record.partition,
                key=record.key,
                offsets=[before[1].offset, record.offset],
                rows=[before[0].id, row.id],
                events=[before[1].event, record.event],
            )


def _versions(evidence: Evidence, judgement: Judgement) -> None:
    hints: dict[tuple[int, str], list[Record]] = defaultdict(list)
    told: dict[str, int] = defaultdict(int)
    seen: set[str] = set()
    for record in evidence.records_of.get(facts.PROGRESSED, ()):
        for moved, version in zip(record.said[::2], record.said[1::2], strict=True):
            told[moved] = max(told[moved], int(version))
        if record.event not in seen:
            seen.add(record.event)
            hints[record.partition, record.key].append(record)
    for records in hints.values():
        for earlier, later in pairwise(records):
            judgement.looked("I6", "pairs of hints")
            if int(earlier.said[1]) >= int(later.said[1]):
                judgement.broken(
                    "I6",
                    "an application's version went back in its hints",
                    topic=later.topic,
                    partition=later.partition,
                    key=later.key,
                    offsets=[earlier.offset, later.offset],
                    versions=[earlier.said[1], later.said[1]],
                )
    for application in evidence.living:
        judgement.looked("I6", "versions told")
        if told[application.id] != application.version:
            judgement.broken(
                "I6",
                "the highest version told of an application is not the one it has",
                application=application.id,
                told=told[application.id],
                version=application.version,
            )
