"""Standard births during faults: who applied, and what the raw sources say became of it."""

import asyncio
import sqlite3
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import httpx
from yijian_contracts.cloudevents import decode
from yijian_contracts.departments import departments
from yijian_contracts.events import ApplicationOutcome, TaskAnswered
from yijian_embedded.topology import SERVICES
from yijian_examples.family import Kind
from yijian_examples.forms import form_of
from yijian_examples.population import family
from yijian_messaging.testing import wait_until

from tests.e2e.broker import read_all
from tests.e2e.city import City, Resident

TASKS_OF_A_BIRTH = 10
HEALED_WITHIN_S = 45.0

# One row for each child, couple or task: two for one birth would be two effects.
EFFECTS = {
    "health": ("birth_certificate", "birth_registration", "parenting_service"),
    "disease-control": ("vaccination_record",),
    "public-security": ("registration",),
    "medical-insurance": ("enrolment", "refund"),
    "human-resources": ("card",),
    "taxation": ("contribution",),
}


class Births:
    """Applications of standard families, each submitted until it is answered, as a patient client does."""

    def __init__(self, city: City, waiting: deque[int], today: date) -> None:
        self.city = city
        self.accepted: dict[UUID, Resident] = {}
        self.waiting = waiting
        self.today = today
        self._letters = self.dead_letters()
        self.effects_before = self.effects()

    async def apply(self, count: int = 1) -> list[UUID]:
        """Have so many mothers apply at the same time."""
        return list(await asyncio.gather(*(self._apply_one() for _ in range(count))))

    async def _apply_one(self) -> UUID:
        # No family that is exempt from the contribution: each birth has the same effects.
        number = next(n for n in iter(self.waiting.popleft, None) if n % 20)
        mother = self.city.resident(f"mother-{number:06}")
        await self.city.token(mother.account)
        form = form_of(family(number, kind=Kind.STANDARD, today=self.today))
        key = uuid4().hex
        await self.city.authorisation(f"father-{number:06}", mother.account, key=key)
        answers: list[UUID] = []

        async def answered() -> bool:
            try:
                answer = await mother.submit(form, key=key)
            except httpx.TransportError:
                return False
            assert answer.status_code in (202, 503), answer.text
            if answer.status_code == 202:
                answers.append(UUID(answer.json()["id"]))
            # Whoever asks once more with the same key is told the same.
            return len(answers) == 2

        await wait_until(answered, what="an answer to the submission, twice", within=HEALED_WITHIN_S)
        (application,) = set(answers)
        self.accepted[application] = mother
        return application

    async def all_granted(self, *, within: float = HEALED_WITHIN_S) -> None:
        """Wait until every application is complete, and assert that it got everything."""
        for application, mother in self.accepted.items():
            over = await mother.wait_until_over(application, within=within)
            assert over.outcome is ApplicationOutcome.ALL_GRANTED

    # --- the raw sources ---------------------------------------------------------------------------------------------

    async def settled_once(self) -> None:
        """Every application got everything, once; nothing waits, nothing is lost, nothing was given up."""
        await self.all_granted()
        await wait_until(self.at_rest, what="outboxes empty and offsets at the ends", within=HEALED_WITHIN_S)
        self.applied_once()
        self.answered_once()
        self.effective_once()
        assert self.dead_letters() == self._letters

    def applied_once(self) -> None:
        rows = self.city.query("approval", "SELECT id FROM application WHERE id = ANY(%s)", list(self.accepted))
        assert {row["id"] for row in rows} == set(self.accepted)
        mothers = {mother.account for mother in self.accepted.values()}
        assert len(mothers) == len(self.accepted)
        parties = self.city.query(
            "approval",
            "SELECT count(*) AS n FROM application_party WHERE party IN"
            " (SELECT party FROM application_party WHERE application_id = ANY(%s))",
            list(self.accepted),
        )
        # Two parents each, and neither is a party to any other application.
        assert parties[0]["n"] == 2 * len(self.accepted)

    def answered_once(self) -> None:
        """Each task was answered, and however often the answer was sent, it said the same under the same id."""
        answers: dict[UUID, set[tuple[str, str]]] = defaultdict(set)
        for event, value in self.said_by_departments():
            if isinstance(event, TaskAnswered):
                answers[event.task_id].add((str(event.event_id), value))
        assert len(answers) == TASKS_OF_A_BIRTH * len(self.accepted)
        assert {len(contents) for contents in answers.values()} == {1}

    def said_by_departments(self) -> Iterable[tuple[Any, str]]:
        topics = [entry.results_topic for entry in departments().values()]
        ours = {str(application).encode() for application in self.accepted}
        for record in read_all(self.city.platform.kafka_credentials("approval"), *topics):
            if record.key in ours:
                event = decode(record.headers, record.value)
                yield event.data, event.data.model_dump_json()

    def said_about(self, applications: Collection[UUID]) -> int:
        """How many events the departments sent about these."""
        return sum(event.application_id in applications for event, _ in self.said_by_departments())

    def effective_once(self) -> None:
        """One row in each bureau's own tables, and one task row per task."""
        made = {place: count - self.effects_before[place] for place, count in self.effects().items()}
        assert set(made.values()) == {len(self.accepted)}, made

    def effects(self) -> dict[tuple[str, str], int]:
        counts = {}
        for department, tables in EFFECTS.items():
            for table in tables:
                rows = self.read_store(department, f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
                counts[department, table] = rows[0][0]
        return counts

    def read_store(self, department: str, statement: str) -> Sequence[tuple[int, ...]]:
        """Rows of a bureau's SQLite file, read beside its program."""
        with closing(sqlite3.connect(f"file:{self.city.store(department)}?mode=ro", uri=True, timeout=10)) as db:
            return db.execute(statement).fetchall()

    async def at_rest(self) -> bool:
        """Whether nothing waits: no outbox row anywhere, and every stored offset is the end of its partition."""
        waiting = [self.read_store(code, "SELECT count(*) FROM outbox_unsent")[0][0] for code in departments()]
        waiting += [self.city.query("approval", "SELECT count(*) AS n FROM outbox_unsent")[0]["n"]]
        return not any(waiting) and self.lag() == {}

    def lag(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Where the stored offset is not the end of the partition: (stored, end)."""
        places = self.city.query("approval", "SELECT topic, partition, next_offset AS at FROM consumer_offset")
        stored = {(row["topic"], row["partition"]): row["at"] for row in places}
        ends = self._ends("approval", [entry.results_topic for entry in departments().values()])
        for code, entry in departments().items():
            rows = self.read_store(code, "SELECT partition, next_offset FROM consumer_offset")
            stored |= {(entry.tasks_topic, partition): at for partition, at in rows}
            ends |= self._ends(entry.principal, [entry.tasks_topic])
        return {place: (stored.get(place, 0), end) for place, end in ends.items() if stored.get(place, 0) != end}

    def _ends(self, principal: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        credentials = self.city.platform.kafka_credentials(principal)
        return {(r.topic, r.partition): r.offset + 1 for r in read_all(credentials, *topics)}

    def dead_letters(self) -> int:
        """How many letters approval and the departments have."""
        count: int = self.city.query("approval", "SELECT count(*) AS n FROM dead_letter")[0]["n"]
        for code in departments():
            count += self.read_store(code, "SELECT count(*) FROM dead_letter")[0][0]
        return count

    # --- processes ---------------------------------------------------------------------------------------------------

    def arm(self, name: str, point: str) -> None:
        """Restart a process so that it will be killed at this point."""
        self.city.stop(name)
        self.city.start(name, {"YIJIAN_FAULTPOINT": point})

    async def died(self, name: str) -> None:
        async def gone() -> bool:
            return self.city.platform.process(name) is None

        await wait_until(gone, what=f"{name} to be killed", within=20)

    def heal(self) -> None:
        """Start what does not run."""
        down = [service.name for service in SERVICES if self.city.platform.process(service.name) is None]
        for wait in (False, True):
            for name in down:
                self.city.platform.start_service(name, wait=wait)
