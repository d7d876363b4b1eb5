"""Nobody asks which messages were handled, and which tasks are there already."""

from collections.abc import Iterable, Sequence

from yijian_department.batch import Batch
from yijian_messaging.sqlite import SqliteTransaction

from yijian_chaos.planted.replacing import replace


def _read_nothing(_self: Batch, _task_ids: Iterable[str]) -> None:
    """A request that comes is a new task."""


def plant() -> None:
    note = SqliteTransaction.unseen

    async def all_are_new(self: SqliteTransaction, keys: Sequence[bytes]) -> set[bytes]:
        await note(self, keys)
        return set(keys)

    replace(SqliteTransaction, "unseen", all_are_new)
    replace(Batch, "read", _read_nothing)
