"""Identity of work is derived, so that a replay cannot repeat an effect.

The same application, child, matter and attempt always give the same task id, and the events that request, answer and
disclose a task take theirs from it. Namespaced UUIDv5 (RFC 9562 §5.5).
"""

from uuid import UUID, uuid5

NAMESPACE = UUID("5b3f1a52-7c0e-5d64-9c7e-0d2a6d1f4b11")


def task_id(application_id: UUID, *, child: int | None, matter: str, attempt: int) -> UUID:
    """The id of one attempt at one matter; `child` is the order of birth, or None for the whole application."""
    return uuid5(NAMESPACE, f"task:{application_id}:{child or 0}:{matter}:{attempt}")


def event_id(event_type: str, subject: UUID | str, *discriminators: object) -> UUID:
    """The id of the one event of this type about `subject` (and what else tells it from its siblings)."""
    parts = ":".join(str(part) for part in discriminators)
    return uuid5(NAMESPACE, f"event:{event_type}:{subject}:{parts}")
