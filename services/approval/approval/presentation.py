"""How an application looks to its applicant: names in Chinese, document numbers masked."""

from collections.abc import Mapping, Sequence

from yijian_common.masking import mask_document_number
from yijian_contracts.departments import departments

from approval.application import Application, Task, TaskState
from approval.engine import Entry
from approval.life_event import LifeEvent, Matter
from approval.presentation_consents import consent_text, note, waits_for
from approval.queries import Received
from approval.rows import Answer, Held
from approval.schemas import (
    ApplicationOut,
    ApplicationSummary,
    CorrectionOut,
    DisclosedFieldOut,
    DocumentOut,
    EntryOut,
    LifeEventOut,
    LifeEventSummary,
    MatterOut,
    TaskOut,
)

HELD = (
    "为保证每一次向部门提供您的信息都记录在案、可以查证，在授权记录恢复登记之前，暂不向部门发送新的事项。"
    "您的申请已经受理，恢复后自动继续办理，不需要您做任何事。"
)


def _minutes(seconds: float) -> int:
    return round(seconds / 60)


def department_name(code: str) -> str:
    """The department's Chinese name; an actor that is none keeps its word."""
    found = departments().get(code)
    return found.name if found else code


def life_event_summary(life_event: LifeEvent) -> LifeEventSummary:
    return LifeEventSummary(
        code=life_event.code,
        name=life_event.name,
        summary=life_event.guide.summary,
        promise_minutes=_minutes(life_event.promise.total_seconds()),
    )


def life_event_guide(life_event: LifeEvent) -> LifeEventOut:
    guide = life_event.guide
    return LifeEventOut(
        **life_event_summary(life_event).model_dump(),
        digest=life_event.digest,
        expected_minutes=_minutes(life_event.expected.total_seconds()),
        who=list(guide.who),
        materials=list(guide.materials),
        not_included=list(guide.not_included),
        fee=guide.fee,
        matters=[_matter(matter) for matter in life_event.matters.values()],
        consents=[consent_text(consentable, life_event) for consentable in life_event.consents.values()],
        form_schema=life_event.form_schema,
    )


def _matter(matter: Matter) -> MatterOut:
    return MatterOut(
        code=matter.code,
        name=matter.name,
        description=matter.description,
        department=matter.department,
        department_name=department_name(matter.department),
        promise_minutes=_minutes(matter.promise.total_seconds()),
        needs=list(matter.needs),
        documents=[document.name for document in matter.documents],
    )


def application_summary(application: Application) -> ApplicationSummary:
    return ApplicationSummary(
        id=application.id,
        life_event=application.life_event,
        status=application.status,
        outcome=application.outcome,
        submitted_at=application.submitted_at,
        due_at=application.due_at,
        completed_at=application.completed_at,
        version=application.version,
    )


def application_detail(held: Held, life_event: LifeEvent, received: Mapping[str, Received]) -> ApplicationOut:
    application = held.application
    return ApplicationOut(
        **application_summary(application).model_dump(),
        name=life_event.name,
        expected_minutes=_minutes(life_event.expected.total_seconds()),
        held=HELD if application.held else None,
        tasks=[
            _task(task, application, life_event, held.answers.get(task.key), received.get(task.key))
            for task in application.tasks
        ],
    )


def _task(
    task: Task, application: Application, life_event: LifeEvent, answer: Answer | None, received: Received | None
) -> TaskOut:
    matter = life_event.matters[task.matter]
    names = {document.code: document.name for document in matter.documents}
    return TaskOut(
        key=task.key,
        matter=task.matter,
        name=matter.name,
        child=task.child,
        department=task.department,
        department_name=department_name(task.department),
        state=task.state,
        mode=task.mode,
        decision=task.decision,
        automatic=task.automatic,
        reason=HELD if task.held and task.state is TaskState.DRAFT else task.reason,
        needs_person=list(task.needs_person),
        waits_for=waits_for(task, application, life_event),
        requested_at=task.requested_at,
        ended_at=task.ended_at,
        corrections=[CorrectionOut(pointer=c.pointer, message=c.message) for c in task.corrections],
        documents=[
            DocumentOut(kind=d.kind, name=names[d.kind], number=mask_document_number(d.number))
            for d in (answer.documents if answer else ())
        ],
        received=[
            DisclosedFieldOut(
                name=f.name,
                title=f.title,
                source=f.source,
                basis_kind=f.basis.kind,
                basis=f.basis.reference,
            )
            for f in (received.fields if received else ())
        ],
    )


def timeline_entry(entry: Entry, application: Application, life_event: LifeEvent) -> EntryOut:
    task = application.find_task(entry.task)
    return EntryOut(
        version=entry.version,
        at=entry.at,
        kind=entry.kind,
        task=entry.task or None,
        name=life_event.matters[task.matter].name if task else None,
        actor=entry.actor or life_event.parties.titles.get(entry.giver, ""),
        states=list(entry.states),
        note=note(entry, life_event) if entry.bases else entry.note,
    )


def timeline(entries: Sequence[Entry], application: Application, life_event: LifeEvent) -> list[EntryOut]:
    return [timeline_entry(entry, application, life_event) for entry in entries]
