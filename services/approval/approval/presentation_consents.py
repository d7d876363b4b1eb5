"""How consents look to the people who are asked for them."""

from collections.abc import Sequence

from yijian_contracts.departments import get_department
from yijian_contracts.events import ConsentedField, GivenConsent

from approval.application import Application, ConsentState, Task, TaskState
from approval.consent_rows import ConsentRow
from approval.consenting import ANSWER_WITHIN
from approval.consents import Consentable
from approval.engine import Entry
from approval.life_event import LifeEvent
from approval.schemas_consents import ConsentedFieldOut, ConsentOut, ConsentTextOut, WaitingOut, WaitsForOut


def consent_text(consentable: Consentable, life_event: LifeEvent) -> ConsentTextOut:
    return ConsentTextOut(
        basis=consentable.basis,
        version=consentable.version,
        purpose=consentable.purpose,
        text=consentable.text,
        givers=list(consentable.givers),
        term_days=consentable.term.total_seconds() / 86_400,
        fields=_fields(consentable.fields, life_event),
    )


def _fields(fields: Sequence[ConsentedField], life_event: LifeEvent) -> list[ConsentedFieldOut]:
    return [
        ConsentedFieldOut(
            department=field.department,
            department_name=get_department(field.department).name,
            matter=field.matter,
            matter_name=life_event.matters[field.matter].name,
            name=field.name,
            title=field.title,
        )
        for field in fields
    ]


def waits_for(task: Task, application: Application, life_event: LifeEvent) -> list[WaitsForOut]:
    """Whose answers a task waits for."""
    if task.state is not TaskState.DRAFT:
        return []
    return [
        WaitsForOut(
            basis=consent.basis,
            purpose=life_event.consents[consent.basis].purpose,
            giver=consent.giver,
            giver_title=consent.title,
        )
        for consent in application.consents_of(task)
        if consent.state is ConsentState.PENDING
    ]


def consents(
    application: Application, known: Sequence[ConsentRow], life_event: LifeEvent, *, caller: bytes
) -> list[ConsentOut]:
    """All consents of an application in the order of the life event's bases; `caller` is the caller as a party."""
    order = list(life_event.consents)
    return [
        _consent(row, application, life_event, mine=row.party == caller)
        for row in sorted(known, key=lambda row: order.index(row.basis))
    ]


def _consent(row: ConsentRow, application: Application, life_event: LifeEvent, *, mine: bool) -> ConsentOut:
    asked = life_event.consents[row.basis]
    return ConsentOut(
        id=GivenConsent.id_for(application.id, row.basis, row.giver),
        basis=row.basis,
        version=asked.version,
        purpose=asked.purpose,
        text=asked.text,
        giver=row.giver,
        giver_title=life_event.parties.titles[row.giver],
        mine=mine,
        state=row.state,
        means=row.means,
        asked_at=row.asked_at,
        answer_by=application.submitted_at + ANSWER_WITHIN if row.state is ConsentState.PENDING else None,
        given_at=row.given_at,
        valid_until=row.valid_until,
        fields=_fields(asked.fields, life_event),
    )


def waiting(
    application: Application, known: Sequence[ConsentRow], life_event: LifeEvent, *, caller: bytes
) -> WaitingOut:
    """An application with what it still asks this caller."""
    mine = [row for row in known if row.party == caller and row.state is ConsentState.PENDING]
    return WaitingOut(
        application_id=application.id,
        life_event=application.life_event,
        name=life_event.name,
        submitted_at=application.submitted_at,
        consents=consents(application, mine, life_event, caller=caller),
    )


def note(entry: Entry, life_event: LifeEvent) -> str:
    """What a line of the timeline about consents tells: whose, and for which purposes."""
    title = life_event.parties.titles[entry.giver]
    purposes = "；".join(life_event.consents[basis].purpose for basis in entry.bases)
    return f"{title}（{purposes}）"
