"""HTTP in, of consents: what an application asks people to agree to, and their answers."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter
from yijian_common import database, idempotency
from yijian_common.errors import FieldError, Unprocessable
from yijian_common.idempotency import IdempotencyKey, StoredResponse

from approval import presentation_consents, queries
from approval.actions.consents import answer_consents
from approval.authorisations import read_authorisations
from approval.consent_rows import read_consents, read_waiting
from approval.errors import AuthorisationUsed
from approval.parts import PAGE, Citizen, ConfirmedCitizen, Context, as_response, find, party_of
from approval.schemas_consents import AnswerConsentsRequest, ConsentOut, WaitingOut

consent_routes = APIRouter(prefix="/v1", tags=["consents"])
_list = TypeAdapter(list[ConsentOut])


@consent_routes.get("/applications/{application_id}/consents")
async def list_consents(application_id: UUID, parts: Context, citizen: Citizen) -> list[ConsentOut]:
    """What an application asks whom to agree to, in full, and what each answered."""
    async with database.connection(parts.pool) as connection:
        held = await find(connection, application_id, parts, citizen)
        known = await read_consents(connection, application_id)
    life_event = await parts.life_events.get(held.application.digest)
    return presentation_consents.consents(held.application, known, life_event, caller=party_of(parts, citizen))


@consent_routes.get("/consents/pending")
async def list_pending(parts: Context, citizen: Citizen) -> list[WaitingOut]:
    """The applications that wait for the caller to agree to something, newest first; at most 50."""
    party = party_of(parts, citizen)
    found = []
    async with database.connection(parts.pool) as connection:
        for application_id in await read_waiting(connection, party, limit=PAGE):
            application = await queries.get_state(connection, application_id)
            found.append((application, await read_consents(connection, application_id)))
    return [
        presentation_consents.waiting(application, known, await parts.life_events.get(application.digest), caller=party)
        for application, known in found
    ]


@consent_routes.post("/applications/{application_id}/consents", response_model=list[ConsentOut])
async def answer(
    citizen: ConfirmedCitizen,
    request: Request,
    application_id: UUID,
    body: AnswerConsentsRequest,
    key: IdempotencyKey,
    parts: Context,
) -> Response:
    """Agree or refuse, by basis: oneself, or as the applicant with the other party's authorisation.

    What was refused ends the tasks that rest on it; everything else goes on. What was given can be withdrawn at
    data-exchange as easily.
    """
    _check(body)
    keyring = parts.keys.keyring
    raw = (await request.body()).decode("utf-8", "replace")
    scope = f"consents:{application_id}:{citizen.subject}"
    digest = idempotency.request_digest(keyring, "consents", str(application_id), raw)
    async with database.connection(parts.pool) as connection:
        await find(connection, application_id, parts, citizen)
        earlier = await idempotency.find_response(
            connection, keyring=keyring, scope=scope, key=key, request_digest=digest
        )
    if earlier is not None:
        return as_response(earlier)
    given = [] if body.authorisation is None else [body.authorisation]
    authorisations = await read_authorisations(request.app.state.tokens, given, at="/authorisation")
    async with parts.store.transaction() as transaction:
        try:
            known = await answer_consents(
                transaction,
                application_id,
                principal=citizen,
                give=body.give,
                refuse=body.refuse,
                authorisation=authorisations[0] if authorisations else None,
                effects=parts.effects,
                keys=parts.keys,
            )
        except AuthorisationUsed:
            # It may have been this very request that used it up, sent twice at once.
            earlier = await idempotency.find_response(
                transaction.connection, keyring=keyring, scope=scope, key=key, request_digest=digest
            )
            if earlier is None:
                raise
            return as_response(earlier)
        application = await queries.get_state(transaction.connection, application_id)
        life_event = await parts.life_events.get(application.digest)
        told = presentation_consents.consents(application, known, life_event, caller=party_of(parts, citizen))
        response = StoredResponse(status=200, body=_list.dump_json(told))
        first = await idempotency.remember(
            transaction.connection,
            keyring=keyring,
            scope=scope,
            key=key,
            request_digest=digest,
            response=response,
            about=application_id,
        )
    return as_response(first or response)


def _check(body: AnswerConsentsRequest) -> None:
    """That the answer says something, and nothing twice."""
    if not body.give and not body.refuse and body.authorisation is None:
        raise Unprocessable("请说明同意哪些、不同意哪些。", errors=[FieldError("请至少答复一项", pointer="/give")])
    if body.authorisation is not None and body.refuse:
        message = "对方不同意的，请对方用自己的账号答复，不能用授权代为拒绝"
        raise Unprocessable(message, errors=[FieldError(message, pointer="/refuse")])
    twice = [
        FieldError("每一项只能答复一次", pointer=f"/refuse/{index}")
        for index, basis in enumerate(body.refuse)
        if basis in body.give or basis in body.refuse[:index]
    ]
    twice += [
        FieldError("每一项只能答复一次", pointer=f"/give/{index}")
        for index, basis in enumerate(body.give)
        if basis in body.give[:index]
    ]
    if twice:
        raise Unprocessable("同一项不能既同意又不同意，也不能答复两次。", errors=twice)
