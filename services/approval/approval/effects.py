"""Carrying out what the engine decided: rows, disclosures and events of many applications in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from yijian_common.crypto import DataKey, Keyring
from yijian_common.database import Connection
from yijian_contracts.cloudevents import encode
from yijian_contracts.events import (
    MOST_PROGRESSED,
    ApplicationOutcome,
    ApplicationsProgressed,
    ApplicationWithdrawn,
    DataDisclosed,
    Event,
    Progressed,
    TaskCancelled,
    TaskRequested,
)
from yijian_messaging import Outgoing, Transaction

from approval import rows, telling
from approval.application import Task
from approval.claims import claim_values_of_answer
from approval.consent_rows import Change, update_consents
from approval.coverage import Coverage
from approval.disclosure import disclose
from approval.due import next_look
from approval.engine import (
    CancelTask,
    ChangeConsent,
    Complete,
    Deliver,
    OpenIncident,
    RequestTask,
    Withdraw,
    task_id,
)
from approval.holding import hold_back
from approval.life_event import LifeEvent
from approval.life_events_registry import LifeEvents
from approval.rows import Answer, Form, Held

SOURCE = "approval"
CONSENTS_GATE = "consents"


def outgoing(event: Event, traceparent: str | None, *, gate: str | None = None) -> Outgoing:
    """An event as the outbox takes it; with a `gate` it is sent only while that is open."""
    encoded = encode(event, source=SOURCE, traceparent=traceparent)
    return Outgoing(
        id=encoded.id,
        topic=encoded.topic,
        key=encoded.key,
        headers=encoded.headers,
        value=encoded.value,
        personal="personal" in type(event).model_fields,
        gate=gate,
    )


@dataclass(frozen=True, slots=True)
class _DisclosureRow:
    """A disclosure with the names of its fields."""

    event: DataDisclosed
    fields: str


@dataclass(slots=True)
class _Work:
    """What one transaction adds, gathered before it is written in a handful of statements."""

    messages: list[Outgoing] = field(default_factory=list)
    disclosures: list[_DisclosureRow] = field(default_factory=list)
    unsent: list[str] = field(default_factory=list)
    incidents: list[OpenIncident] = field(default_factory=list)
    claims: list[tuple[bytes, UUID]] = field(default_factory=list)
    over: list[UUID] = field(default_factory=list)
    consents: list[Change] = field(default_factory=list)
    next_looks: dict[UUID, datetime | None] = field(default_factory=dict)

    def say(self, event: Event, held: Held, *, gate: str | None = None) -> None:
        self.messages.append(outgoing(event, held.traceparent, gate=gate))


@dataclass(frozen=True, slots=True)
class Effects:
    """Carries effects out; holds what that needs beside the transaction."""

    life_events: LifeEvents
    keyring: Keyring
    coverage: Coverage

    def hold_back(self, changed: Sequence[Held], *, at: datetime) -> None:
        """While the ledger is behind, nothing is requested that was not requested before."""
        if self.coverage.behind(at):
            for held in changed:
                held.application, held.effects, held.entries = hold_back(held.application, held.effects, held.entries)

    async def carry_out(
        self,
        transaction: Transaction[Connection],
        changed: Sequence[Held],
        *,
        at: datetime,
        forms: Mapping[tuple[UUID, int], Form] | None = None,
        new: bool = False,
    ) -> None:
        """Write applications that changed, with everything that follows from it.

        `forms` are those the caller has at hand; others are read. With `new` the applications' own rows are there
        already, and were held back before they were written.
        """
        if not changed:
            return
        if not new:
            self.hold_back(changed, at=at)
        connection = transaction.connection
        known = dict(forms or {}) | await self._missing_forms(connection, changed, forms or {})
        work = _Work()
        for held in changed:
            life_event = await self.life_events.get(held.application.digest)
            self._apply(held, life_event, known, work, at)
        if not new:
            await rows.update_applications(connection, changed, work.next_looks)
            await update_consents(connection, work.consents, at=at)
        await rows.insert_entries(connection, changed)
        await _insert_disclosures(connection, work.disclosures)
        await self._claim(transaction, work)
        if work.over:
            await rows.release_claims(connection, work.over)
        for incident in work.incidents:
            await transaction.open_incident(incident.kind, incident.subject, incident.summary)
        if work.unsent:
            await transaction.cancel_unsent(work.unsent)
        await transaction.publish([*work.messages, *_hints(changed, at)])

    async def _missing_forms(
        self, connection: Connection, changed: Sequence[Held], given: Mapping[tuple[UUID, int], Form]
    ) -> dict[tuple[UUID, int], Form]:
        wanted: dict[tuple[UUID, int], DataKey] = {}
        for held in changed:
            for effect in held.effects:
                match effect:
                    case RequestTask(task=task):
                        place = (held.application.id, task.form_revision)
                    case Deliver():
                        place = (held.application.id, held.application.form_revision)
                    case _:
                        continue
                if place not in given:
                    wanted[place] = held.data_key
        return await rows.read_forms(connection, wanted) if wanted else {}

    def _apply(
        self,
        held: Held,
        life_event: LifeEvent,
        forms: Mapping[tuple[UUID, int], Form],
        work: _Work,
        at: datetime,
    ) -> None:
        """Effects in the order in which they arose: a delivered answer is there for the request that it made ready."""
        application = held.application
        for effect in held.effects:
            match effect:
                case Deliver(task=task, answer=answer):
                    held.answers[task.key] = Answer.of(answer.personal)
                    self._deliver(held, task, life_event, forms[application.id, application.form_revision], work, at)
                case RequestTask(task=task, again=again):
                    self._request(held, task, life_event, forms[application.id, task.form_revision], work, again=again)
                case CancelTask(task=task, reason=reason):
                    self._cancel(held, task, reason, work, at)
                case Complete():
                    work.say(telling.application_completed(held, life_event), held)
                    work.next_looks[application.id] = None
                    # Whoever got everything has nothing left to apply for; anyone else may apply again.
                    if application.outcome is not ApplicationOutcome.ALL_GRANTED:
                        work.over.append(application.id)
                case Withdraw():
                    work.say(
                        ApplicationWithdrawn(
                            application_id=application.id, life_event=application.life_event, withdrawn_at=at
                        ),
                        held,
                    )
                    work.next_looks[application.id] = None
                    work.over.append(application.id)
                case OpenIncident():
                    work.incidents.append(effect)
        self._tell_consents(held, life_event, work, at)

    def _tell_consents(self, held: Held, life_event: LifeEvent, work: _Work, at: datetime) -> None:
        changes = [(held.application.id, effect) for effect in held.effects if isinstance(effect, ChangeConsent)]
        if not changes:
            return
        work.consents += changes
        work.next_looks[held.application.id] = next_look(held.application, at)
        for given in telling.consents_given(held, life_event, at=at):
            work.say(given, held)

    def _request(self, held: Held, task: Task, life_event: LifeEvent, form: Form, work: _Work, *, again: bool) -> None:
        given = disclose(life_event, task.matter, task.child, form, held.outputs())
        if not set(given.disclosed.consents) <= set(task.consents):
            raise AssertionError(f"{task.key} would be sent without a consent that it rests on")
        work.say(telling.task_requested(held, task, given), held, gate=CONSENTS_GATE if task.consents else None)
        if again:
            return
        disclosed = telling.data_disclosed(held, task, given, life_event)
        work.disclosures.append(_DisclosureRow(disclosed, ",".join(given.fields)))
        work.say(disclosed, held)

    def _cancel(self, held: Held, task: Task, reason: str, work: _Work, at: datetime) -> None:
        cancelled = TaskCancelled(
            application_id=held.application.id,
            department=task.department,
            task_id=task_id(held.application, task),
            matter=task.matter,
            reason=reason,
            cancelled_at=at,
        )
        # A request that was not sent yet is taken back; whether one was sent is the relay's to know, so both happen.
        work.unsent.append(str(TaskRequested.id_for(cancelled.task_id)))
        work.say(cancelled, held)

    def _deliver(self, held: Held, task: Task, life_event: LifeEvent, form: Form, work: _Work, at: datetime) -> None:
        for issued in telling.documents_issued(held, task, life_event, form, at=at):
            work.say(issued, held)
        registered = telling.relation_registered(held, task, life_event, form, at=at)
        if registered is not None:
            work.say(registered, held)
        for name, values in claim_values_of_answer(life_event, task.matter, held.answers[task.key].outputs):
            work.claims.append((self.keyring.blind_index("claim", name, *values), held.application.id))

    async def _claim(self, transaction: Transaction[Connection], work: _Work) -> None:
        taken = await rows.insert_claims(transaction.connection, work.claims)
        for digest, application_id in work.claims:
            holder = taken.get(digest, application_id)
            if holder != application_id:
                summary = f"applications {holder} and {application_id} were given the same certificate number"
                await transaction.open_incident("claim-taken", str(application_id), summary)


def _hints(changed: Sequence[Held], at: datetime) -> list[Outgoing]:
    """That these applications moved, for whoever watches one."""
    moved = [Progressed(application_id=h.application.id, version=h.application.version) for h in changed]
    batches = (tuple(moved[first : first + MOST_PROGRESSED]) for first in range(0, len(moved), MOST_PROGRESSED))
    return [outgoing(ApplicationsProgressed(moved=batch, progressed_at=at), None) for batch in batches]


async def _insert_disclosures(connection: Connection, disclosures: Sequence[_DisclosureRow]) -> None:
    if not disclosures:
        return
    await connection.execute(
        """
        WITH disclosed AS (
            INSERT INTO disclosure (task_id, application_id, department, matter, fields, disclosed_at)
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
            RETURNING task_id, disclosed_at
        )
        INSERT INTO disclosure_uncovered (task_id, disclosed_at)
        SELECT task_id, disclosed_at FROM disclosed d
        -- As a value and not as NOT EXISTS, it is a look-up for each and never a reading of the whole table.
        WHERE (SELECT e.disclosure_id FROM disclosure_covered_early e WHERE e.disclosure_id = d.task_id) IS NULL
        """,
        [row.event.task_id for row in disclosures],
        [row.event.application_id for row in disclosures],
        [row.event.department for row in disclosures],
        [row.event.matter for row in disclosures],
        [row.fields for row in disclosures],
        [row.event.disclosed_at for row in disclosures],
    )
