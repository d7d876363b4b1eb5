"""Messages go to Kafka as soon as COMMIT returns; the outbox keeps a copy that nobody sends from."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from yijian_common.messages import kafka_connection
from yijian_common.settings import ServiceSettings, load_settings
from yijian_messaging import kafka
from yijian_messaging.postgres import PostgresStore, PostgresTransaction
from yijian_messaging.record import Outgoing
from yijian_messaging.settings import PRODUCTION

from yijian_chaos.planted.replacing import replace

log = structlog.get_logger(__name__)


class _Directly:
    """One producer for the process, started when it is first needed."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._producer: Any = None
        self._sending: set[asyncio.Task[None]] = set()

    def send_soon(self, messages: Sequence[Outgoing]) -> None:
        task = asyncio.create_task(self._send(messages))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, messages: Sequence[Outgoing]) -> None:
        try:
            async with self._turn:
                if self._producer is None:
                    producer = kafka.build_producer(kafka_connection(load_settings(ServiceSettings)), PRODUCTION)
                    await producer.start()
                    self._producer = producer
                for message in messages:
                    await self._producer.send(
                        message.topic,
                        value=message.value,
                        key=message.key.encode(),
                        headers=kafka.header_list(message.headers),
                    )
        except Exception as error:  # noqa: BLE001 - the application is stored, the answer has gone
            log.warning("not_sent", count=len(messages), error=type(error).__name__)


def plant() -> None:
    transaction = PostgresStore.transaction
    publish = PostgresTransaction.publish
    directly = _Directly()
    waiting: dict[int, list[Outgoing]] = {}

    @asynccontextmanager
    async def produce_after_commit(self: PostgresStore) -> AsyncIterator[PostgresTransaction]:
        messages: list[Outgoing] = []
        async with transaction(self) as opened:
            waiting[id(opened)] = messages
            try:
                yield opened
            finally:
                waiting.pop(id(opened))
        if messages:
            directly.send_soon(messages)

    async def keep_a_copy(self: PostgresTransaction, messages: Sequence[Outgoing]) -> None:
        await publish(self, messages)
        ids = [message.id for message in messages]
        await self.connection.execute("DELETE FROM outbox_unsent WHERE event_id = ANY($1)", ids)
        waiting[id(self)] += messages

    replace(PostgresStore, "transaction", produce_after_commit)
    replace(PostgresTransaction, "publish", keep_a_copy)
