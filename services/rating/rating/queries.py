"""Named reads."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from yijian_common.crypto import DataKey, Keyring
from yijian_common.database import Connection

from rating import order_rows
from rating.order_effects import open_comment
from rating.orders import Order


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation with its handlings, what was said about each, and the orders that came of it."""

    invitation: Any
    data_key: DataKey
    handlings: Sequence[Any]
    reviews: dict[UUID, list[Any]]
    orders: dict[UUID, Order]

    def comment_of(self, review: Any) -> str:
        return open_comment(self.data_key, review["id"], review["sealed"])


async def list_invitations(
    connection: Connection, *, person: bytes, before: UUID | None, limit: int, keyring: Keyring
) -> list[Invited]:
    """A person's invitations, newest first (ids ascend with time), those before `before`."""
    rows = await connection.fetch(
        """
        SELECT * FROM invitation WHERE person = $1 AND id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
        ORDER BY id DESC LIMIT $3
        """,
        person,
        before,
        limit,
    )
    return await _with_everything(connection, rows, keyring)


async def find_invitation(
    connection: Connection, invitation_id: UUID, *, person: bytes, keyring: Keyring
) -> Invited | None:
    """One invitation, if it is this person's."""
    rows = await connection.fetch("SELECT * FROM invitation WHERE id = $1 AND person = $2", invitation_id, person)
    found = await _with_everything(connection, rows, keyring)
    return found[0] if found else None


async def _with_everything(connection: Connection, rows: Sequence[Any], keyring: Keyring) -> list[Invited]:
    ids = [row["id"] for row in rows]
    handlings = await connection.fetch(
        "SELECT * FROM handling WHERE invitation_id = ANY($1) ORDER BY matter, child NULLS FIRST", ids
    )
    reviews = await connection.fetch("SELECT * FROM review WHERE invitation_id = ANY($1) ORDER BY number", ids)
    orders = await order_rows.orders_of(connection, ids)
    by_handling = _grouped(reviews, "handling_id")
    by_review = {order.review_id: order for order in orders}
    handling_of = {row["id"]: row["handling_id"] for row in reviews}
    return [
        Invited(
            invitation=row,
            data_key=keyring.unwrap(row["data_key"]),
            handlings=[one for one in handlings if one["invitation_id"] == row["id"]],
            reviews=by_handling,
            orders={handling_of[review]: order for review, order in by_review.items() if review in handling_of},
        )
        for row in rows
    ]


def _grouped(rows: Iterable[Any], column: str) -> dict[UUID, list[Any]]:
    groups: dict[UUID, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return dict(groups)


@dataclass(frozen=True, slots=True)
class OrderHistory:
    steps: Sequence[Any]
    escalations: Sequence[Any]


async def read_history(connection: Connection, order_id: UUID) -> OrderHistory:
    """What happened to an order, and which rungs it reached."""
    steps = await connection.fetch("SELECT * FROM order_step WHERE order_id = $1 ORDER BY number", order_id)
    escalations = await connection.fetch("SELECT * FROM order_escalation WHERE order_id = $1 ORDER BY at", order_id)
    return OrderHistory(steps, escalations)


async def list_published(
    connection: Connection, *, department: str | None, before: int | None, limit: int
) -> list[Any]:
    """What was published, newest first, before the place `before`."""
    found: list[Any] = await connection.fetch(
        """
        SELECT * FROM publication
        WHERE place < coalesce($1, 9223372036854775807) AND ($2::text IS NULL OR department = $2)
        ORDER BY place DESC LIMIT $3
        """,
        before,
        department,
        limit,
    )
    return found
