"""What follows of consents that were taken back at data-exchange, and how far such news has come."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from uuid import UUID

from yijian_common.database import Connection
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import ConsentWithdrawn, GivenConsent, WithdrawalsToldUntil
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
    withdrawn = [(m, m.content.data) for m in messages if isinstance(m.content.data, ConsentWithdrawn)]
    ids = {event.application_id for _, event in withdrawn}
    applications = await rows.lock_applications(transaction.connection, ids, effects.keyring) if ids else {}
    rejected = []
    for message, event in withdrawn:
        held = applications.get(event.application_id)
        if held is None:
            continue
        held.traceparent = message.traceparent or held.traceparent
        if not _take_back(held, event, at):
            rejected.append(Rejected(message, "the application asked nobody for this consent"))
    await _report_unknown(transaction, ids - applications.keys())
    await effects.carry_out(transaction, [held for held in applications.values() if held.changed], at=at)
    told = [m.content.data.as_of for m in messages if isinstance(m.content.data, WithdrawalsToldUntil)]
    if told:
        await _note(transaction.connection, max(told))
    return rejected


async def _report_unknown(transaction: Transaction[Connection], missing: AbstractSet[UUID]) -> None:
    """Nothing can be sent of an application that is not there. Was it not erased, it is lost in a restored database."""
    lost = missing - await rows.find_erased(transaction.connection, missing) if missing else missing
    for application_id in lost:
        summary = "a consent was withdrawn in an application that does not exist here"
        await transaction.open_incident("withdrawal-unknown", str(application_id), summary)


def _take_back(held: Held, event: ConsentWithdrawn, at: datetime) -> bool:
    """Fold a withdrawal in; False when it names no consent of this application."""
    if event.consent_id != GivenConsent.id_for(event.application_id, event.basis, event.giver):
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
