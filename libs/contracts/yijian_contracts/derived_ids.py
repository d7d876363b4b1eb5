"""Identity of work is derived, so that a replay cannot repeat an effect.

The same application, child, matter and attempt always give the same task id, and the events that request, answer and
disclose a task take theirs from it.

What is kept for ever under its id begins with the 24 bits that its application's UUIDv7 begins with, and goes on with a
digest of its name (UUIDv8, RFC 9562 §5.8): what is new comes near the end of every index. Those bits change every 4.7
hours; more of them would tell readers of the public ledger, where ids of tasks stand, which leaves are of one
application. Events are only recognised for some days: namespaced UUIDv5 (§5.5).
"""

import hashlib
from functools import lru_cache
from uuid import UUID

NAMESPACE = UUID("5b3f1a52-7c0e-5d64-9c7e-0d2a6d1f4b11")
_NAMESPACE_BYTES = NAMESPACE.bytes
_SHARED_BYTES = 3


# A batch speaks of the same few thousand tasks again and again.
@lru_cache(maxsize=8192)
def task_id(application_id: UUID, *, child: int | None, matter: str, attempt: int) -> UUID:
    """The id of one attempt at one matter; `child` is the order of birth, or None for the whole application."""
    return _uuid8(application_id, f"task:{application_id}:{child or 0}:{matter}:{attempt}")


def consent_id(application_id: UUID, *, basis: str, giver: str) -> UUID:
    """The id of what the person with the role `giver` agrees to on one basis in one application."""
    return _uuid8(application_id, f"consent:{application_id}:{basis}:{giver}")


def document_id(task: UUID, *, kind: str) -> UUID:
    """The id of the one document of this kind that a task brings."""
    return _uuid8(task, f"document:{task}:{kind}")


def event_id(event_type: str, subject: UUID | str, *discriminators: object) -> UUID:
    """The id of the one event of this type about `subject` (and what else tells it from its siblings)."""
    parts = ":".join(str(part) for part in discriminators)
    return _uuid5(f"event:{event_type}:{subject}:{parts}")


def _uuid8(origin: UUID, name: str) -> UUID:
    """`origin`'s first bytes, then those of the name's SHA-256 in the namespace."""
    digest = hashlib.sha256(_NAMESPACE_BYTES + name.encode()).digest()
    return _versioned(int.from_bytes((origin.bytes[:_SHARED_BYTES] + digest)[:16], "big"), 8)


def _uuid5(name: str) -> UUID:
    """`uuid.uuid5(NAMESPACE, name)`, without decoding the namespace again for each of many thousands."""
    digest = hashlib.sha1(_NAMESPACE_BYTES + name.encode(), usedforsecurity=False).digest()
    return _versioned(int.from_bytes(digest[:16], "big"), 5)


def _versioned(value: int, version: int) -> UUID:
    """With the version and the variant of RFC 9562 §4 in their places."""
    return UUID(int=value & ~(0xF000 << 64) & ~(0xC000 << 48) | version << 76 | 0x8000 << 48)
