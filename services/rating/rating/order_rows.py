"""Orders in the database: a row each, and the lines of their history."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from yijian_common.database import Connection
from yijian_contracts.events import Outcome

from rating.orders import Order, OrderState
from rating.questionnaire import Level

_NOT_COLUMNS = {"steps", "effects"}
_COLUMNS = tuple(column.name for column in fields(Order) if column.name not in _NOT_COLUMNS)
_NAMES = ", ".join(_COLUMNS)
_PLACES = ", ".join(f"${n}" for n in range(1, len(_COLUMNS) + 1))
_SETS = ", ".join(f"{name} = ${n}" for n, name in enumerate(_COLUMNS[1:], start=2))
# Made of the class's own field names, and of nothing else.
_INSERT = f"INSERT INTO rectification_order ({_NAMES}) VALUES ({_PLACES})"  # noqa: S608 - our own names
_UPDATE = f"UPDATE rectification_order SET {_SETS} WHERE id = $1"  # noqa: S608 - our own names
_SELECT = f"SELECT {_NAMES} FROM rectification_order"  # noqa: S608 - our own names
_SELECT_WITH_PLACE = f"SELECT place, {_NAMES} FROM rectification_order"  # noqa: S608 - our own names


def order_of(row: Any) -> Order:
    """The order in a row of all columns."""
    members = {name: row[name] for name in _COLUMNS}
    return Order(
        **members
        | {
            "level": Level(row["level"]),
            "state": OrderState(row["state"]),
            "options": tuple(row["options"]),
            "needs_verify": tuple(row["needs_verify"]),
            "outcome": Outcome(row["outcome"]) if row["outcome"] else None,
        }
    )


async def find_order(connection: Connection, order_id: UUID) -> Order | None:
    row = await connection.fetchrow(f"{_SELECT} WHERE id = $1", order_id)
    return order_of(row) if row else None


async def lock_order(connection: Connection, order_id: UUID) -> Order | None:
    """One order, to change it."""
    row = await connection.fetchrow(f"{_SELECT} WHERE id = $1 FOR UPDATE", order_id)
    return order_of(row) if row else None


async def lock_orders(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Order]:
    """The known ones among these orders, to change them; every writer locks in this order."""
    rows = await connection.fetch(f"{_SELECT} WHERE id = ANY($1) ORDER BY id FOR UPDATE", list(ids))
    return {row["id"]: order_of(row) for row in rows}


async def lock_orders_of(connection: Connection, invitations: Sequence[UUID]) -> list[Order]:
    """Every order that came of these invitations, to change it."""
    rows = await connection.fetch(f"{_SELECT} WHERE invitation_id = ANY($1) ORDER BY id FOR UPDATE", list(invitations))
    return [order_of(row) for row in rows]


async def order_of_review(connection: Connection, review_id: UUID) -> Order | None:
    """The order that a review became, to change it."""
    row = await connection.fetchrow(f"{_SELECT} WHERE review_id = $1 FOR UPDATE", review_id)
    return order_of(row) if row else None


async def lock_due(connection: Connection, *, at: datetime, limit: int) -> list[Order]:
    """Orders whose time to be looked at has come and that nobody else is looking at."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE next_look_at <= $1 ORDER BY next_look_at LIMIT $2 FOR UPDATE SKIP LOCKED", at, limit
    )
    return [order_of(row) for row in rows]


async def lock_provisional(connection: Connection, *, limit: int) -> list[Order]:
    """Open orders whose deadline was counted in a calendar that was not final."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE provisional AND next_look_at IS NOT NULL"
        " ORDER BY assigned_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        limit,
    )
    return [order_of(row) for row in rows]


async def insert_order(connection: Connection, order: Order) -> None:
    await connection.execute(_INSERT, *_values(order))


async def update_orders(connection: Connection, orders: Sequence[Order]) -> None:
    if not orders:
        return
    await connection.executemany(_UPDATE, [_values(order) for order in orders])


def _values(order: Order) -> list[Any]:
    values = {name: getattr(order, name) for name in _COLUMNS}
    values |= {"options": list(order.options), "needs_verify": list(order.needs_verify)}
    return list(values.values())


async def append_steps(connection: Connection, order: Order) -> None:
    await connection.execute(
        """
        INSERT INTO order_step (order_id, number, at, state, actor, note)
        SELECT $1, coalesce((SELECT max(number) FROM order_step WHERE order_id = $1), 0) + s.n, s.at, s.state, s.actor,
            s.note
        FROM unnest($2::timestamptz[], $3::text[], $4::text[], $5::text[])
            WITH ORDINALITY AS s(at, state, actor, note, n)
        """,
        order.id,
        [step.at for step in order.steps],
        [step.state for step in order.steps],
        [step.actor for step in order.steps],
        [step.note for step in order.steps],
    )


async def orders_of(connection: Connection, invitations: Sequence[UUID]) -> list[Order]:
    """Every order that came of these invitations."""
    rows = await connection.fetch(f"{_SELECT} WHERE invitation_id = ANY($1)", list(invitations))
    return [order_of(row) for row in rows]


async def list_orders(
    connection: Connection, *, department: str | None, state: OrderState | None, before: int | None, limit: int
) -> list[tuple[int, Order]]:
    """Orders with their places, newest first, before the place `before`; of one department unless None."""
    rows = await connection.fetch(
        f"""
        {_SELECT_WITH_PLACE}
        WHERE place < coalesce($1, 9223372036854775807) AND ($2::text IS NULL OR department = $2)
            AND ($3::text IS NULL OR state = $3)
        ORDER BY place DESC LIMIT $4
        """,
        before,
        department,
        state,
        limit,
    )
    return [(row["place"], order_of(row)) for row in rows]
