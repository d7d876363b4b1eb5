"""One behaviour, two stores."""

import pytest
from yijian_messaging.inbox import inbox_key
from yijian_messaging.record import Outgoing, Record
from yijian_messaging.shards import shard_of
from yijian_messaging.store import LetterKind, LetterState, Move

ALL_SHARDS = list(range(16))


def message(number: int, *, key: str = "a", personal: bool = False) -> Outgoing:
    return Outgoing(
        id=f"e{number}", topic="t", key=key, headers={"n": str(number)}, value=b"value-%d" % number, personal=personal
    )


def record(offset: int = 7) -> Record:
    return Record("t", 0, offset, b"key", b"secret-value", (("h", b"secret-header"),), 123)


async def test_a_transaction_is_whole_or_not_there(bench):
    with pytest.raises(RuntimeError):
        async with bench.store.transaction() as transaction:
            await bench.effect(transaction, "half")
            await transaction.publish([message(1)])
            raise RuntimeError
    assert await bench.effects() == []
    assert await bench.store.unsent(ALL_SHARDS, 10) == []


async def test_what_is_published_waits_in_order_and_wakes_the_relay(bench):
    woken = []
    bench.store.on_publish(lambda: woken.append(True))
    async with bench.store.transaction() as transaction:
        await transaction.publish([message(1), message(2)])
    async with bench.store.transaction() as transaction:
        await transaction.publish([message(3)])
    assert [u.message.id for u in await bench.store.unsent(ALL_SHARDS, 10)] == ["e1", "e2", "e3"]
    assert [u.message.id for u in await bench.store.unsent(ALL_SHARDS, 2)] == ["e1", "e2"]
    assert len(woken) == 2


async def test_personal_values_are_sealed_while_they_wait(bench):
    async with bench.store.transaction() as transaction:
        await transaction.publish([message(1, personal=True), message(2)])
    stored = dict(await bench.query("SELECT event_id, value FROM outbox"))
    assert stored["e1"] != b"value-1"
    assert stored["e2"] == b"value-2"
    assert [u.message.value for u in await bench.store.unsent(ALL_SHARDS, 10)] == [b"value-1", b"value-2"]


async def test_only_the_holder_of_the_lease_marks_rows_as_sent(bench):
    assert await bench.store.lease_shards("first", 30) == ALL_SHARDS
    async with bench.store.transaction() as transaction:
        await transaction.publish([message(1)])
    (unsent,) = await bench.store.unsent(ALL_SHARDS, 10)
    await bench.store.mark_sent("former owner", [unsent])
    assert len(await bench.store.unsent(ALL_SHARDS, 10)) == 1
    await bench.store.mark_sent("first", [unsent])
    assert await bench.store.unsent(ALL_SHARDS, 10) == []


async def test_relays_share_the_shards_and_take_over_what_is_let_go(bench):
    assert await bench.store.lease_shards("first", 30) == ALL_SHARDS
    assert await bench.store.lease_shards("second", 30) == []
    first = await bench.store.lease_shards("first", 30)
    second = await bench.store.lease_shards("second", 30)
    assert sorted(first + second) == ALL_SHARDS
    assert len(first) == len(second) == 8
    await bench.store.release_shards("first")
    assert await bench.store.lease_shards("second", 30) == ALL_SHARDS


async def test_a_lease_that_ran_out_is_free(bench):
    await bench.store.lease_shards("dead", 0.0)
    assert await bench.store.lease_shards("alive", 30) == ALL_SHARDS


async def test_who_comes_back_under_its_name_does_not_wait_for_its_former_lease(bench):
    assert await bench.store.lease_shards("approval/a/1", 30) == ALL_SHARDS
    await bench.store.release_predecessors("approval/b/")
    assert await bench.store.lease_shards("approval/b/1", 30) == []
    await bench.store.release_predecessors("approval/a/")
    assert len(await bench.store.lease_shards("approval/a/2", 30)) == 8


async def test_a_key_always_has_the_same_shard():
    assert shard_of("018f3c1e") == shard_of("018f3c1e")
    assert {shard_of(str(n)) for n in range(1000)} == set(ALL_SHARDS)


async def test_what_was_not_sent_yet_can_be_taken_back(bench):
    async with bench.store.transaction() as transaction:
        await transaction.publish([message(1), message(2)])
    async with bench.store.transaction() as transaction:
        assert await transaction.cancel_unsent(["e1", "unknown"]) == 1
    assert [u.message.id for u in await bench.store.unsent(ALL_SHARDS, 10)] == ["e2"]


async def test_offsets_move_only_from_where_they_are(bench):
    starts = {("t", 0): 0, ("t", 1): 40}
    stored = await bench.store.positions("c", starts, "cluster")
    assert {place: p.next_offset for place, p in stored.items()} == starts
    async with bench.store.transaction() as transaction:
        assert await transaction.advance("c", [Move("t", 1, 40, 50), Move("t", 0, 0, 3)])
    with pytest.raises(RuntimeError):
        async with bench.store.transaction() as transaction:
            assert not await transaction.advance("c", [Move("t", 0, 3, 9), Move("t", 1, 40, 50)])
            raise RuntimeError
    stored = await bench.store.positions("c", {("t", 0): 0, ("t", 1): 0}, "another")
    assert {place: p.next_offset for place, p in stored.items()} == {("t", 0): 3, ("t", 1): 50}
    assert {p.cluster_id for p in stored.values()} == {"cluster"}


async def test_the_inbox_tells_what_is_new_once(bench):
    keys = [inbox_key("c", topic="t", subject="s", event_id=f"e{n}") for n in range(3)]
    async with bench.store.transaction() as transaction:
        assert await transaction.unseen(keys[:2]) == set(keys[:2])
    async with bench.store.transaction() as transaction:
        assert await transaction.unseen([*keys, keys[2]]) == {keys[2]}
        await transaction.forget([keys[2]])
    async with bench.store.transaction() as transaction:
        assert await transaction.unseen(keys) == {keys[2]}


def test_the_same_event_id_from_another_topic_is_another_event():
    mine = inbox_key("c", topic="department.health.results", subject="s", event_id="e")
    assert mine != inbox_key("c", topic="department.taxation.results", subject="s", event_id="e")


async def test_dead_letters_are_sealed_replayed_and_discarded(bench):
    async with bench.store.transaction() as transaction:
        await transaction.bury("c", [(record(7), "not JSON"), (record(8), "not JSON either")])
    (sealed,) = {bytes(row[0]).find(b"secret") for row in await bench.query("SELECT sealed FROM dead_letter")}
    assert sealed == -1
    first, second = await bench.store.letters(state=LetterState.DEAD)
    assert (first.kind, first.error, first.record.value) == (LetterKind.RECORD, "not JSON", None)
    opened = await bench.store.letter(first.id)
    assert opened.record == record(7)
    assert len(await bench.store.incidents()) == 2

    assert await bench.store.request_replay(first.id, note="mended", value=b"{}")
    assert await bench.store.replays("c", 10) == [first.id]
    replay = await bench.store.letter(first.id)
    assert (replay.record.value, replay.record.key, replay.note) == (b"{}", b"key", "mended")
    async with bench.store.transaction() as transaction:
        await transaction.settle_letter(first.id, LetterState.REPLAYED, "mended")
    assert await bench.store.discard(second.id, note="a test record")
    assert not await bench.store.discard(second.id, note="again")
    assert not await bench.store.request_replay(first.id, note="again", value=None)
    assert await bench.store.incidents() == []
    closed = await bench.store.incidents(open_only=False)
    assert {incident.resolution for incident in closed} == {"mended", "a test record"}


async def test_an_incident_is_opened_once(bench):
    async with bench.store.transaction() as transaction:
        await transaction.open_incident("late", "a", "first")
        await transaction.open_incident("late", "a", "second")
    (incident,) = await bench.store.incidents()
    assert incident.summary == "first"
    async with bench.store.transaction() as transaction:
        await transaction.close_incident("late", "a", "done")
        await transaction.open_incident("late", "a", "third")
    assert [i.summary for i in await bench.store.incidents()] == ["third"]


async def test_a_row_that_kafka_refuses_parks_its_key_and_is_released_by_a_person(bench):
    async with bench.store.transaction() as transaction:
        await transaction.publish(
            [message(1, key="stuck", personal=True), message(2, key="stuck"), message(3, key="free")]
        )
    stuck = (await bench.store.unsent(ALL_SHARDS, 10))[0]
    await bench.store.park(stuck, "too large")
    await bench.store.park(stuck, "too large")
    assert [u.message.id for u in await bench.store.unsent(ALL_SHARDS, 10)] == ["e3"]
    (letter,) = await bench.store.letters()
    assert letter.kind is LetterKind.UNSENDABLE
    assert await bench.store.request_replay(letter.id, note="shortened", value=b"short")
    unsent = await bench.store.unsent(ALL_SHARDS, 10)
    assert [(u.message.id, u.message.value) for u in unsent] == [
        ("e1", b"short"),
        ("e2", b"value-2"),
        ("e3", b"value-3"),
    ]


async def test_housekeeping_keeps_what_is_fresh(bench):
    async with bench.store.transaction() as transaction:
        await transaction.publish([message(1)])
        await transaction.unseen([b"k"])
    await bench.store.housekeep()
    assert len(await bench.store.unsent(ALL_SHARDS, 10)) == 1
    async with bench.store.transaction() as transaction:
        assert await transaction.unseen([b"k"]) == set()
