"""Submitting an application: everything that one needs is there when COMMIT returns, or nothing is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from yijian_common import idempotency, pairwise
from yijian_common.crypto import Keyring
from yijian_common.database import Connection
from yijian_common.errors import Problem
from yijian_common.idempotency import StoredResponse
from yijian_common.ids import uuid7
from yijian_common.telemetry import current_traceparent
from yijian_common.tokens import Principal
from yijian_contracts.events import ApplicationSubmitted, DisclosedPerson
from yijian_messaging import Transaction

from approval import engine, planning, rows
from approval.application import Application
from approval.claims import claim_values, parties
from approval.effects import RESEND_AFTER, Effects, outgoing
from approval.errors import AlreadyApplied, CannotAccept, FormRefused, NotYourApplication
from approval.form import check_form, normalise_form
from approval.life_event import LifeEvent
from approval.rows import Form, Held

Outcome = StoredResponse | Problem


@dataclass(frozen=True, slots=True)
class Keys:
    """What hashes and proves identity numbers: the service's keyring, and keys shared with identity.

    `exchange` is that of the audience data-exchange, which gets to know people by what it makes of their numbers.
    """

    keyring: Keyring
    pairwise: bytes
    exchange: bytes

    def party(self, id_proof: str) -> bytes:
        """How a person is known here: a keyed hash of identity's proof."""
        return self.keyring.blind_index("party", id_proof)


@dataclass(frozen=True, slots=True)
class Submission:
    """A checked application on its way into the database."""

    held: Held
    form: Form
    applicant_party: bytes
    parties: tuple[bytes, ...]
    claims: tuple[bytes, ...]
    request: idempotency.Claim
    response: StoredResponse


def prepare(
    life_event: LifeEvent, form: Form, *, principal: Principal, key: str, body: bytes, keys: Keys
) -> Submission:
    """Check the form and lay out its tasks. Raises `FormRefused` with every error, or `NotYourApplication`."""
    at = datetime.now(UTC)
    form = normalise_form(life_event, form)
    errors = check_form(life_event, form, now=at)
    if errors:
        raise FormRefused.because(errors)
    involved = parties(life_event, form)
    if not pairwise.proves(principal.id_proof, key=keys.pairwise, id_no=involved.applicant_number):
        raise NotYourApplication
    planned = planning.plan(life_event, form)
    application = Application(
        id=uuid7(),
        life_event=life_event.code,
        digest=life_event.digest,
        submitted_at=at,
        due_at=at + life_event.promise,
        tasks=engine.tasks_of(planned),
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
    held.fold(engine.start(application, not_needed=not_needed, at=at))
    response = _accepted(held.application)
    return Submission(
        held=held,
        form=form,
        applicant_party=keys.party(principal.id_proof or ""),
        parties=tuple(
            keys.party(pairwise.id_proof(keys.pairwise, number)) for number in dict.fromkeys(involved.numbers.values())
        ),
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
    the existing one only to its parties.
    """
    connection = transaction.connection
    earlier = await idempotency.remember_all(connection, [s.request for s in submissions], keyring=effects.keyring)
    new = [s for s, answer in zip(submissions, earlier, strict=True) if answer is None]
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
        or await _outcome(connection, submission, answer, refused.get(submission.request.key_index))
        for submission, answer in zip(submissions, earlier, strict=True)
    ]


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
    await rows.insert_applications(connection, held, at + RESEND_AFTER)
    await rows.insert_parties(connection, [(p, s.held.application.id) for s in accepted for p in s.parties])
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
    """A refused application leaves nothing behind: neither its claims nor its key."""
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
