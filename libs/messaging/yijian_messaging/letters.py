"""How a dead letter's record is kept: as one sealed text, since a foreign key or header may hold anything."""

import base64
import json

from yijian_messaging.record import Record
from yijian_messaging.store import Unsent


def pack(record: Record) -> bytes:
    """Everything of a record except where it stood."""
    return json.dumps(
        {
            "key": _text(record.key),
            "value": _text(record.value),
            "headers": [[name, _text(value)] for name, value in record.headers],
            "timestamp_ms": record.timestamp_ms,
        }
    ).encode()


def unpack(packed: bytes, *, topic: str, partition: int, offset: int) -> Record:
    """The record that `pack` took apart."""
    parts = json.loads(packed)
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=_bytes(parts["key"]),
        value=_bytes(parts["value"]),
        headers=tuple((name, _bytes(value) or b"") for name, value in parts["headers"]),
        timestamp_ms=parts["timestamp_ms"],
    )


def unsendable(row: Unsent) -> Record:
    """An outbox row as a dead letter keeps it: it stands in no partition, and its offset is the row's number."""
    message = row.message
    return Record(
        topic=message.topic,
        partition=-1,
        offset=row.row,
        key=message.key.encode(),
        value=message.value,
        headers=tuple((name, text.encode()) for name, text in message.headers.items()),
        timestamp_ms=0,
    )


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
