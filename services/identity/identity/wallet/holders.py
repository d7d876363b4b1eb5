"""Whom documents belong to: a person by number, a newborn by place in an application, a family.

A holder is locked before anything about it is decided. Statements take whole batches.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg
from yijian_common.crypto import DataKey, Keyring
from yijian_common.database import Connection
from yijian_common.ids import uuid7

FAMILY_PLACE = 0


class HolderKind(StrEnum):
    """A FAMILY holds what both parents own alike."""

    PERSON = "PERSON"
    FAMILY = "FAMILY"


class Role(StrEnum):
    """What a guardian is to a child, or a member to a family."""

    MOTHER = "MOTHER"
    FATHER = "FATHER"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A child of an application by order of birth, or (0) its family."""

    application_id: UUID
    child: int

    @property
    def kind(self) -> HolderKind:
        return HolderKind.FAMILY if self.child == FAMILY_PLACE else HolderKind.PERSON


@dataclass(slots=True, eq=False)
class Holder:
    """A holder as one batch knows it. Never logged."""

    id: UUID
    kind: HolderKind
    data_key: DataKey
    id_index: bytes | None = None
    id_no: str | None = None
    is_new: bool = False
    is_named: bool = False
    """Whether the number became known in this batch."""

    def seal(self) -> bytes:
        return seal_details(self.data_key, self.id, id_no=self.id_no)


@dataclass(slots=True)
class Holders:
    """The holders that a batch speaks of, found or made; `write` stores what is new."""

    keyring: Keyring
    by_place: dict[Place, Holder] = field(default_factory=dict)
    by_index: dict[bytes, Holder] = field(default_factory=dict)
    placed: list[Place] = field(default_factory=list)
    merged: dict[Holder, Holder] = field(default_factory=dict)
    """Newborns without a number, and the person that each turned out to be."""

    async def load(self, held: Connection, places: Iterable[Place], indexes: Iterable[bytes]) -> None:
        """Lock what is there already."""
        wanted = set(places)
        found = await held.fetch(
            "SELECT application_id, child, holder_id FROM case_holder JOIN unnest($1::uuid[], $2::smallint[])"
            " AS wanted(application_id, child) USING (application_id, child)"
            " UNION ALL SELECT NULL, NULL, id FROM holder WHERE id_index = ANY($3)",
            [place.application_id for place in wanted],
            [place.child for place in wanted],
            list(set(indexes)),
        )
        rows = await held.fetch(
            "SELECT id, kind, id_index, data_key FROM holder WHERE id = ANY($1) ORDER BY id FOR UPDATE",
            list({row["holder_id"] for row in found}),
        )
        known = {row["id"]: self._known(row) for row in rows}
        self.by_index = {holder.id_index: holder for holder in known.values() if holder.id_index is not None}
        self.by_place = {
            Place(row["application_id"], row["child"]): known[row["holder_id"]]
            for row in found
            if row["child"] is not None and row["holder_id"] in known
        }

    def _known(self, row: asyncpg.Record) -> Holder:
        return Holder(row["id"], HolderKind(row["kind"]), self.keyring.unwrap(row["data_key"]), row["id_index"])

    def of_person(self, id_index: bytes, id_no: str) -> Holder:
        """The person with this number."""
        found = self.by_index.get(id_index)
        if found is None:
            found = self.by_index[id_index] = self._new(HolderKind.PERSON, id_index=id_index, id_no=id_no)
        return found

    def at(self, place: Place) -> Holder:
        """The family or the child at this place, which may have no number yet."""
        found = self.by_place.get(place)
        if found is None:
            found = self._new(place.kind)
            self._put(place, found)
        return found

    def name(self, place: Place, id_index: bytes, id_no: str) -> Holder | None:
        """The child at `place`, whose number this is; None when the child there has another number."""
        here, person = self.by_place.get(place), self.by_index.get(id_index)
        if here is None:
            found = person or self.of_person(id_index, id_no)
            self._put(place, found)
            return found
        if here.id_index == id_index:
            return here
        if here.id_index is not None:
            return None
        if person is not None:
            self.merged[here] = person
            self._put(place, person)
            return person
        here.id_index, here.id_no, here.is_named = id_index, id_no, True
        self.by_index[id_index] = here
        return here

    def _put(self, place: Place, holder: Holder) -> None:
        self.by_place[place] = holder
        self.placed.append(place)

    def _new(self, kind: HolderKind, *, id_index: bytes | None = None, id_no: str | None = None) -> Holder:
        return Holder(uuid7(), kind, self.keyring.new_data_key(), id_index, id_no, is_new=True)

    async def write(self, held: Connection) -> None:
        """Store what is new. A person whom another batch made meanwhile is taken from there."""
        everyone = {holder.id: holder for holder in (*self.by_place.values(), *self.by_index.values())}
        await self._insert(held, [holder for holder in everyone.values() if holder.is_new])
        named = [holder for holder in everyone.values() if holder.is_named and not holder.is_new]
        if named:
            await held.execute(
                "UPDATE holder SET id_index = named.id_index, sealed = named.sealed"
                " FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS named(id, id_index, sealed)"
                " WHERE holder.id = named.id",
                [holder.id for holder in named],
                [holder.id_index for holder in named],
                [holder.seal() for holder in named],
            )
        if self.placed:
            placed = sorted(set(self.placed))
            await held.execute(
                "INSERT INTO case_holder (application_id, child, holder_id)"
                " SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::uuid[])"
                " ON CONFLICT (application_id, child) DO UPDATE SET holder_id = excluded.holder_id",
                [place.application_id for place in placed],
                [place.child for place in placed],
                [self.by_place[place].id for place in placed],
            )

    async def _insert(self, held: Connection, new: Sequence[Holder]) -> None:
        if not new:
            return
        # In the order of the index, so that two batches that make the same people do not wait for each other.
        ordered = sorted(new, key=lambda holder: (holder.id_index or b"", holder.id))
        rows = await held.fetch(
            "INSERT INTO holder (id, kind, id_index, data_key, sealed)"
            " SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[])"
            " ON CONFLICT (id_index) DO UPDATE SET id_index = excluded.id_index RETURNING id, id_index, data_key",
            [holder.id for holder in ordered],
            [holder.kind for holder in ordered],
            [holder.id_index for holder in ordered],
            [holder.data_key.wrapped for holder in ordered],
            [holder.seal() for holder in ordered],
        )
        stored = {row["id_index"]: row for row in rows if row["id_index"] is not None}
        for holder in ordered:
            row = stored.get(holder.id_index)
            if row is not None and row["id"] != holder.id:
                holder.id, holder.data_key = row["id"], self.keyring.unwrap(row["data_key"])


def seal_details(data_key: DataKey, holder_id: UUID, *, id_no: str | None) -> bytes:
    return data_key.seal(json.dumps({"id_no": id_no}).encode(), b"holder:" + holder_id.bytes)


def open_id_no(data_key: DataKey, holder_id: UUID, sealed: bytes) -> str | None:
    """The number of the person; a family and a newborn have none."""
    details: dict[str, Any] = json.loads(data_key.open(sealed, b"holder:" + holder_id.bytes))
    found: str | None = details["id_no"]
    return found


@dataclass(frozen=True, slots=True)
class Parents:
    """The parents that events name, those left out who are to be forgotten: role and number by keyed hash.

    With `registered_at` the register of residents says so; otherwise only a document did.
    """

    by_index: Mapping[bytes, tuple[Role, str]]
    registered_at: datetime | None

    def joined(self, other: "Parents") -> "Parents":
        """What holds of two: the later registration, or without any all that documents named."""
        if self.registered_at is None and other.registered_at is None:
            return Parents({**self.by_index, **other.by_index}, None)
        return max(self, other, key=lambda parents: parents.registered_at or datetime.min.replace(tzinfo=UTC))


async def write_guardians(held: Connection, named: Mapping[Holder, Parents]) -> None:
    """The guardians of each holder: those of the latest registration; without any, whom documents named."""
    registered = {holder.id: parents.registered_at for holder, parents in named.items() if parents.registered_at}
    if registered:
        await held.execute(_WITHDRAW, list(registered), list(registered.values()))
    rows = [
        (index, holder.id, role, holder.data_key.seal(number.encode(), guardian_context(holder.id, index)), at)
        for holder, parents in named.items()
        for at in (parents.registered_at,)
        for index, (role, number) in parents.by_index.items()
    ]
    if rows:
        await held.execute(_ADD, *map(list, zip(*sorted(rows), strict=True)))


# Whom only documents named, or an earlier registration, gives way.
_WITHDRAW = """
DELETE FROM guardian USING unnest($1::uuid[], $2::timestamptz[]) AS registered(holder_id, at)
WHERE guardian.holder_id = registered.holder_id AND coalesce(guardian.registered_at, '-infinity') < registered.at
"""
_ADD = """
INSERT INTO guardian (person, holder_id, role, sealed, registered_at)
SELECT given.* FROM unnest($1::bytea[], $2::uuid[], $3::text[], $4::bytea[], $5::timestamptz[])
    AS given(person, holder_id, role, sealed, registered_at)
WHERE NOT EXISTS (
    SELECT FROM guardian other WHERE other.holder_id = given.holder_id
        AND other.registered_at > coalesce(given.registered_at, '-infinity')
)
ON CONFLICT (person, holder_id) DO NOTHING
"""


def guardian_context(holder_id: UUID, person: bytes) -> bytes:
    return b"guardian:" + holder_id.bytes + person
