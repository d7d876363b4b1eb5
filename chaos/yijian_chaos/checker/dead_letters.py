"""I11: whatever could not be handled is in front of a person.

Each dead letter that is not settled has an open incident, each that is has one that is closed; each key that is set
aside has its letter. A record of poison that a fault put on a topic is a dead letter at every consumer of that topic,
and nothing else is: what the platform said itself can be handled, and is not in front of a person for good.
"""

from collections import defaultdict

from yijian_chaos.checker import facts
from yijian_chaos.checker.evidence import Evidence
from yijian_chaos.checker.verdict import Judgement

_OPEN = frozenset({"DEAD", "REPLAY"})


def judge(evidence: Evidence, judgement: Judgement) -> None:
    incidents: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for incident in evidence.snapshot.incidents:
        if incident.kind == "dead-letter":
            incidents[incident.store, incident.subject].append(incident.open)
    for letter in evidence.snapshot.letters:
        judgement.looked("I11", "dead letters")
        shown = incidents.get((letter.store, str(letter.id)), [])
        where = {"store": letter.store, "letter": letter.id, "state": letter.state, "consumer": letter.consumer}
        if not shown:
            judgement.broken("I11", "a dead letter has no incident", **where)
        elif any(shown) != (letter.state in _OPEN):
            judgement.broken("I11", "a dead letter's incident is not as open as the letter", **where)
    unsendable = {(x.store, x.offset) for x in evidence.snapshot.letters if x.kind == "UNSENDABLE"}
    for parked in evidence.snapshot.parked:
        judgement.looked("I11", "keys that are set aside")
        if (parked.store, parked.row) not in unsendable:
            judgement.broken("I11", "a key is set aside without a dead letter", store=parked.store, key=parked.key)
    _poison(evidence, judgement)
    _sound(evidence, judgement)


def _sound(evidence: Evidence, judgement: Judgement) -> None:
    records = {record.place: record for record in evidence.snapshot.records}
    for letter in evidence.snapshot.letters:
        record = records.get(letter.place)
        is_poison = evidence.injected.get(letter.place) == "poison"
        if letter.kind == "RECORD" and letter.state != "REPLAYED" and record is not None and not is_poison:
            judgement.broken(
                "I11",
                "what the platform said itself is a dead letter",
                store=letter.store,
                letter=letter.id,
                consumer=letter.consumer,
                event=record.event,
                type=record.kind,
                application=record.application,
            )


def _poison(evidence: Evidence, judgement: Judgement) -> None:
    for place, kind in evidence.injected.items():
        if kind != "poison":
            continue
        for consumer in facts.CONSUMERS:
            topic, partition, offset = place
            if topic in consumer.topics:
                judgement.looked("I11", "poison")
                if (consumer.group, place) not in evidence.buried:
                    where = {"topic": topic, "partition": partition, "offset": offset}
                    what = "poison is no dead letter at a consumer"
                    judgement.broken("I11", what, consumer=consumer.group, **where)
