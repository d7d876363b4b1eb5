"""The events by which approval tells others what became of an application, built from its state."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from yijian_contracts.departments import get_department
from yijian_contracts.events import (
    ApplicationCompleted,
    CompletedParts,
    ConsentMeans,
    ConsentsGiven,
    DataDisclosed,
    DocumentIssued,
    DocumentOwner,
    GivenConsent,
    Handling,
    HandlingOutcome,
    IssuedParts,
    RelationParts,
    RelationRegistered,
    TaskFields,
    TaskRequested,
)
from yijian_contracts.identifiers import make_licence_identifier

from approval.application import Application, Consent, Decision, Task, TaskState
from approval.claims import Parties, parties
from approval.definition import CHILD, DocumentDefinition
from approval.disclosure import Disclosure
from approval.engine import ChangeConsent, task_id
from approval.life_event import LifeEvent
from approval.matters import Matter
from approval.rows import Document, Form, Held


def task_requested(held: Held, task: Task, given: Disclosure) -> TaskRequested:
    application = held.application
    return TaskRequested(
        application_id=application.id,
        department=task.department,
        task_id=task_id(application, task),
        matter=task.matter,
        life_event=application.life_event,
        child=task.child,
        attempt=task.attempt,
        mode=task.mode,
        needs_person=task.needs_person,
        requested_at=_asked_at(application, task),
        due_at=application.due_at,
        personal=TaskFields(fields=given.fields),
    )


def data_disclosed(held: Held, task: Task, given: Disclosure, life_event: LifeEvent) -> DataDisclosed:
    application = held.application
    return DataDisclosed(
        application_id=application.id,
        life_event=application.life_event,
        department=task.department,
        task_id=task_id(application, task),
        matter=task.matter,
        child=task.child,
        purpose=life_event.matters[task.matter].name,
        people=held.people,
        guardians=life_event.parties.guardians,
        parts=given.disclosed.parts,
        disclosed_at=_asked_at(application, task),
    )


def _asked_at(application: Application, task: Task) -> datetime:
    return task.requested_at or application.submitted_at


def consents_given(held: Held, life_event: LifeEvent, *, at: datetime) -> Iterator[ConsentsGiven]:
    """What was just agreed to: an event for each giver and means."""
    application = held.application
    given: dict[tuple[str, ConsentMeans], list[GivenConsent]] = {}
    for effect in held.effects:
        if isinstance(effect, ChangeConsent) and effect.means is not None:
            giver = effect.consent.giver
            given.setdefault((giver, effect.means), []).append(_given(application.id, effect.consent, life_event))
    for (giver, means), consents in given.items():
        yield ConsentsGiven(
            application_id=application.id,
            life_event=application.life_event,
            giver=giver,
            giver_ref=next(person.ref for person in held.people if person.role == giver),
            means=means,
            given_at=at,
            consents=tuple(consents),
        )


def _given(application_id: UUID, consent: Consent, life_event: LifeEvent) -> GivenConsent:
    if consent.until is None:
        raise AssertionError("given without a term")
    return GivenConsent(
        consent_id=GivenConsent.id_for(application_id, consent.basis, consent.giver),
        valid_until=consent.until,
        agreed_to=life_event.consents[consent.basis].told,
    )


def documents_issued(
    held: Held, task: Task, life_event: LifeEvent, form: Form, *, at: datetime
) -> Iterator[DocumentIssued]:
    """The documents that the answer to this task brought, each with the identifier it has from now on."""
    matter = life_event.matters[task.matter]
    involved = parties(life_event, form)
    declared = {document.code: document for document in matter.documents}
    for document in held.answers[task.key].documents:
        definition = declared[document.kind]
        yield DocumentIssued(
            application_id=held.application.id,
            department=task.department,
            matter=task.matter,
            task_id=(identity := task_id(held.application, task)),
            kind=document.kind,
            name=definition.name,
            identifier=_licence_identifier(definition, task, identity),
            issued_at=at,
            expires_at=definition.valid_for.until(at) if definition.valid_for else None,
            personal=_issued_parts(document, definition, task, held, life_event, involved),
        )


def _licence_identifier(definition: DocumentDefinition, task: Task, identity: UUID) -> str:
    """The task's id is the serial: it is derived, so the same document gets the same identifier again."""
    return make_licence_identifier(definition.licence_type, get_department(task.department).uscc, identity.hex.upper())


def _issued_parts(
    document: Document,
    definition: DocumentDefinition,
    task: Task,
    held: Held,
    life_event: LifeEvent,
    involved: Parties,
) -> IssuedParts:
    owner = definition.owner
    number = _child_number(task, held, life_event) if owner == CHILD else involved.numbers.get(owner)
    return IssuedParts(
        number=document.number,
        owner=DocumentOwner(
            child=task.child if owner == CHILD else None,
            owner_id_no=number,
            mother_id_no=involved.numbers["MOTHER"],
            father_id_no=involved.numbers.get("FATHER"),
        ),
    )


def _child_number(task: Task, held: Held, life_event: LifeEvent) -> str | None:
    """The newborn's citizen number, once household registration has created it."""
    for other in held.application.tasks:
        relation = life_event.matters[other.matter].relation
        if other.child == task.child and relation is not None and other.key in held.answers:
            number: Any = held.answers[other.key].outputs.get(relation)
            return str(number) if number is not None else None
    return None


def relation_registered(
    held: Held, task: Task, life_event: LifeEvent, form: Form, *, at: datetime
) -> RelationRegistered | None:
    """That the answer to this task made somebody a child of these parents, if it did."""
    relation = life_event.matters[task.matter].relation
    outputs = held.answers[task.key].outputs
    if relation is None or task.child is None or relation not in outputs:
        return None
    involved = parties(life_event, form)
    return RelationRegistered(
        application_id=held.application.id,
        child=task.child,
        task_id=task_id(held.application, task),
        registered_at=at,
        personal=RelationParts(
            child_id_no=str(outputs[relation]),
            mother_id_no=involved.numbers["MOTHER"],
            father_id_no=involved.numbers.get("FATHER"),
        ),
    )


def application_completed(held: Held, life_event: LifeEvent) -> ApplicationCompleted:
    application = held.application
    if application.outcome is None or application.completed_at is None:
        raise AssertionError("completed without an outcome")
    return ApplicationCompleted(
        application_id=application.id,
        life_event=application.life_event,
        outcome=application.outcome,
        departments=tuple(sorted({task.department for task in application.tasks})),
        submitted_at=application.submitted_at,
        completed_at=application.completed_at,
        handlings=tuple(_handlings(application, life_event.matters)),
        personal=CompletedParts(applicant=held.applicant),
    )


def _handlings(application: Application, matters: Mapping[str, Matter]) -> Iterator[Handling]:
    """What departments decided. What was found done already was not handled, so there is nothing to rate."""
    for task in application.tasks:
        refused = task.decision is Decision.DENIED or task.state is TaskState.REJECTED_ACCEPTANCE
        if not refused and task.decision is not Decision.APPROVED:
            continue
        if task.requested_at is None or task.ended_at is None:
            raise AssertionError("decided without having been asked")
        matter = matters[task.matter]
        yield Handling(
            task_id=task_id(application, task),
            matter=task.matter,
            name=matter.name,
            department=task.department,
            child=task.child,
            outcome=HandlingOutcome.REFUSED if refused else HandlingOutcome.GRANTED,
            automatic=task.automatic,
            attempts=task.attempt,
            promised_minutes=round(matter.promise.total_seconds() / 60),
            requested_at=task.requested_at,
            ended_at=task.ended_at,
        )
