"""What is for other readers of a topic moves the offset on and leaves nothing else behind."""

import asyncio

from yijian_messaging import Consumer, Decoded, Record
from yijian_messaging.testing import wait_until

from .line import FAST, Line, decode


def even_ones(record: Record) -> Decoded[str] | None:
    decoded = decode(record)
    return decoded if int(decoded.content) % 2 == 0 else None


async def test_a_record_for_others_is_passed_over(line: Line):
    await line.publish(*range(100))
    consumer = Consumer(
        group=f"approval.even.{line.topic[-6:]}",
        topics=[line.topic],
        store=line.bench.store,
        kafka=line.kafka,
        decode=even_ones,
        handle=line.keep,
        tuning=FAST,
    )
    stopping = asyncio.Event()
    async with line.running(group="approval.all"):  # whoever wants all of them has all of them
        task = asyncio.create_task(consumer.run(stopping))
        await line.arrived(150)
        await wait_until(lambda: read_to_the_end(line, consumer.name), what="every record to be read")
        stopping.set()
        await asyncio.wait_for(task, 15)
    effects = await line.bench.effects()
    assert sorted(effects) == sorted([f"{n:05}" for n in range(100)] + [f"{n:05}" for n in range(0, 100, 2)])
    assert await line.bench.store.letters() == []
    assert await line.bench.query("SELECT count(*) FROM inbox") == [(150,)]


async def read_to_the_end(line: Line, consumer: str) -> bool:
    rows = await line.bench.query(f"SELECT sum(next_offset) FROM consumer_offset WHERE consumer = '{consumer}'")  # noqa: S608 - our own names
    return int(rows[0][0]) == 100
