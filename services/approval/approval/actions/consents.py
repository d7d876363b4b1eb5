"""What people answer to what they were asked to agree to, and what follows of withdrawals told by data-exchange."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from yijian_common.database import Connection
from yijian_common.errors import FieldError
from yijian_common.tokens import Authorisation, Principal
from yijian_contracts.events import ConsentMeans
from yijian_messaging import Transaction

from approval import consenting, rows
from approval.application import ConsentState
from approval.authorisations import index_of, refused, role_of, use
from approval.consent_rows import ConsentRow, read_consents
from approval.consenting import Agreed
from approval.effects import Effects
from approval.engine import NotPossibleError
from approval.errors import ApplicationNotFound, AuthorisationUsed, NotPossibleNow, NotYourConsent
from approval.keys import Keys
from approval.queries import is_party
from approval.rows import Held


async def answer_consents(
    transaction: Transaction[Connection],
    application_id: UUID,
    *,
    principal: Principal,
    give: Sequence[str],
    refuse: Sequence[str],
    authorisation: Authorisation | None,
    effects: Effects,
    keys: Keys,
) -> list[ConsentRow]:
    """The caller agrees to some of what they were asked, by basis, and refuses some; returns all consents as they are.

    With an `authorisation` the caller, who applied, tells what the other party agreed to by a one-time code; without
    naming any basis that is everything the other party was asked. Raises `ApplicationNotFound`, `NotYourConsent`,
    `NotPossibleNow`, `AuthorisationRefused`, `AuthorisationUsed`.
    """
    at = datetime.now(UTC)
    connection = transaction.connection
    held = await _lock(connection, application_id, principal, effects, keys)
    known = await read_consents(connection, application_id)
    if authorisation is None:
        means = ConsentMeans.OWN_ACCOUNT
        own = keys.party(principal.id_proof or "")
        giver = next((row.giver for row in known if row.party == own), "")
    else:
        means = ConsentMeans.ONE_TIME_CODE
        giver = await _authorised(transaction, held, known, authorisation, principal=principal, keys=keys)
        pending = [row.basis for row in known if row.giver == giver and row.state is ConsentState.PENDING]
        give = give or pending
    _check_asked(known, giver, give=give, refuse=refuse)
    life_event = await effects.life_events.get(held.application.digest)
    agreed = {basis: Agreed(means, at + life_event.consents[basis].term) for basis in give}
    try:
        held.fold(consenting.answer(held.application, giver=giver, agreed=agreed, refused=refuse, at=at))
    except NotPossibleError as error:
        raise NotPossibleNow(str(error)) from None
    if not held.changed:
        return known
    await effects.carry_out(transaction, [held], at=at)
    return await read_consents(connection, application_id)


async def _lock(
    connection: Connection, application_id: UUID, principal: Principal, effects: Effects, keys: Keys
) -> Held:
    held = (await rows.lock_applications(connection, [application_id], effects.keyring)).get(application_id)
    if held is None:
        raise ApplicationNotFound
    party = keys.party(principal.id_proof or "")
    if held.applicant != principal.subject and not await is_party(connection, application_id, party):
        raise ApplicationNotFound
    return held


async def _authorised(
    transaction: Transaction[Connection],
    held: Held,
    known: Sequence[ConsentRow],
    authorisation: Authorisation,
    *,
    principal: Principal,
    keys: Keys,
) -> str:
    """Whose word the authorisation is; it is used up with that."""
    pointer = "/authorisation"
    if held.applicant != principal.subject:
        raise refused("只有申请人可以代为提交对方的授权，您本人请直接答复", pointer=pointer)
    role = role_of(
        authorisation,
        principal=principal,
        life_event=held.application.life_event,
        parties={row.giver: row.party for row in known},
        keys=keys,
        pointer=pointer,
    )
    if await use(transaction.connection, [(index_of(authorisation, keys.keyring), held.application.id)]):
        raise AuthorisationUsed
    return role


def _check_asked(known: Sequence[ConsentRow], giver: str, *, give: Sequence[str], refuse: Sequence[str]) -> None:
    asked = {row.basis for row in known if row.giver == giver}
    errors = [
        FieldError("没有就这一项征求过您的同意", pointer=f"/{member}/{index}")
        for member, bases in (("give", give), ("refuse", refuse))
        for index, basis in enumerate(bases)
        if basis not in asked
    ]
    if errors:
        raise NotYourConsent(errors=errors)
