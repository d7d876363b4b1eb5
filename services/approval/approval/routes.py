"""HTTP in: one action or query each."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from yijian_common import database, idempotency
from yijian_common.errors import Problem, Unprocessable
from yijian_common.idempotency import IdempotencyKey, StoredResponse
from yijian_common.tokens import Principal

from approval import presentation, queries
from approval.actions.changes import correct_task, withdraw_application
from approval.actions.submission import prepare
from approval.application import ApplicationStatus
from approval.authorisations import read_authorisations
from approval.errors import AuthorisationRefused, FormRefused
from approval.form import check_form, normalise_form
from approval.parts import PAGE, Citizen, ConfirmedCitizen, Context, Parts, as_response, find, party_of
from approval.planning import plan
from approval.schemas import (
    AcceptedOut,
    ApplicationOut,
    ApplicationPage,
    ApplicationSummary,
    CorrectionRequest,
    EntryOut,
    FieldMessage,
    LifeEventOut,
    LifeEventSummary,
    PlannedTaskOut,
    SubmitRequest,
    ValidateRequest,
    ValidationResult,
)

routes = APIRouter(prefix="/v1")


@routes.get("/life-events", tags=["life events"])
async def list_life_events(parts: Context) -> list[LifeEventSummary]:
    """What can be applied for."""
    return [presentation.life_event_summary(life_event) for life_event in parts.life_events.all()]


@routes.get("/life-events/{code}", tags=["life events"])
async def get_life_event(code: str, parts: Context) -> LifeEventOut:
    """The guide of a life event and the schema of its form."""
    return presentation.life_event_guide(parts.life_events.get_current(code))


@routes.post("/life-events/{code}/validate", tags=["life events"])
async def validate_form(code: str, body: ValidateRequest, parts: Context, _: Citizen) -> ValidationResult:
    """Check a form without submitting it: every error at once, or what each department will be asked."""
    life_event = parts.life_events.get_current(code)
    form = normalise_form(life_event, body.form)
    errors = check_form(life_event, form, now=datetime.now(UTC))
    planned = () if errors else plan(life_event, form)
    return ValidationResult(
        valid=not errors,
        errors=[FieldMessage(pointer=e.pointer, message=e.message, rule=e.rule) for e in errors],
        tasks=[
            PlannedTaskOut(
                key=task.key,
                matter=task.matter,
                name=life_event.matters[task.matter].name,
                department=task.department,
                needs_person=list(task.needs_person),
                not_needed=task.not_needed,
            )
            for task in planned
        ],
    )


@routes.post(
    "/applications",
    tags=["applications"],
    status_code=202,
    response_model=AcceptedOut,
    responses={409: {"description": "An application for this child is under way"}},
)
async def submit_application(
    citizen: ConfirmedCitizen, request: Request, body: SubmitRequest, key: IdempotencyKey, parts: Context
) -> Response:
    """Submit an application. 202 means that it is stored and will be handled, whatever fails afterwards."""
    life_event = parts.life_events.get_current(body.life_event)
    raw = await request.body()
    try:
        submission = prepare(
            life_event,
            body.form,
            principal=citizen,
            authorisations=await read_authorisations(request.app.state.tokens, body.authorisations),
            key=key,
            body=raw,
            keys=parts.keys,
        )
    except (FormRefused, AuthorisationRefused):
        # What was accepted stays accepted, even when form or authorisation would be refused by now.
        if (earlier := await _earlier_answer(parts, citizen, key, raw)) is not None:
            return as_response(earlier)
        raise
    outcome = await parts.intake.submit(submission)
    if isinstance(outcome, Problem):
        raise outcome
    return as_response(outcome)


async def _earlier_answer(parts: Parts, citizen: Principal, key: str, raw: bytes) -> StoredResponse | None:
    keyring = parts.keys.keyring
    async with database.connection(parts.pool) as held:
        return await idempotency.find_response(
            held,
            keyring=keyring,
            scope=f"submit:{citizen.subject}",
            key=key,
            request_digest=idempotency.request_digest(keyring, "submit", raw.decode("utf-8", "replace")),
        )


@routes.get("/applications", tags=["applications"])
async def list_applications(
    parts: Context,
    citizen: Citizen,
    cursor: Annotated[UUID | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 20,
) -> ApplicationPage:
    """The person's applications, newest first."""
    async with database.connection(parts.pool) as held:
        found = await queries.list_applications(held, party=party_of(parts, citizen), before=cursor, limit=limit + 1)
    page = found[:limit]
    return ApplicationPage(
        items=[presentation.application_summary(application) for application in page],
        next=str(page[-1].id) if len(found) > limit else None,
    )


@routes.get("/applications/{application_id}", tags=["applications"])
async def get_application(application_id: UUID, parts: Context, citizen: Citizen) -> ApplicationOut:
    """Where an application stands: every task, what it issued, and what each department received."""
    async with database.connection(parts.pool) as connection:
        held = await find(connection, application_id, parts, citizen)
        life_event = await parts.life_events.get(held.application.digest)
        received = await queries.read_disclosures(connection, held.application, life_event)
    return presentation.application_detail(held, life_event, received)


@routes.get("/applications/{application_id}/timeline", tags=["applications"])
async def get_timeline(
    application_id: UUID, parts: Context, citizen: Citizen, after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0
) -> list[EntryOut]:
    """Who did what when; with `after`, only what followed that version."""
    async with database.connection(parts.pool) as connection:
        held = await find(connection, application_id, parts, citizen)
        entries = await queries.read_timeline(connection, application_id, after=after)
    life_event = await parts.life_events.get(held.application.digest)
    return presentation.timeline(entries, held.application, life_event)


async def require_own_application(application_id: UUID, parts: Context, citizen: Citizen) -> UUID:
    """For the stream: refused before its first byte, since afterwards there is no status left to give."""
    async with database.connection(parts.pool) as connection:
        await find(connection, application_id, parts, citizen)
    return application_id


@routes.get("/applications/{application_id}/progress", tags=["applications"], response_class=EventSourceResponse)
async def watch_application(
    request: Request,
    application_id: Annotated[UUID, Depends(require_own_application)],
    parts: Context,
    last_event_id: Annotated[int, Header(alias="Last-Event-ID", ge=0, le=2**31 - 1)] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Live progress as server-sent events: each is a line of the timeline, its id the application's version.

    Reconnecting with `Last-Event-ID` resumes after it. The stream ends when nothing more will happen.
    """
    version = last_event_id
    async for _ in parts.progress.changes(application_id, stopping=request.app.state.process.stopping):
        async with database.connection(parts.pool) as connection:
            entries = await queries.read_timeline(connection, application_id, after=version)
            application = await queries.get_state(connection, application_id)
        life_event = await parts.life_events.get(application.digest)
        for entry in entries:
            version = entry.version
            line = presentation.timeline_entry(entry, application, life_event)
            yield ServerSentEvent(data=line.model_dump(mode="json"), id=str(version), event="entry")
        if application.status is not ApplicationStatus.IN_PROGRESS and version >= application.version:
            return


@routes.post("/applications/{application_id}/withdrawal", tags=["applications"])
async def withdraw(application_id: UUID, parts: Context, citizen: Citizen) -> ApplicationSummary:
    """Take an application back: departments that have not decided are told not to. Repeating changes nothing."""
    async with parts.store.transaction() as transaction:
        application = await withdraw_application(transaction, application_id, principal=citizen, effects=parts.effects)
    return presentation.application_summary(application)


@routes.post("/applications/{application_id}/corrections", tags=["applications"], response_model=ApplicationSummary)
async def correct(
    citizen: Citizen,
    request: Request,
    application_id: UUID,
    body: CorrectionRequest,
    key: IdempotencyKey,
    parts: Context,
) -> Response:
    """Correct exactly the fields that a department returned; it is then asked again."""
    fields = {field.pointer: field.value for field in body.fields}
    if len(fields) != len(body.fields):
        raise Unprocessable("同一个字段只能给出一个新的值。")
    keyring = parts.keys.keyring
    raw = (await request.body()).decode("utf-8", "replace")
    scope, digest = (
        f"correct:{application_id}:{citizen.subject}",
        idempotency.request_digest(keyring, "correct", str(application_id), raw),
    )
    async with parts.store.transaction() as transaction:
        earlier = await idempotency.find_response(
            transaction.connection, keyring=keyring, scope=scope, key=key, request_digest=digest
        )
        if earlier is not None:
            return as_response(earlier)
        application = await correct_task(
            transaction,
            application_id,
            task_key=body.task,
            fields=fields,
            principal=citizen,
            effects=parts.effects,
        )
        response = StoredResponse(
            status=200, body=presentation.application_summary(application).model_dump_json().encode()
        )
        await idempotency.remember(
            transaction.connection,
            keyring=keyring,
            scope=scope,
            key=key,
            request_digest=digest,
            response=response,
            about=application_id,
        )
    return as_response(response)
