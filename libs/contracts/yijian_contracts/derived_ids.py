"""Identity of work is derived, so that a replay cannot repeat an effect.

The same application, child, matter and attempt always give the same task id, and the events that request, answer and
disclose a task take theirs from it. Namespaced UUIDv5 (RFC 9562 §5.5).
"""

import hashlib
from functools import lru_cache
from uuid import UUID

NAMESPACE = UUID("5b3f1a52-7c0e-5d64-9c7e-0d2a6d1f4b11")
_NAMESPACE_BYTES = NAMESPACE.bytes


# A batch speaks of the same few thousand tasks again and again.
@lru_cache(maxsize=8192)
def task_id(application_id: UUID, *, child: int | None, matter: str, attempt: int) -> UUID:
    """The id of one attempt at one matter; `child` is the order of birth, or None for the whole application."""
    return _uuid5(f"task:{application_id}:{child or 0}:{matter}:{attempt}")


def event_id(event_type: str, subject: UUID | str, *discriminators: object) -> UUID:
    """The id of the one event of this type about `subject` (and what else tells it from its siblings)."""
    parts = ":".join(str(part) for part in discriminators)
    return _uuid5(f"event:{event_type}:{subject}:{parts}")


def _uuid5(name: str) -> UUID:
    """`uuid.uuid5(NAMESPACE, name)`, without decoding the namespace again for each of many thousands."""
    digest = hashlib.sha1(_NAMESPACE_BYTES + name.encode(), usedforsecurity=False).digest()
    value = int.from_bytes(digest[:16], "big")
    return UUID(int=value & ~(0xF000 << 64) & ~(0xC000 << 48) | 0x5000 << 64 | 0x8000 << 48)
