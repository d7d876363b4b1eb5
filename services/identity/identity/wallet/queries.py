"""Named reads: what somebody may see, by who they are."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

import asyncpg
from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.errors import Unauthenticated
from yijian_common.masking import mask_id_no, mask_name
from yijian_common.tokens import Principal

from identity.people import COLUMNS as PERSON_COLUMNS
from identity.people import TABLES, Person, read_person
from identity.provider import OpenIdProvider
from identity.queries import find_person
from identity.wallet.documents import COLUMNS, SHANGHAI, Document, comes_of_age, read_document
from identity.wallet.errors import DocumentNotFound
from identity.wallet.holders import Role, guardian_context, open_id_no
from identity.wallet.issuing import identifier_index

_MINE = f"""
SELECT {COLUMNS}, mine.role FROM (
    SELECT id AS holder_id, NULL AS role FROM holder WHERE id_index = $1
    UNION ALL SELECT holder_id, role FROM guardian WHERE person = $1
) mine JOIN holder ON holder.id = mine.holder_id JOIN document ON document.holder_id = holder.id
"""  # noqa: S608 - constants only
_PAGE = (
    f"{_MINE} WHERE $2::uuid IS NULL OR (document.issued_at, document.id) <"  # noqa: S608 - our own names
    # Of one's own: where a page ends must tell nothing of when another's document was issued.
    " (SELECT issued_at, id FROM document WHERE id = $2 AND holder_id IN ("
    "SELECT id FROM holder WHERE id_index = $1 UNION ALL SELECT holder_id FROM guardian WHERE person = $1))"
    " ORDER BY document.issued_at DESC, document.id DESC LIMIT $3"
)
_ONE_OF_MINE = f"{_MINE} WHERE document.id = $2"
_ANY = f"SELECT {COLUMNS}, NULL AS role FROM document JOIN holder ON holder.id = document.holder_id"  # noqa: S608 - our own names


@dataclass(frozen=True, slots=True)
class Viewer:
    """A citizen at their wallet."""

    person: Person
    index: bytes


async def get_viewer(held: Connection, provider: OpenIdProvider, principal: Principal) -> Viewer:
    """Whose token this is. Raises `Unauthenticated` for an account that is no more."""
    person = await find_person(held, UUID(principal.subject), keyring=provider.keyring)
    if person is None or person.id_no is None:
        raise Unauthenticated("登录已失效，请重新登录", token_error=True)
    return Viewer(person, provider.keyring.blind_index("id_no", person.id_no))


async def list_documents(
    held: Connection, viewer: Viewer, *, keyring: Keyring, before: UUID | None, limit: int
) -> tuple[list[Document], UUID | None]:
    """A person's documents and their children's, newest first, those before `before`; and the next page's `before`."""
    rows = await held.fetch(_PAGE, viewer.index, before, limit)
    now = datetime.now(UTC)
    documents = [read_document(row, keyring) for row in rows]
    following = rows[-1]["id"] if len(rows) == limit else None
    return [document for document in documents if document.is_open_to_viewer(now)], following


async def get_own_document(
    held: Connection, viewer: Viewer, document_id: UUID, *, keyring: Keyring, lock: bool = False
) -> Document:
    """One of them; with `lock` nobody else changes it meanwhile. Raises `DocumentNotFound`."""
    statement = f"{_ONE_OF_MINE} FOR UPDATE OF document" if lock else _ONE_OF_MINE
    row = await held.fetchrow(statement, viewer.index, document_id)
    document = None if row is None else read_document(row, keyring)
    if document is None or not document.is_open_to_viewer(datetime.now(UTC)):
        raise DocumentNotFound
    return document


async def get_document(held: Connection, document_id: UUID, *, keyring: Keyring, lock: str) -> Document:
    """Any document, for who has a right of their own to it, under a row lock. Raises `DocumentNotFound`."""
    row = await held.fetchrow(f"{_ANY} WHERE document.id = $1 FOR {lock} OF document", document_id)
    if row is None:
        raise DocumentNotFound
    return read_document(row, keyring)


async def find_by_identifier(held: Connection, identifier: str, *, keyring: Keyring) -> Document | None:
    """The document with this licence identifier."""
    row = await held.fetchrow(f"{_ANY} WHERE identifier_index = $1", identifier_index(keyring, identifier))
    return None if row is None else read_document(row, keyring)


async def guardian_numbers(held: Connection, document: Document) -> list[str]:
    """The identity numbers of the parents of a document's holder."""
    rows = await held.fetch("SELECT person, sealed FROM guardian WHERE holder_id = $1", document.holder_id)
    return [
        document.data_key.open(row["sealed"], guardian_context(document.holder_id, row["person"])).decode()
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Relation:
    """A child of mine, or a parent. `role` is the parent's; the other is masked."""

    is_child: bool
    role: Role
    id_no: str
    name: str | None
    registered_at: datetime
    guarded_until: date

    def is_guarded(self, now: datetime) -> bool:
        return now.astimezone(SHANGHAI).date() < self.guarded_until


_CHILDREN = """
SELECT holder.id, holder.data_key, holder.sealed, holder.created_at, holder.id_index AS other, guardian.role,
    guardian.registered_at
FROM guardian JOIN holder ON holder.id = guardian.holder_id
WHERE guardian.person = $1 AND holder.kind = 'PERSON' AND guardian.registered_at IS NOT NULL
"""
_PARENTS = """
SELECT holder.id, holder.data_key, holder.sealed, holder.created_at, guardian.person AS other, guardian.role,
    guardian.registered_at, guardian.sealed AS parent
FROM holder JOIN guardian ON guardian.holder_id = holder.id
WHERE holder.id_index = $1 AND holder.kind = 'PERSON' AND guardian.registered_at IS NOT NULL
"""


async def list_relations(held: Connection, viewer: Viewer, *, keyring: Keyring) -> list[Relation]:
    """The registered children of a person, then the parents."""
    children = await held.fetch(_CHILDREN, viewer.index)
    parents = await held.fetch(_PARENTS, viewer.index)
    names = await _names(held, [row["other"] for row in (*children, *parents)], keyring=keyring)
    return [
        *(_relation(row, keyring, names, is_child=True) for row in children),
        *(_relation(row, keyring, names, is_child=False) for row in parents),
    ]


def _relation(row: asyncpg.Record, keyring: Keyring, names: dict[bytes, str], *, is_child: bool) -> Relation:
    data_key = keyring.unwrap(row["data_key"])
    child = open_id_no(data_key, row["id"], row["sealed"])
    parent = None if is_child else data_key.open(row["parent"], guardian_context(row["id"], row["other"])).decode()
    return Relation(
        is_child=is_child,
        role=Role(row["role"]),
        id_no=mask_id_no((child if is_child else parent) or ""),
        name=names.get(row["other"]),
        registered_at=row["registered_at"],
        guarded_until=comes_of_age(child, row["created_at"]),
    )


async def _names(held: Connection, indexes: list[bytes], *, keyring: Keyring) -> dict[bytes, str]:
    """The masked names of those of these people who have an account."""
    rows = await held.fetch(
        f"SELECT {PERSON_COLUMNS}, people.id_index FROM {TABLES} WHERE people.id_index = ANY($1)",  # noqa: S608 - our own names
        indexes,
    )
    return {row["id_index"]: mask_name(read_person(row, keyring).name) for row in rows}
