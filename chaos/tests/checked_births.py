"""Births in a city on paper, step by step: granted, withdrawn, corrected, refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid5

from yijian_chaos.checker import facts
from yijian_chaos.checker.snapshot import (
    Application,
    Consent,
    DepartmentTask,
    Disclosure,
    Effect,
    Entry,
    Incident,
    Letter,
    Task,
    Withdrawal,
)

from .checked_world import World

ORDER = ("C1", "B1", "B2", "B3", "B4", "B8", "B9", "B5", "B6", "B7")
DECIDED = ("ACCEPTED", "IN_REVIEW", "DECIDED_APPROVED", "CLOSED")

_SEED = UUID(int=7)


class Birth:
    """One family's application, step by step."""

    def __init__(self, world: World) -> None:
        world.births += 1
        number = world.births
        self.world = world
        self.id = str(uuid5(_SEED, f"application {number}"))
        self.actor = f"mother-{number:06}"
        self.request_key = f"key-{number}"
        self.version = 0
        self.revision = 1
        self.status, self.outcome = "IN_PROGRESS", None
        self.consents: tuple[Consent, ...] = (Consent("card-notice", "MOTHER", "GIVEN"),)
        self.tasks = {self.key(code): self._task(code) for code in ORDER}
        self._entry("SUBMITTED")
        world.tables["request_keys"].append(self.id)
        world.say("approval.applications", self.id, facts.SUBMITTED, self.id)
        self._operation("submit", key=self.request_key, status=202)

    def _operation(self, kind: str, **told: Any) -> None:
        self.world.operation(kind, self.actor, self.id, **told)

    @staticmethod
    def key(code: str) -> str:
        return f"{code}-1" if facts.BIRTH[code].per_child else code

    def _task(self, code: str) -> Task:
        matter = facts.BIRTH[code]
        child = 1 if matter.per_child else None
        return Task(self.key(code), code, matter.department, child, "DRAFT", 1, None, 0)

    def _entry(self, kind: str, task: str = "", states: tuple[str, ...] = (), **more: Any) -> None:
        self.version += 1
        entry = Entry(self.id, self.version, kind, task, states, more.get("giver", ""), more.get("bases", ()))
        self.world.tables["timeline"].append(entry)

    def _hint(self) -> None:
        said = (self.id, str(self.version))
        about = f"{self.id}:{self.version}"
        self.world.say("approval.applications", self.id, facts.PROGRESSED, about, said=said)

    def _set(self, code: str, **changes: Any) -> Task:
        key = self.key(code)
        self.tasks[key] = replace(self.tasks[key], **changes)
        return self.tasks[key]

    def task_id(self, code: str) -> str:
        task = self.tasks[self.key(code)]
        return facts.task_id(self.id, child=task.child, matter=code, attempt=task.attempt)

    # --- steps -------------------------------------------------------------------------------------------------------

    def request(self, code: str, *, sent: bool = True) -> None:
        task, identity = self._set(code, state="SUBMITTED"), self.task_id(code)
        self._entry("TASK_REQUESTED", task.key, ("SUBMITTED",))
        world, gate = self.world, "consents" if code == "B6" else ""
        topic = facts.tasks_topic(task.department)
        event = facts.event_id(facts.TASK_REQUESTED, identity)
        row = world.commit("approval", event, topic, self.id, facts.TASK_REQUESTED, gate=gate)
        if sent:
            world.send(row, said=(code, str(task.attempt)), task=identity, application=self.id)
        world.tables["disclosures"].append(Disclosure(identity, self.id, task.department, code))
        world.say("approval.disclosures", self.id, facts.DISCLOSED, identity, task=identity)
        world.write_down(identity)
        self._hint()

    def decide(self, code: str, outcome: str = "APPROVED") -> None:
        """The department answers, and leaves in its tables what it granted."""
        task, identity, matter = self.tasks[self.key(code)], self.task_id(code), facts.BIRTH[code]
        number = ""
        if outcome == "APPROVED" and matter.table:
            number = self.world.take_number(task.department, matter.series or "citizen")
            effect = (identity, None) if matter.by_task else (None, number)
            self.world.tables["effects"].append(Effect(task.department, matter.table, *effect))
        self._keep(code, "ANSWERED", answered=True)
        event = facts.event_id(facts.TASK_ANSWERED, identity)
        topic = facts.results_topic(task.department)
        row = self.world.commit(task.department, event, topic, self.id, facts.TASK_ANSWERED)
        self.world.send(row, said=(code, outcome, number), task=identity, application=self.id)

    def _keep(self, code: str, state: str, *, answered: bool) -> None:
        row = DepartmentTask(facts.BIRTH[code].department, self.task_id(code), self.id, code, state, answered)
        self.world.tables["tasks"].append(row)

    def record(self, code: str, outcome: str = "APPROVED") -> None:
        """Approval takes the answer over."""
        task = self.tasks[self.key(code)]
        if outcome == "RETURNED":
            self._set(code, state="RETURNED_FOR_CORRECTION", answers=task.answers + 1)
            self._entry("TASK_RETURNED", task.key, ("RETURNED_FOR_CORRECTION",))
        elif outcome == "APPROVED":
            self._set(code, state="CLOSED", decision="APPROVED", answers=task.answers + 1)
            self._entry("TASK_DECIDED", task.key, DECIDED)
        else:
            self._set(code, state="CLOSED", decision="DENIED", answers=task.answers + 1)
            self._entry("TASK_DECIDED", task.key, ("ACCEPTED", "IN_REVIEW", "DECIDED_DENIED", "CLOSED"))
        self._hint()

    def grant(self, *codes: str) -> None:
        for code in codes:
            self.request(code)
            self.decide(code)
            self.record(code)

    def correct(self, code: str) -> None:
        """The applicant corrects what was returned, and the department is asked again."""
        self._operation("correct", key=f"{self.request_key}-{code}", version=self.version)
        self.revision += 1
        self._entry("TASK_CORRECTED", self.key(code))
        self._set(code, attempt=self.tasks[self.key(code)].attempt + 1)
        self.request(code)

    def block(self, *codes: str) -> None:
        for code in codes:
            self._set(code, state="BLOCKED")
            self._entry("TASK_BLOCKED", self.key(code), ("BLOCKED",))

    def complete(self) -> None:
        granted = sum(task.decision == "APPROVED" for task in self.tasks.values())
        self.outcome = "ALL_GRANTED" if granted == len(self.tasks) else "PARTLY" if granted else "NONE"
        self.status = "COMPLETED"
        self._entry("COMPLETED")
        said = (self.outcome, str(len(self.tasks)))
        self.world.say("approval.applications", self.id, facts.COMPLETED, self.id, said=said)
        self.world.tables["invitations"].append(self.id)
        self._hint()
        self._end()

    def withdraw(self) -> None:
        """The applicant takes it back; departments that were asked are told."""
        self.status = "WITHDRAWN"
        self._entry("WITHDRAWN")
        self.world.say("approval.applications", self.id, facts.WITHDRAWN, self.id)
        for key, task in self.tasks.items():
            if task.state == "SUBMITTED":
                identity = self.task_id(task.matter)
                topic = facts.tasks_topic(task.department)
                self.world.say(topic, self.id, facts.TASK_CANCELLED, identity, task=identity)
            if task.state not in facts.ENDS:
                self.tasks[key] = replace(task, state="WITHDRAWN")
        self._hint()
        self._operation("withdraw", version=self.version, state="WITHDRAWN")

    def cancelled_in(self, code: str) -> None:
        """The department heard of the withdrawal before it decided."""
        self._keep(code, "CANCELLED", answered=False)

    def answered_too_late(self, code: str) -> None:
        self.decide(code)
        self._entry("ANSWER_IGNORED", self.key(code))
        self._hint()

    def take_consent_back(self) -> None:
        """A consent is withdrawn when all is decided: what was given stands."""
        self._operation("consent-withdraw")
        self.world.tables["withdrawals"].append(Withdrawal(self.id, "card-notice", "MOTHER"))
        self.consents = (Consent("card-notice", "MOTHER", "WITHDRAWN"),)
        self._entry("CONSENT_WITHDRAWN", giver="MOTHER", bases=("card-notice",))
        self._hint()

    def show(self) -> None:
        self._operation("query", version=self.version, state=self.status)

    def _end(self) -> None:
        self.show()

    def file(self) -> None:
        """The row, as it stands at the end."""
        self.world.tables["applications"].append(
            Application(
                id=self.id,
                life_event="birth",
                status=self.status,
                outcome=self.outcome,
                version=self.version,
                state_version=self.version,
                state_status=self.status,
                form_revision=self.revision,
                tasks=tuple(self.tasks.values()),
                consents=self.consents,
            )
        )


Story = Callable[[World], Birth]


def granted(world: World) -> Birth:
    birth = Birth(world)
    birth.grant(*ORDER)
    birth.complete()
    return birth


def withdrawn(world: World) -> Birth:
    """B1 is answered too late, B2 was never sent, and C1's answer stands."""
    birth = Birth(world)
    birth.grant("C1")
    birth.show()
    birth.request("B1")
    birth.request("B2", sent=False)
    birth.withdraw()
    birth.answered_too_late("B1")
    birth.cancelled_in("B2")
    return birth


def corrected(world: World) -> Birth:
    birth = Birth(world)
    birth.request("C1")
    birth.decide("C1", "RETURNED")
    birth.record("C1", "RETURNED")
    birth.correct("C1")
    birth.decide("C1")
    birth.record("C1")
    birth.grant(*ORDER[1:])
    birth.complete()
    birth.take_consent_back()
    return birth


def refused(world: World) -> Birth:
    birth = Birth(world)
    birth.grant("C1", "B1")
    birth.request("B2")
    birth.decide("B2", "REJECTED")
    birth.record("B2", "REJECTED")
    birth.block("B3", "B4", "B8", "B9", "B5", "B6", "B7")
    birth.complete()
    return birth


STORIES: tuple[Story, ...] = (granted, withdrawn, corrected, refused)


def healthy(births: int = 30) -> World:
    """A run in which nothing went wrong, with a letter that an operator settled and a record that came twice."""
    world = World()
    for number in range(births):
        story = STORIES[number] if number < len(STORIES) else granted
        story(world).file()
        if number % 5 == 0:
            world.sign()
    world.tables["letters"].append(Letter("approval", 1, "RECORD", "approval.results", "elsewhere", 0, 0, "DISCARDED"))
    world.tables["incidents"].append(Incident("approval", "dead-letter", "1", open=False))
    world.close()
    request = world.find("records", kind=facts.TASK_REQUESTED)
    world.repeat(request)
    return world
