"""Nothing remembers which messages were handled, and which tasks are there already."""

from collections.abc import Iterable, Sequence

from yijian_department.batch import Batch
from yijian_messaging.sqlite import SqliteTransaction

from yijian_chaos.planted.replacing import replace


async def _unseen(_self: SqliteTransaction, keys: Sequence[bytes]) -> set[bytes]:
    return set(keys)


def _read_nothing(_self: Batch, _task_ids: Iterable[str]) -> None:
    """A request that comes is a new task."""


def plant() -> None:
    replace(SqliteTransaction, "unseen", _unseen)
    replace(Batch, "read", _read_nothing)
