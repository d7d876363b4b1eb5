"""I8: what consumers have read is where the topics end.

Per consumer and partition: the offset stored beside the effects is neither below where the topic ended before it was
read nor above where it ended afterwards, and what the group committed to the broker, which is for monitoring, is never
ahead of it. A partition that never had a record may be without a stored offset. Nobody else stores offsets. Every
process that should read is in its groups: where there are two, the other would read on alone, and nobody would miss
the one.
"""

from yijian_chaos.checker.evidence import Evidence
from yijian_chaos.checker.facts import CONSUMERS, Consumer
from yijian_chaos.checker.snapshot import Partition, Stored
from yijian_chaos.checker.verdict import Judgement


def judge(evidence: Evidence, judgement: Judgement) -> None:
    stored = {(row.consumer, row.topic, row.partition): row for row in evidence.snapshot.stored}
    committed = {(row.group, row.topic, row.partition): row.next for row in evidence.snapshot.committed}
    expected = set()
    for consumer in CONSUMERS:
        for place in evidence.snapshot.partitions:
            if place.topic in consumer.topics:
                name = (consumer.group, place.topic, place.partition)
                expected.add(name)
                _partition(consumer, place, stored.get(name), committed.get(name), judgement)
    for each in evidence.snapshot.members:
        judgement.looked("I8", "groups")
        if each.found != each.expected:
            what = "not every process is in its group"
            judgement.broken("I8", what, group=each.group, found=each.found, expected=each.expected)
    for group, topic, partition in stored.keys() - expected:
        judgement.broken("I8", "somebody unknown stores offsets", consumer=group, topic=topic, partition=partition)


def _partition(
    consumer: Consumer, place: Partition, row: Stored | None, committed: int | None, judgement: Judgement
) -> None:
    where = {"consumer": consumer.group, "topic": place.topic, "partition": place.partition}
    if row is None:
        if place.end > place.begin:
            judgement.broken("I8", "a consumer has never read a partition", **where, end=place.end)
        return
    judgement.looked("I8", "stored offsets")
    if row.store != consumer.store:
        judgement.broken("I8", "an offset is stored beside somebody else's effects", **where, store=row.store)
    if row.next < place.end:
        judgement.broken("I8", "a consumer has not read all", **where, stored=row.next, end=place.end)
    if row.next > place.later_end:
        what = "a consumer's offset is beyond the end of its partition"
        judgement.broken("I8", what, **where, stored=row.next, end=place.later_end)
    if committed is None:
        return
    judgement.looked("I8", "committed offsets")
    # On a topic where something is said every few seconds it may have moved between the two readings.
    if committed > row.next and not place.end < committed <= place.later_end:
        judgement.broken("I8", "a group committed more than is stored", **where, stored=row.next, committed=committed)
