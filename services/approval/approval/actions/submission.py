"""Submitting an application: everything that one needs is there when COMMIT returns, or nothing is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from yijian_common import idempotency, pairwise
from yijian_common.database import Connection
from yijian_common.errors import Problem
from yijian_common.idempotency import StoredResponse
from yijian_common.ids import uuid7
from yijian_common.telemetry import current_traceparent
from yijian_common.tokens import Authorisation, Principal
from yijian_contracts.events import ApplicationSubmitted, DisclosedPerson
from yijian_messaging import Transaction

from approval import engine, planning, rows
from approval.application import Application
from approval.asking import agreed, agreed_in_form, consents_asked
from approval.authorisations import give_back, index_of, role_of, use
from approval.claims import claim_values, parties
from approval.consent_rows import insert_consents
from approval.due import next_look
from approval.effects import Effects, outgoing
from approval.errors import AlreadyApplied, AuthorisationUsed, CannotAccept, FormRefused, NotYourApplication
from approval.form import check_form, normalise_form
from approval.keys import Keys
from approval.life_event import LifeEvent
from approval.rows import Form, Held

Outcome = StoredResponse | Problem


@dataclass(frozen=True, slots=True)
class Submission:
    """A checked application on its way into the database.

    `parties` are by role, `authorisations` as they are remembered.
    """

    held: Held
    form: Form
    applicant_party: bytes
    parties: Mapping[str, bytes]
    authorisations: tuple[bytes, ...]
    claims: tuple[bytes, ...]
    request: idempotency.Claim
    response: StoredResponse


def prepare(
    life_event: LifeEvent,
    form: Form,
    *,
    principal: Principal,
    authorisations: Sequence[Authorisation] = (),
    key: str,
    body: bytes,
    keys: Keys,
) -> Submission:
    """Check the form and lay out its tasks and consents.

    Raises `FormRefused` with every error, `NotYourApplication`, `AuthorisationRefused`.
    """
    at = datetime.now(UTC)
    form = normalise_form(life_event, form)
    errors = check_form(life_event, form, now=at)
    if errors:
        raise FormRefused.because(errors)
    involved = parties(life_event, form)
    if not pairwise.proves(principal.id_proof, key=keys.pairwise, id_no=involved.applicant_number):
        raise NotYourApplication
    known = {role: keys.party(pairwise.id_proof(keys.pairwise, no)) for role, no in involved.numbers.items()}
    authorised = [
        role_of(
            authorisation,
            principal=principal,
            life_event=life_event.code,
            parties=known,
            keys=keys,
            pointer=f"/authorisations/{index}",
        )
        for index, authorisation in enumerate(authorisations)
    ]
    planned = planning.plan(life_event, form)
    consents = consents_asked(life_event, planned, involved)
    application = Application(
        id=uuid7(),
        life_event=life_event.code,
        digest=life_event.digest,
        submitted_at=at,
        due_at=at + life_event.promise,
        tasks=engine.tasks_of(planned),
        consents=consents,
    )
    held = Held(
        application=application,
        applicant=principal.subject,
        data_key=keys.keyring.new_data_key(),
        answers={},
        traceparent=current_traceparent(),
        people=tuple(
            DisclosedPerson(role=role, ref=pairwise.id_proof(keys.exchange, number))
            for role, number in involved.numbers.items()
        ),
    )
    not_needed = {task.key: task.not_needed for task in planned if task.not_needed is not None}
    given = agreed(
        consents,
        life_event=life_event,
        in_form=agreed_in_form(life_event, form),
        applicant=involved.applicant,
        authorised=authorised,
        at=at,
    )
    held.fold(engine.start(application, not_needed=not_needed, agreed=given, at=at))
    response = _accepted(held.application)
    return Submission(
        held=held,
        form=form,
        applicant_party=keys.party(principal.id_proof or ""),
        parties=known,
        authorisations=tuple(index_of(authorisation, keys.keyring) for authorisation in authorisations),
        claims=tuple(
            keys.keyring.blind_index("claim", name, *values) for name, values in claim_values(life_event, form)
        ),
        request=idempotency.claim(
            keys.keyring,
            scope=f"submit:{principal.subject}",
            key=key,
            request_digest=idempotency.request_digest(keys.keyring, "submit", body.decode("utf-8", "replace")),
            response=response,
            data_key=held.data_key,
            about=application.id,
        ),
        response=response,
    )


def _accepted(application: Application) -> StoredResponse:
    body = {
        "id": str(application.id),
        "life_event": application.life_event,
        "status": application.status,
        "submitted_at": application.submitted_at.isoformat(),
        "due_at": application.due_at.isoformat(),
    }
    return StoredResponse(
        status=202, body=json.dumps(body).encode(), headers={"Location": f"/v1/applications/{application.id}"}
    )


async def submit_applications(
    transaction: Transaction[Connection], submissions: Sequence[Submission], *, effects: Effects
) -> list[Outcome]:
    """Store several applications in the open transaction; each gets its own outcome, in order.

    A repeated request gets its earlier answer. An application for a child that has one already is refused, and tells
    the existing one only to its parties; one with an authorisation that was used before is refused as well.
    """
    connection = transaction.connection
    earlier = await idempotency.remember_all(connection, [s.request for s in submissions], keyring=effects.keyring)
    fresh = [s for s, answer in zip(submissions, earlier, strict=True) if answer is None]
    spent = await _spend(connection, fresh)
    new = [s for s in fresh if s.request.key_index not in spent]
    taken = await rows.insert_claims(connection, [(d, s.held.application.id) for s in new for d in s.claims])
    refused = {
        s.request.key_index: holder
        for s in new
        for digest in s.claims
        if (holder := taken.get(digest, s.held.application.id)) != s.held.application.id
    }
    retried: dict[bytes, Outcome] = {}
    if refused:
        gone = [s for s in new if s.request.key_index in refused]
        await _take_back(connection, gone)
        retried = await _retry(transaction, gone, refused, effects)
    accepted = [s for s in new if s.request.key_index not in refused]
    if accepted:
        await _store(transaction, accepted, effects)
    return [
        retried.get(submission.request.key_index)
        or spent.get(submission.request.key_index)
        or await _outcome(connection, submission, answer, refused.get(submission.request.key_index))
        for submission, answer in zip(submissions, earlier, strict=True)
    ]


async def _spend(connection: Connection, submissions: Sequence[Submission]) -> dict[bytes, Problem]:
    """Use up the authorisations that came along; returns the refusals by the request's key."""
    uses = [(used, s.held.application.id) for s in submissions for used in s.authorisations]
    used_before = await use(connection, uses)
    gone = [s for s in submissions if s.held.application.id in used_before]
    if gone:
        await _take_back(connection, gone)
    return {s.request.key_index: AuthorisationUsed() for s in gone}


async def _retry(
    transaction: Transaction[Connection],
    gone: Sequence[Submission],
    refused: Mapping[bytes, UUID],
    effects: Effects,
) -> dict[bytes, Outcome]:
    """Submit those again that were refused for the sake of a neighbour in the batch that was refused itself."""
    taken_back = {s.held.application.id for s in gone}
    again = [s for s in gone if refused[s.request.key_index] in taken_back]
    outcomes = await submit_applications(transaction, again, effects=effects) if again else []
    return {s.request.key_index: outcome for s, outcome in zip(again, outcomes, strict=True)}


async def _outcome(
    connection: Connection, submission: Submission, earlier: Outcome | None, holder: UUID | None
) -> Outcome:
    """What one submission is told. `holder` has what it claims.

    A repeat in the same batch as a request that was refused found an answer that was then taken back, so it is refused
    as well.
    """
    if isinstance(earlier, Problem):
        return earlier
    if holder is not None:
        return await _refusal(connection, submission, holder)
    return earlier or submission.response


async def _store(transaction: Transaction[Connection], accepted: Sequence[Submission], effects: Effects) -> None:
    connection = transaction.connection
    held = [s.held for s in accepted]
    at = max(h.application.submitted_at for h in held)
    effects.hold_back(held, at=at)
    await rows.insert_applications(connection, held, [next_look(h.application, at) for h in held])
    parties_of = [(p, s.held.application.id) for s in accepted for p in dict.fromkeys(s.parties.values())]
    await rows.insert_parties(connection, parties_of)
    await insert_consents(connection, [(s.held, s.parties) for s in accepted])
    await rows.insert_forms(connection, [(s.held, s.form) for s in accepted])
    await transaction.publish([outgoing(_submitted(h), h.traceparent) for h in held])
    forms = {(s.held.application.id, s.held.application.form_revision): s.form for s in accepted}
    await effects.carry_out(transaction, held, at=at, forms=forms, new=True)


def _submitted(held: Held) -> ApplicationSubmitted:
    application = held.application
    return ApplicationSubmitted(
        application_id=application.id,
        life_event=application.life_event,
        digest=application.digest,
        children=len({task.child for task in application.tasks if task.child is not None}),
        submitted_at=application.submitted_at,
        due_at=application.due_at,
    )


async def _take_back(connection: Connection, refused: Sequence[Submission]) -> None:
    """A refused application leaves nothing behind: neither its claims nor its key, and has used nothing up."""
    await give_back(connection, [s.held.application.id for s in refused if s.authorisations])
    await rows.release_claims(connection, [s.held.application.id for s in refused])
    await connection.execute(
        "DELETE FROM idempotency_keys WHERE key_index = ANY($1) AND about = ANY($2)",
        [s.request.key_index for s in refused],
        [s.held.application.id for s in refused],
    )


async def _refusal(connection: Connection, submission: Submission, existing: UUID) -> Problem:
    entitled = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM application_party WHERE party = $1 AND application_id = $2)",
        submission.applicant_party,
        existing,
    )
    return AlreadyApplied(existing) if entitled else CannotAccept()
