"""Who is asked for which consents in one application, and what was agreed with it already."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from yijian_contracts.events import ConsentMeans

from approval.application import Consent
from approval.claims import Parties
from approval.consenting import Agreed
from approval.life_event import LifeEvent
from approval.planning import PlannedTask


def consents_asked(life_event: LifeEvent, planned: Sequence[PlannedTask], involved: Parties) -> tuple[Consent, ...]:
    """What the planned tasks rest on, once for each party who has to agree to it."""
    bases = dict.fromkeys(basis for task in planned for basis in task.consents)
    roles = tuple(involved.numbers)
    return tuple(
        Consent(basis, giver, life_event.parties.titles[giver])
        for basis in bases
        for giver in life_event.consents[basis].givers_among(roles, involved.applicant)
    )


def agreed_in_form(life_event: LifeEvent, form: Mapping[str, Any]) -> Sequence[str]:
    """The bases that the applicant agrees to in a form in which `check_form` found nothing wrong."""
    part: Any = form
    for step in life_event.agreed:
        part = part.get(step, {}) if isinstance(part, Mapping) else {}
    return tuple(part)


def agreed(
    consents: Iterable[Consent],
    *,
    life_event: LifeEvent,
    in_form: Sequence[str],
    applicant: str,
    authorised: Sequence[str],
    at: datetime,
) -> dict[tuple[str, str], Agreed]:
    """What is given with the application, by basis and giver.

    The applicant's consents stand in the form; the roles in `authorised` agreed to all theirs by a one-time code.
    """
    found = {}
    for consent in consents:
        until = at + life_event.consents[consent.basis].term
        if consent.giver == applicant and consent.basis in in_form:
            found[consent.basis, consent.giver] = Agreed(ConsentMeans.APPLICATION, until)
        elif consent.giver in authorised:
            found[consent.basis, consent.giver] = Agreed(ConsentMeans.ONE_TIME_CODE, until)
    return found
