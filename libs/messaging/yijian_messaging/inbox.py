"""The inbox's key: what makes a message the same message when it comes again."""

import hashlib
from uuid import UUID


def inbox_key(consumer: str, *, topic: str, subject: str, event_id: str) -> bytes:
    """24 bytes: 8 that keep the entries of one subject together, 16 that tell this event from all others.

    The topic is part of it: a topic has one writer, so nobody can use up another sender's event ids. Subjects are
    UUIDv7 and thus ascend with time, so that the index grows at one end instead of everywhere.
    """
    try:
        locality = UUID(subject).bytes[:8]
    except ValueError:
        locality = hashlib.blake2b(subject.encode(), digest_size=8).digest()
    parts = f"{consumer}\x00{topic}\x00{event_id}"
    return locality + hashlib.blake2b(parts.encode(), digest_size=16).digest()
