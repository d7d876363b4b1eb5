"""How an application is kept: read and written many at a time, always locked in the order of their ids."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from yijian_common.crypto import DataKey, Keyring
from yijian_common.database import Connection
from yijian_contracts.events import AnswerParts, DisclosedPerson

from approval.application import Application, dump, load
from approval.engine import Effect, Entry, Step

Form = dict[str, Any]


class Document(msgspec.Struct, frozen=True):
    """A document that an answer issued."""

    kind: str
    number: str


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The personal part of a department's answer, as its application keeps it."""

    outputs: dict[str, Any] = {}
    documents: tuple[Document, ...] = ()

    @classmethod
    def of(cls, parts: AnswerParts) -> "Answer":
        documents = tuple(Document(document.kind, document.number) for document in parts.documents)
        return cls(outputs=dict(parts.outputs), documents=documents)


_json = msgspec.json.Encoder()
_answers = msgspec.json.Decoder(dict[str, Answer])
_refs = msgspec.json.Decoder(dict[str, str])
_form = msgspec.json.Decoder(dict[str, Any])


@dataclass(slots=True)
class Held:
    """An application in the open transaction, with what folding has added to it so far.

    `answers` are the personal parts of the answers, by task key; `people` the roles of the case with who plays them,
    as data-exchange knows people.
    """

    application: Application
    applicant: str
    data_key: DataKey
    answers: dict[str, Answer]
    traceparent: str | None
    people: tuple[DisclosedPerson, ...]
    entries: list[Entry] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    def fold(self, step: Step) -> None:
        """Take the result of an engine's step over."""
        self.application = step.application
        self.entries += step.entries
        self.effects += step.effects

    @property
    def changed(self) -> bool:
        return bool(self.entries)

    def outputs(self) -> dict[str, dict[str, Any]]:
        return {key: answer.outputs for key, answer in self.answers.items()}


def _seal_answers(held: Held) -> bytes:
    if not held.answers:
        return b""
    return held.data_key.seal(_json.encode(held.answers), b"answers:" + held.application.id.bytes)


def _open_answers(sealed: bytes, data_key: DataKey, application_id: UUID) -> dict[str, Answer]:
    if not sealed:
        return {}
    return _answers.decode(data_key.open(sealed, b"answers:" + application_id.bytes))


def _seal_people(held: Held) -> bytes:
    refs = {person.role: person.ref for person in held.people}
    return held.data_key.seal(_json.encode(refs), b"people:" + held.application.id.bytes)


def _open_people(sealed: bytes, data_key: DataKey, application_id: UUID) -> tuple[DisclosedPerson, ...]:
    if not sealed:
        return ()
    refs = _refs.decode(data_key.open(sealed, b"people:" + application_id.bytes))
    return tuple(DisclosedPerson(role=role, ref=ref) for role, ref in refs.items())


def _held(row: asyncpg.Record, keyring: Keyring) -> Held:
    data_key = keyring.unwrap(row["data_key"])
    return Held(
        application=load(row["state"]),
        applicant=row["applicant"],
        data_key=data_key,
        answers=_open_answers(row["answers"], data_key, row["id"]),
        traceparent=row["traceparent"],
        people=_open_people(row["people"], data_key, row["id"]),
    )


_COLUMNS = "id, applicant, state, answers, people, data_key, traceparent"


async def lock_applications(connection: Connection, ids: Iterable[UUID], keyring: Keyring) -> dict[UUID, Held]:
    """These applications, locked in one order by everyone; ids that do not exist or were erased are left out."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM application WHERE id = ANY($1) AND data_key <> ''"  # noqa: S608 - a constant
        " ORDER BY id FOR UPDATE",
        sorted(set(ids)),
    )
    return {row["id"]: _held(row, keyring) for row in rows}


async def find_erased(connection: Connection, ids: Iterable[UUID]) -> set[UUID]:
    """Those of these applications that were erased."""
    rows = await connection.fetch("SELECT id FROM application WHERE id = ANY($1) AND data_key = ''", sorted(set(ids)))
    return {row["id"] for row in rows}


async def lock_due(connection: Connection, keyring: Keyring, *, limit: int) -> list[Held]:
    """Applications whose time to be looked at has come; those another process looks at are left out."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM application WHERE next_look_at <= now()"  # noqa: S608 - a constant
        " ORDER BY next_look_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        limit,
    )
    return [_held(row, keyring) for row in rows]


async def lock_held(connection: Connection, keyring: Keyring, *, limit: int) -> list[Held]:
    """Applications that wait for the ledger; those another process looks at are left out."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM application WHERE held AND submitted_at <= now()"  # noqa: S608 - a constant
        " ORDER BY submitted_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        limit,
    )
    return [_held(row, keyring) for row in rows]


async def read_application(connection: Connection, application_id: UUID, keyring: Keyring) -> Held | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM application WHERE id = $1 AND data_key <> ''",  # noqa: S608 - a constant
        application_id,
    )
    return _held(row, keyring) if row else None


async def insert_applications(
    connection: Connection, held: Sequence[Held], next_looks: Sequence[datetime | None]
) -> None:
    await connection.execute(
        """
        INSERT INTO application (id, life_event, digest, applicant, status, version, state, answers, people, data_key,
            traceparent, submitted_at, held, next_look_at)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[],
            $8::bytea[], $9::bytea[], $10::bytea[], $11::text[], $12::timestamptz[],
            $13::bool[], $14::timestamptz[])
        """,
        [h.application.id for h in held],
        [h.application.life_event for h in held],
        [h.application.digest for h in held],
        [h.applicant for h in held],
        [h.application.status for h in held],
        [h.application.version for h in held],
        [dump(h.application) for h in held],
        [_seal_answers(h) for h in held],
        [_seal_people(h) for h in held],
        [h.data_key.wrapped for h in held],
        [h.traceparent for h in held],
        [h.application.submitted_at for h in held],
        [h.application.held for h in held],
        list(next_looks),
    )


async def update_applications(
    connection: Connection, held: Sequence[Held], next_looks: Mapping[UUID, datetime | None]
) -> None:
    """Write applications back; those in `next_looks` get a new time to be looked at, or none."""
    await connection.execute(
        """
        UPDATE application a SET status = c.status, version = c.version, state = c.state, answers = c.answers,
            held = c.held, next_look_at = CASE WHEN c.look THEN c.look_at ELSE a.next_look_at END
        FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::bytea[], $6::bool[], $7::bool[],
            $8::timestamptz[]) AS c(id, status, version, state, answers, held, look, look_at)
        WHERE a.id = c.id
        """,
        [h.application.id for h in held],
        [h.application.status for h in held],
        [h.application.version for h in held],
        [dump(h.application) for h in held],
        [_seal_answers(h) for h in held],
        [h.application.held for h in held],
        [h.application.id in next_looks for h in held],
        [next_looks.get(h.application.id) for h in held],
    )


async def insert_parties(connection: Connection, parties: Sequence[tuple[bytes, UUID]]) -> None:
    await connection.execute(
        "INSERT INTO application_party (party, application_id) SELECT * FROM unnest($1::bytea[], $2::uuid[])",
        [party for party, _ in parties],
        [application_id for _, application_id in parties],
    )


async def insert_forms(connection: Connection, forms: Sequence[tuple[Held, Form]]) -> None:
    """Store each form as its application's present revision."""
    await connection.execute(
        "INSERT INTO application_form (application_id, revision, sealed)"
        " SELECT * FROM unnest($1::uuid[], $2::int[], $3::bytea[])",
        [h.application.id for h, _ in forms],
        [h.application.form_revision for h, _ in forms],
        [
            h.data_key.seal(
                _json.encode(form),
                _form_place(h.application.id, h.application.form_revision),
            )
            for h, form in forms
        ],
    )


async def read_forms(
    connection: Connection, wanted: Mapping[tuple[UUID, int], DataKey]
) -> dict[tuple[UUID, int], Form]:
    """Forms by application and revision."""
    places = list(wanted)
    rows = await connection.fetch(
        """
        SELECT f.application_id, f.revision, f.sealed
        FROM unnest($1::uuid[], $2::int[]) AS w(application_id, revision)
        JOIN application_form f ON f.application_id = w.application_id AND f.revision = w.revision
        """,
        [application_id for application_id, _ in places],
        [revision for _, revision in places],
    )
    forms = {}
    for row in rows:
        place = (row["application_id"], row["revision"])
        forms[place] = _form.decode(wanted[place].open(row["sealed"], _form_place(*place)))
    return forms


async def read_all_forms(connection: Connection, held: Held) -> dict[int, Form]:
    """Every revision of an application's form."""
    application_id = held.application.id
    rows = await connection.fetch(
        "SELECT revision, sealed FROM application_form WHERE application_id = $1 ORDER BY revision", application_id
    )
    return {
        row["revision"]: _form.decode(held.data_key.open(row["sealed"], _form_place(application_id, row["revision"])))
        for row in rows
    }


async def reseal(connection: Connection, held: Held, forms: Mapping[int, Form]) -> None:
    """Write an application's sealed parts anew, under the data key that it has now."""
    application_id = held.application.id
    await connection.execute(
        "UPDATE application SET answers = $2, people = $3, data_key = $4 WHERE id = $1",
        application_id,
        _seal_answers(held),
        _seal_people(held),
        held.data_key.wrapped,
    )
    await connection.execute(
        """
        UPDATE application_form f SET sealed = n.sealed FROM unnest($2::int[], $3::bytea[]) AS n(revision, sealed)
        WHERE f.application_id = $1 AND f.revision = n.revision
        """,
        application_id,
        list(forms),
        [held.data_key.seal(_json.encode(form), _form_place(application_id, r)) for r, form in forms.items()],
    )


def _form_place(application_id: UUID, revision: int) -> bytes:
    return b"form:%s:%d" % (application_id.bytes, revision)


async def insert_entries(connection: Connection, held: Sequence[Held]) -> None:
    lines = [(h.application.id, entry) for h in held for entry in h.entries]
    await connection.execute(
        "INSERT INTO timeline (application_id, version, entry) SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[])",
        [application_id for application_id, _ in lines],
        [entry.version for _, entry in lines],
        [_json.encode(entry).decode() for _, entry in lines],
    )


async def insert_claims(connection: Connection, claims: Sequence[tuple[bytes, UUID]]) -> dict[bytes, UUID]:
    """Claim digests for applications; returns, for those that are taken, by which application."""
    open_claims = sorted(claims)
    holders: dict[bytes, UUID] = {}
    while open_claims:
        rows = await connection.fetch(
            """
            INSERT INTO claim (digest, application_id) SELECT * FROM unnest($1::bytea[], $2::uuid[])
            ON CONFLICT (digest) DO NOTHING RETURNING digest, application_id
            """,
            [digest for digest, _ in open_claims],
            [application_id for _, application_id in open_claims],
        )
        got = {(row["digest"], row["application_id"]) for row in rows}
        missed = [claim for claim in open_claims if claim not in got]
        rows = await connection.fetch(
            "SELECT digest, application_id FROM claim WHERE digest = ANY($1)", [digest for digest, _ in missed]
        )
        holders |= {row["digest"]: row["application_id"] for row in rows}
        # Who held it a moment ago let go of it in between: claim it again.
        open_claims = [claim for claim in missed if claim[0] not in holders]
    return holders


async def release_claims(connection: Connection, ids: Sequence[UUID]) -> None:
    await connection.execute("DELETE FROM claim WHERE application_id = ANY($1)", list(ids))
