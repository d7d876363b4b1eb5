"""What follows of consents that were taken back at data-exchange, and how far such news has come."""

from collections.abc import Sequence
from datetime import UTC, datetime

from yijian_common.database import Connection
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import ConsentGiven, ConsentWithdrawn, WithdrawalsToldUntil
from yijian_messaging import Message, Rejected, Transaction

from approval import consenting, rows
from approval.effects import Effects
from approval.rows import Held

Told = ConsentWithdrawn | WithdrawalsToldUntil


async def carry_out_withdrawals(
    transaction: Transaction[Connection], messages: Sequence[Message[CloudEvent[Told]]], *, effects: Effects
) -> list[Rejected]:
    """Take back what rests on withdrawn consents and is not decided, and note how far withdrawals were told.

    The topic has one order, and this transaction everything before its last message: what it says was told until some
    moment has been carried out when it commits. Returns the messages that name no consent that was asked for here.
    """
    at = datetime.now(UTC)
    withdrawn = [m for m in messages if isinstance(m.content.data, ConsentWithdrawn)]
    ids = {m.content.data.application_id for m in withdrawn if isinstance(m.content.data, ConsentWithdrawn)}
    applications = await rows.lock_applications(transaction.connection, ids, effects.keyring) if ids else {}
    rejected = []
    for message in withdrawn:
        event = message.content.data
        if not isinstance(event, ConsentWithdrawn):
            continue
        held = applications.get(event.application_id)
        if held is None:
            # Nothing can be sent of an application that is not there: it was erased, or is lost in a restored database.
            summary = f"consent {event.consent_id} was withdrawn in an application that does not exist here"
            await transaction.open_incident("withdrawal-unknown", str(event.application_id), summary)
            continue
        held.traceparent = message.traceparent or held.traceparent
        if not _take_back(held, event, at):
            rejected.append(Rejected(message, "the application asked nobody for this consent"))
    await effects.carry_out(transaction, [held for held in applications.values() if held.changed], at=at)
    told = [m.content.data.as_of for m in messages if isinstance(m.content.data, WithdrawalsToldUntil)]
    if told:
        await _note(transaction.connection, max(told))
    return rejected


def _take_back(held: Held, event: ConsentWithdrawn, at: datetime) -> bool:
    """Fold a withdrawal in; False when it names no consent of this application."""
    if event.consent_id != ConsentGiven.id_for(event.application_id, event.basis, event.giver):
        return False
    try:
        held.fold(consenting.take_back(held.application, basis=event.basis, giver=event.giver, at=at))
    except LookupError:
        return False
    return True


async def _note(connection: Connection, as_of: datetime) -> None:
    # A clock that is ahead of ours must not keep the gate open when nothing is heard any more.
    await connection.execute(
        "UPDATE withdrawals_told SET as_of = least(greatest(as_of, $1), clock_timestamp()) WHERE one", as_of
    )
