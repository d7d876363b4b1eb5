"""When a newborn without a number turns out to be a child that is known already: one child, one wallet."""

from yijian_common.crypto import DataKey
from yijian_common.database import Connection

from identity.wallet.holders import Holder
from identity.wallet.issuing import document_context
from identity.wallet.looks import look_context
from identity.wallet.presenting import presentation_context

# Of each kind the latest stays in force.
_CANCEL_EARLIER = """
UPDATE document SET replaced_at = later.issued_at
FROM document later
WHERE document.holder_id = $1 AND document.replaced_at IS NULL AND later.holder_id = $1 AND later.kind = document.kind
    AND (later.issued_at, later.id) > (document.issued_at, document.id)
"""
_FORGET = (
    "DELETE FROM guardian WHERE holder_id = $1",
    "DELETE FROM case_holder WHERE holder_id = $1",
    "DELETE FROM holder WHERE id = $1",
)


async def merge(held: Connection, newborn: Holder, person: Holder) -> None:
    """Move the newborn's documents to the person, sealed anew with all that hangs on them, and forget the newborn.

    This happens when a second application tells of a child again, so it may cost a statement per row.
    """
    documents = await held.fetch("SELECT id, sealed, revocation FROM document WHERE holder_id = $1", newborn.id)
    ids = [row["id"] for row in documents]
    for row in documents:
        context = document_context(row["id"])
        await held.execute(
            "UPDATE document SET holder_id = $2, sealed = $3, revocation = $4 WHERE id = $1",
            row["id"],
            person.id,
            *(_again(old, newborn.data_key, person.data_key, context) for old in (row["sealed"], row["revocation"])),
        )
    for row in await held.fetch("SELECT id, sealed FROM document_look WHERE document_id = ANY($1)", ids):
        sealed = _again(row["sealed"], newborn.data_key, person.data_key, look_context(row["id"]))
        await held.execute("UPDATE document_look SET sealed = $2 WHERE id = $1", row["id"], sealed)
    for row in await held.fetch("SELECT id, sealed FROM presentation WHERE document_id = ANY($1)", ids):
        sealed = _again(row["sealed"], newborn.data_key, person.data_key, presentation_context(row["id"]))
        await held.execute("UPDATE presentation SET sealed = $2 WHERE id = $1", row["id"], sealed)
    await held.execute(_CANCEL_EARLIER, person.id)
    for statement in _FORGET:
        await held.execute(statement, newborn.id)


def _again(sealed: bytes | None, old: DataKey, new: DataKey, context: bytes) -> bytes | None:
    return None if sealed is None else new.seal(old.open(sealed, context), context)
