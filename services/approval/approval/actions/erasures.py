"""Forgetting a person: applications of theirs are erased, and what is theirs is cut out of those of others.

Everything that the database keeps of them is gone when the transaction commits, except what was said by events and
could not be handled: the outbox and the dead letters follow (`approval.forgetting`), since they are found by looking
through them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from yijian_common import pairwise
from yijian_common.database import Connection
from yijian_contracts.cloudevents import CloudEvent
from yijian_contracts.events import PersonErased
from yijian_messaging import Message, Transaction

from approval import engine, rows
from approval.application import ApplicationStatus, dump
from approval.claims import parties
from approval.effects import Effects
from approval.erasing import GONE, cut_answers, cut_form, tombstone
from approval.keys import Keys
from approval.life_event import LifeEvent
from approval.rows import Form, Held

AUDIENCE = "approval"

LOOK_AGAIN_AFTER = timedelta(minutes=10)
"""Longer than an access token lasts, and than a submission that came with one may take."""


async def erase_people(
    transaction: Transaction[Connection],
    messages: Sequence[Message[CloudEvent[PersonErased]]],
    *,
    effects: Effects,
    keys: Keys,
) -> None:
    """Forget these people. To be told again changes nothing."""
    at = datetime.now(UTC)
    people = {
        keys.party(event.personal.refs[AUDIENCE]): _account(keys, str(event.subject))
        for message in messages
        if AUDIENCE in (event := message.content.data).personal.refs
    }
    await _remember_to_look_again(transaction.connection, people, at + LOOK_AGAIN_AFTER)
    await _forget(transaction, people, effects, keys, at)


async def look_again(transaction: Transaction[Connection], *, effects: Effects, keys: Keys, limit: int) -> int:
    """Erase what people still applied for with a token that had not run out; returns for how many it was looked.

    An application beside the erasure, or after it by a process that had not heard of the sign-out yet, is one that
    nobody could ask for any more. Only those of the account that was erased: somebody who came back has another one.
    """
    at = datetime.now(UTC)
    rows = await transaction.connection.fetch(
        """
        DELETE FROM erased_lately WHERE party IN (
            SELECT party FROM erased_lately WHERE look_again_at <= $1
            ORDER BY look_again_at LIMIT $2 FOR UPDATE SKIP LOCKED
        ) RETURNING party, account
        """,
        at,
        limit,
    )
    await _forget(transaction, {row["party"]: row["account"] for row in rows}, effects, keys, at, own_only=True)
    return len(rows)


async def _remember_to_look_again(connection: Connection, people: Mapping[bytes, bytes], at: datetime) -> None:
    """Before any application is locked, as `look_again` does it."""
    ordered = sorted(people.items())
    await connection.execute(
        """
        INSERT INTO erased_lately (party, account, look_again_at)
        SELECT party, account, $3 FROM unnest($1::bytea[], $2::bytea[]) AS e(party, account)
        ON CONFLICT (party) DO UPDATE SET account = excluded.account, look_again_at = excluded.look_again_at
        """,
        [party for party, _ in ordered],
        [account for _, account in ordered],
        at,
    )


async def _forget(
    transaction: Transaction[Connection],
    people: Mapping[bytes, bytes],
    effects: Effects,
    keys: Keys,
    at: datetime,
    *,
    own_only: bool = False,
) -> None:
    """Erase the applications of these people, by party with their account, and cut them out of those of others."""
    if not people:
        return
    found = await transaction.connection.fetch(
        "SELECT party, application_id FROM application_party WHERE party = ANY($1)", list(people)
    )
    applications = await rows.lock_applications(
        transaction.connection, {row["application_id"] for row in found}, effects.keyring
    )
    own, others = _sort(applications, [(row["party"], row["application_id"]) for row in found], people, keys)
    if own_only:
        others = {}
    touched = [held for held in applications.values() if held.application.id in own or held.application.id in others]
    await _end(transaction, touched, own, effects, at)
    await _erase(transaction.connection, [applications[each] for each in own], effects, keys)
    for application_id, gone in others.items():
        await _cut_out(transaction.connection, applications[application_id], gone, effects, keys)
    await _remember_to_finish(transaction.connection, touched, at)


def _account(keys: Keys, subject: str) -> bytes:
    """How an account is remembered once it is gone."""
    return keys.keyring.blind_index("erased account", subject)


def _sort(
    applications: Mapping[UUID, Held],
    found: Iterable[tuple[bytes, UUID]],
    people: Mapping[bytes, bytes],
    keys: Keys,
) -> tuple[set[UUID], dict[UUID, set[bytes]]]:
    """The applications that these people made, and of the others, which of them take part in each."""
    own: set[UUID] = set()
    others: dict[UUID, set[bytes]] = {}
    for party, application_id in found:
        if application_id not in applications:
            continue
        if _account(keys, applications[application_id].applicant) == people[party]:
            own.add(application_id)
        others.setdefault(application_id, set()).add(party)
    return own, {application_id: gone for application_id, gone in others.items() if application_id not in own}


async def _end(
    transaction: Transaction[Connection],
    applications: Iterable[Held],
    own: Collection[UUID],
    effects: Effects,
    at: datetime,
) -> None:
    """What is running is withdrawn first: no department could decide rightly about somebody who is missing."""
    running = [held for held in applications if held.application.status is ApplicationStatus.IN_PROGRESS]
    for held in running:
        note = "" if held.application.id in own else GONE
        held.fold(engine.withdraw(held.application, at=at, actor="approval", note=note))
    await effects.carry_out(transaction, running, at=at)


async def _erase(connection: Connection, own: Sequence[Held], effects: Effects, keys: Keys) -> None:
    """Nothing stays but a row that says that there was an application, and how it ended."""
    ids = [held.application.id for held in own]
    for held in own:
        await _forget_parties(connection, held, effects, keys)
    for statement in (
        "DELETE FROM application_form WHERE application_id = ANY($1)",
        "DELETE FROM timeline WHERE application_id = ANY($1)",
        "DELETE FROM consent WHERE application_id = ANY($1)",
        "DELETE FROM claim WHERE application_id = ANY($1)",
        "DELETE FROM idempotency_keys WHERE about = ANY($1)",
    ):
        await connection.execute(statement, ids)
    await connection.execute(
        """
        UPDATE application a SET applicant = '', state = t.state, answers = '', people = '', data_key = '',
            traceparent = NULL, held = false, next_look_at = NULL
        FROM unnest($1::uuid[], $2::text[]) AS t(id, state) WHERE a.id = t.id
        """,
        ids,
        [dump(tombstone(held.application)) for held in own],
    )
    for held in own:
        effects.keyring.forget(held.data_key.wrapped)


async def _forget_parties(connection: Connection, held: Held, effects: Effects, keys: Keys) -> None:
    """Their rows are found by who they are, as the form says it."""
    life_event = await effects.life_events.get(held.application.digest)
    known = {
        keys.party(pairwise.id_proof(keys.pairwise, number))
        for form in (await rows.read_all_forms(connection, held)).values()
        for number in parties(life_event, form).numbers.values()
    }
    await connection.execute(
        "DELETE FROM application_party WHERE party = ANY($1) AND application_id = $2", list(known), held.application.id
    )


async def _cut_out(connection: Connection, held: Held, gone: set[bytes], effects: Effects, keys: Keys) -> None:
    """Take everything out that is about these parties alone, and seal the rest under a new key."""
    life_event = await effects.life_events.get(held.application.digest)
    application_id = held.application.id
    forms = await rows.read_all_forms(connection, held)
    roles = {role for form in forms.values() for role in _roles_of(life_event, form, gone, keys)}
    for role in roles:
        forms = {revision: cut_form(life_event, form, role) for revision, form in forms.items()}
        held.answers = cut_answers(life_event, held.application, held.answers, role)
    held.people = tuple(person for person in held.people if person.role not in roles)
    former = held.data_key
    held.data_key = effects.keyring.new_data_key()
    await rows.reseal(connection, held, forms)
    for statement in (
        "DELETE FROM application_party WHERE application_id = $1 AND party = ANY($2)",
        "DELETE FROM consent WHERE application_id = $1 AND party = ANY($2)",
    ):
        await connection.execute(statement, application_id, list(gone))
    # They were sealed under the former key and hold it, wrapped.
    await connection.execute("DELETE FROM idempotency_keys WHERE about = $1", application_id)
    effects.keyring.forget(former.wrapped)


def _roles_of(life_event: LifeEvent, form: Form, gone: set[bytes], keys: Keys) -> Iterable[str]:
    for role, number in parties(life_event, form).numbers.items():
        if keys.party(pairwise.id_proof(keys.pairwise, number)) in gone:
            yield role


async def _remember_to_finish(connection: Connection, applications: Iterable[Held], at: datetime) -> None:
    """What was said of these applications up to now, by either clock, is still to be deleted."""
    touched = [held.application for held in applications]
    await connection.execute(
        """
        INSERT INTO erasure_unfinished (application_id, since, erased_at)
        SELECT id, since, greatest($3, now()) FROM unnest($1::uuid[], $2::timestamptz[]) AS e(id, since)
        ON CONFLICT (application_id) DO UPDATE SET erased_at = excluded.erased_at
        """,
        [application.id for application in touched],
        [application.submitted_at for application in touched],
        at,
    )
