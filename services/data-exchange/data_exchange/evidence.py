"""Evidence that somebody can take away: what was disclosed, and the proof that it was written down then.

The pack is read and checked by `yijian_ledger.evidence`, with the ledger's and the witness's public keys alone.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_ledger.evidence import Item, Opening, make_pack

from data_exchange.checkpoints import Signed, find_latest, find_latest_cosigned
from data_exchange.disclosures import open_sealed
from data_exchange.errors import NotSignedYet
from data_exchange.tree import prove_inclusion


async def gather(connection: Connection, disclosure_ids: Sequence[UUID], *, keyring: Keyring) -> dict[str, Any]:
    """The evidence pack of these disclosures, oldest leaf first; who may have it is the caller's to know.

    Of what was erased there is the leaf without its details. Raises `NotSignedYet` while one has no checkpoint.
    """
    rows = await connection.fetch(
        """
        SELECT l.index, l.id, l.data, d.sealed, k.data_key
        FROM unnest($1::uuid[]) AS w(id) JOIN ledger.leaf l ON l.id = w.id
        LEFT JOIN disclosure d ON d.id = l.id LEFT JOIN case_key k ON k.case_id = d.case_id
        ORDER BY l.index
        """,
        list(disclosure_ids),
    )
    newest = rows[-1]["index"] if rows else 0
    signed = await _covering(connection, newest + 1)
    items = [
        Item(
            index=row["index"],
            leaf=row["data"],
            proof=tuple(await prove_inclusion(connection, row["index"], signed.size)),
            opening=_open(row["id"], row["sealed"], row["data_key"], keyring),
        )
        for row in rows
    ]
    return make_pack(str(signed.note), items)


async def _covering(connection: Connection, size: int) -> Signed:
    """The newest cosigned checkpoint if it covers this much, else the newest one. Raises `NotSignedYet`."""
    for find in (find_latest_cosigned, find_latest):
        signed = await find(connection)
        if signed is not None and signed.size >= size:
            return signed
    raise NotSignedYet


def _open(disclosure_id: UUID, sealed: bytes | None, data_key: bytes | None, keyring: Keyring) -> Opening | None:
    if not sealed or not data_key:
        return None
    opened = open_sealed(sealed, disclosure_id=disclosure_id, data_key=keyring.unwrap(data_key))
    return Opening(opened.details, opened.salt)
