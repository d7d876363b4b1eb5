"""Records through a real broker: from one store's outbox into another's effects."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from yijian_messaging import Consumer, Decoded, KafkaSettings, Message, Outgoing, Record, Relay, Tuning
from yijian_messaging.testing import wait_until

FAST = Tuning(tries=3, retry_pause=0.01, watchdog=5.0)


def outgoing(number: int, *, key: str | None = None, topic: str) -> Outgoing:
    value = json.dumps({"id": f"e{number}", "text": f"{number:05}"}).encode()
    return Outgoing(id=f"e{number}", topic=topic, key=key or f"key-{number % 50}", headers={}, value=value)


def decode(record: Record) -> Decoded[str]:
    content = json.loads(record.value or b"")
    return Decoded(id=content["id"], content=content["text"])


@dataclass
class Line:
    """A producer side and a consumer side over one topic; here both use the same store."""

    bench: Any
    topic: str
    kafka: KafkaSettings

    async def publish(self, *numbers: int, key: str | None = None) -> None:
        async with self.bench.store.transaction() as transaction:
            await transaction.publish([outgoing(n, key=key, topic=self.topic) for n in numbers])

    @asynccontextmanager
    async def running(
        self, handle: Any = None, *, tuning: Tuning = FAST, relay: bool = True, group: str = "approval.t"
    ):
        consumer = Consumer(
            group=f"{group}.{self.topic[-6:]}",
            topics=[self.topic],
            store=self.bench.store,
            kafka=self.kafka,
            decode=decode,
            handle=handle or self.keep,
            tuning=tuning,
        )
        stopping = asyncio.Event()
        components = [consumer, *([Relay(store=self.bench.store, kafka=self.kafka, tuning=tuning)] if relay else [])]
        tasks = [asyncio.create_task(component.run(stopping)) for component in components]
        try:
            yield consumer
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            stopping.set()
            await asyncio.wait_for(asyncio.gather(*tasks), 15)

    async def keep(self, transaction: Any, messages: Sequence[Message[str]]) -> None:
        for message in messages:
            await self.bench.effect(transaction, message.content)

    async def arrived(self, count: int) -> None:
        await wait_until(lambda: self._count(count), what=f"{count} effects")

    async def _count(self, count: int) -> bool:
        return len(await self.bench.effects()) >= count
