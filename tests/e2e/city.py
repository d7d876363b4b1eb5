"""The running city as people meet it: residents at approval, officials at their desks, operators at the processes.

What is asserted stands in the tests; here stands only how one reaches things.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
from approval.application import ApplicationStatus, TaskState
from approval.schemas import ApplicationOut, EntryOut, TaskOut
from approval.schemas_consents import ConsentOut
from confluent_kafka import Producer
from psycopg.rows import dict_row
from pydantic import TypeAdapter
from yijian_contracts.cloudevents import CloudEvent, decode, encode
from yijian_contracts.departments import get_department
from yijian_contracts.events import Event, TaskRequested
from yijian_embedded.home import write_private
from yijian_embedded.platform import SERVICE_STOPPED_WITHIN_S, Platform
from yijian_embedded.processes import stop
from yijian_embedded.testing import KINDS
from yijian_embedded.topology import SERVICES
from yijian_examples.family import Family, Kind
from yijian_examples.forms import form_of, other_parent
from yijian_examples.population import family
from yijian_messaging.testing import wait_until

from tests.e2e.broker import read_all

WITHIN_S = 90.0
_timeline = TypeAdapter(list[EntryOut])
_consents = TypeAdapter(list[ConsentOut])


def is_over(application: ApplicationOut) -> bool:
    return application.status is not ApplicationStatus.IN_PROGRESS


def states(application: ApplicationOut) -> dict[str, TaskState]:
    """The state of every task by its key."""
    return {task.key: task.state for task in application.tasks}


def task(application: ApplicationOut, key: str) -> TaskOut:
    return next(each for each in application.tasks if each.key == key)


@dataclass
class Families:
    """The families that nobody but these tests takes, each once; remembers whom the stories were about."""

    today: date
    taken: list[Family] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._waiting = {kind: deque(n for n, k in KINDS.items() if k is kind) for kind in Kind}

    def take(self, kind: Kind = Kind.STANDARD) -> Family:
        one = family(self._waiting[kind].popleft(), kind=kind, today=self.today)
        self.taken.append(one)
        return one


class City:
    """Everything that runs, for the length of one test."""

    def __init__(self, platform: Platform, families: Families, http: httpx.AsyncClient) -> None:
        self.platform = platform
        self.families = families
        self.http = http
        self._tokens: dict[tuple[str, str], str] = {}
        self._words: dict[tuple[str, str, str], str] = {}
        self._asking = asyncio.Lock()

    # --- people ------------------------------------------------------------------------------------------------------

    async def token(self, account: str, audience: str = "approval") -> str:
        """An access token as this person gets it by logging in."""
        known = self._tokens.get((account, audience))
        if known is None:
            body = {"account": account, "audience": audience}
            answer = await self.http.post(f"{self.platform.url('identity')}/dev/token", json=body)
            known = self._tokens[account, audience] = answer.raise_for_status().json()["access_token"]
        return known

    async def authorisation(self, giver: str, actor: str, *, key: str | None = None) -> str:
        """What identity signs when one parent authorises the other by a one-time code; the same again for one `key`."""
        if key is None:
            return await self._ask_for_authorisation(giver, actor)
        async with self._asking:
            if (giver, actor, key) not in self._words:
                self._words[giver, actor, key] = await self._ask_for_authorisation(giver, actor)
        return self._words[giver, actor, key]

    async def _ask_for_authorisation(self, giver: str, actor: str) -> str:
        body = {"account": giver, "actor": actor, "life_event": "birth"}
        answer = await self.http.post(f"{self.platform.url('identity')}/dev/authorisation", json=body)
        return str(answer.raise_for_status().json()["authorisation"])

    def resident(self, account: str) -> "Resident":
        return Resident(self, account)

    def official(self, department: str, number: int = 1) -> "Official":
        """`examples/README.md` says who they are: 1 an officer of the city, 2 of a district, 3 the head."""
        return Official(self, department, f"{department}-{number:04d}")

    # --- operators ---------------------------------------------------------------------------------------------------

    def stop(self, name: str) -> None:
        self.platform.stop_service(name)

    def start(self, name: str, settings: Mapping[str, str] | None = None) -> None:
        self.platform.start_service(name, settings=settings)

    def restart(self, *names: str, settings: Mapping[str, str] | None = None) -> None:
        """Stop these processes together and start them, with these settings in addition."""
        stop(self.platform.home, names, within_s=SERVICE_STOPPED_WITHIN_S)
        for name in names:
            self.platform.start_service(name, settings=settings, wait=False)
        for name in names:
            self.start(name)

    def kill(self, name: str) -> None:
        """As a machine without power: nothing is finished, nobody is told."""
        process = self.platform.process(name)
        if process is not None:
            process.kill()
            process.wait()

    def logs(self) -> dict[str, bytes]:
        """What every process has logged, by file name."""
        return {path.name: path.read_bytes() for path in self.platform.home.logs.iterdir()}

    @contextmanager
    def script(self, department: str, *rules: Mapping[str, Any]) -> Iterator[None]:
        """Have this department's program follow these rules (`yijian_department.script.Rule`) for a while."""
        path = self.platform.home.script_file(department)
        write_private(path, _toml({"rule": list(rules)}))
        try:
            yield
        finally:
            path.unlink()

    def query(self, service: str, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """Rows of a service's database."""
        with (
            closing(psycopg.connect(self.platform.database_url(service))) as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            return cursor.execute(statement, parameters).fetchall()

    def incidents(self, kind: str, subject: object) -> list[str]:
        """The summaries of approval's open incidents of this kind about this subject."""
        found = self.query(
            "approval",
            "SELECT summary FROM incident WHERE kind = %s AND subject = %s AND closed_at IS NULL",
            kind,
            str(subject),
        )
        return [row["summary"] for row in found]

    def store(self, department: str) -> Path:
        """The department's own database file."""
        return self.platform.home.department_store(department)

    # --- departments -------------------------------------------------------------------------------------------------

    def said_to(self, department: str, application: UUID) -> list[CloudEvent[Event]]:
        """What approval told a department about an application, read with the department's own credentials."""
        entry = get_department(department)
        records = read_all(self.platform.kafka_credentials(entry.principal), entry.tasks_topic)
        return [decode(r.headers, r.value) for r in records if r.key == str(application).encode()]

    def tasks_of(self, department: str, application: UUID) -> list[TaskRequested]:
        events = (event.data for event in self.said_to(department, application))
        return [event for event in events if isinstance(event, TaskRequested)]

    def speak_for(self, department: str, event: Event) -> None:
        """Publish an event with a department's credentials, as a program that is not built on the SDK may."""
        principal = get_department(department).principal
        encoded = encode(event, source=principal)
        headers = {name: text.encode() for name, text in encoded.headers.items()}
        self.produce(department, value=encoded.value, key=encoded.key.encode(), headers=headers)

    def produce(self, department: str, *, value: bytes, key: bytes, headers: Mapping[str, bytes]) -> None:
        """Put a record of any kind on a department's results topic, with its credentials."""
        entry = get_department(department)
        self._produce(entry.principal, entry.results_topic, value, key, headers)

    def ask(self, department: str, *, value: bytes, key: bytes, headers: Mapping[str, bytes]) -> None:
        """Put a record of any kind on a department's tasks topic, as approval."""
        self._produce("approval", get_department(department).tasks_topic, value, key, headers)

    def _produce(self, principal: str, topic: str, value: bytes, key: bytes, headers: Mapping[str, bytes]) -> None:
        producer = Producer(self.platform.kafka_credentials(principal).client_config())
        producer.produce(topic, value, key=key, headers=list(headers.items()))
        if producer.flush(10):
            raise TimeoutError("Kafka did not take the record")


@dataclass(frozen=True)
class Resident:
    """Somebody with an account, at approval's API."""

    city: City
    account: str

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self.city.token(self.account)}", **options.pop("headers", {})}
        url = f"{self.city.platform.url('approval')}/v1{path}"
        return await self.city.http.request(method, url, headers=headers, **options)

    async def at(self, service: str, method: str, path: str, **options: Any) -> httpx.Response:
        """A request to another service than approval."""
        token = await self.city.token(self.account, service)
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        url = f"{self.city.platform.url(service)}/v1{path}"
        return await self.city.http.request(method, url, headers=headers, **options)

    async def submit(
        self, form: Mapping[str, Any], *, key: str | None = None, authorised: bool = True
    ) -> httpx.Response:
        """Hand in an application, with the other parent's word for it unless that is to be asked for afterwards."""
        body: dict[str, Any] = {"life_event": "birth", "form": form}
        other = other_parent(self.account, form) if authorised else None
        if other is not None:
            body["authorisations"] = [await self.city.authorisation(other, self.account, key=key)]
        return await self.request("POST", "/applications", json=body, headers={"Idempotency-Key": key or uuid4().hex})

    async def apply(self, form: Mapping[str, Any], *, authorised: bool = True) -> UUID:
        """Hand in an application that is accepted."""
        answer = await self.submit(form, authorised=authorised)
        assert answer.status_code == 202, answer.text
        return UUID(answer.json()["id"])

    async def correct(self, application: UUID, task_key: str, fields: Mapping[str, Any]) -> httpx.Response:
        body = {"task": task_key, "fields": [{"pointer": p, "value": v} for p, v in fields.items()]}
        headers = {"Idempotency-Key": uuid4().hex}
        return await self.request("POST", f"/applications/{application}/corrections", json=body, headers=headers)

    async def consents(self, application: UUID) -> dict[tuple[str, str], ConsentOut]:
        """What is asked of whom, by basis and giver."""
        answer = await self.request("GET", f"/applications/{application}/consents")
        found = _consents.validate_json(answer.raise_for_status().content)
        return {(consent.basis, consent.giver): consent for consent in found}

    async def answer(self, application: UUID, **body: Any) -> httpx.Response:
        """Agree or refuse: `give` and `refuse` bases, or present an `authorisation`."""
        headers = {"Idempotency-Key": uuid4().hex}
        return await self.request("POST", f"/applications/{application}/consents", json=body, headers=headers)

    async def withdraw(self, application: UUID) -> httpx.Response:
        return await self.request("POST", f"/applications/{application}/withdrawal")

    async def application(self, application: UUID) -> ApplicationOut:
        answer = await self.request("GET", f"/applications/{application}")
        return ApplicationOut.model_validate_json(answer.raise_for_status().content)

    async def timeline(self, application: UUID) -> list[EntryOut]:
        answer = await self.request("GET", f"/applications/{application}/timeline")
        return _timeline.validate_json(answer.raise_for_status().content)

    async def wait_for(
        self, application: UUID, condition: Callable[[ApplicationOut], bool], *, what: str, within: float = WITHIN_S
    ) -> ApplicationOut:
        """The application as it is when `condition` first holds."""
        seen: list[ApplicationOut] = []

        async def holds() -> bool:
            seen[:] = [await self.application(application)]
            return condition(seen[0])

        try:
            await wait_until(holds, what=what, within=within)
        except TimeoutError as error:
            raise AssertionError(f"{error}; the tasks are {states(seen[0])}") from None
        return seen[0]

    async def wait_until_over(self, application: UUID, *, within: float = WITHIN_S) -> ApplicationOut:
        return await self.wait_for(application, is_over, what=f"the end of {application}", within=within)

    async def wait_for_state(self, application: UUID, **wanted: TaskState) -> ApplicationOut:
        """Wait until these tasks (`B2_1` is B2-1) have these states."""
        goal = {key.replace("_", "-"): state for key, state in wanted.items()}
        return await self.wait_for(application, lambda a: goal.items() <= states(a).items(), what=str(goal))

    async def progress(self, application: UUID, *, after: int = 0) -> AsyncIterator[tuple[int, EntryOut]]:
        """The live stream from `after` on: the id of each event and what it says."""
        url = f"{self.city.platform.url('approval')}/v1/applications/{application}/progress"
        token = await self.city.token(self.account)
        headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": str(after)}
        async with self.city.http.stream("GET", url, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            event: dict[str, str] = {}
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name and value:
                    event[name] = value
                elif not line and "data" in event:
                    yield int(event["id"]), EntryOut.model_validate_json(event["data"])
                    event = {}


@dataclass(frozen=True)
class Official:
    """An official at the desk of a department's program."""

    city: City
    department: str
    account: str

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        token = await self.city.token(self.account, get_department(self.department).principal)
        url = f"{self.city.platform.url(self.department)}/desk{path}"
        return await self.city.http.request(method, url, headers={"Authorization": f"Bearer {token}"}, **options)

    async def find(self, application: UUID, matter: str) -> dict[str, Any]:
        """The task of this matter as it stands in the desk's list."""
        listed = (await self.request("GET", "/tasks", params={"limit": 200})).raise_for_status().json()
        return next(t for t in listed if t["application_id"] == str(application) and t["matter"] == matter)

    async def decide(self, task_id: str, act: str = "APPROVE", reason: str = "") -> httpx.Response:
        return await self.request("POST", f"/tasks/{task_id}/decision", json={"act": act, "reason": reason})

    async def approve(self, application: UUID, matter: str) -> None:
        found = await self.find(application, matter)
        answer = await self.decide(found["task_id"])
        assert answer.status_code == 200, answer.text


def all_services() -> tuple[str, ...]:
    return tuple(service.name for service in SERVICES)


def standard_form(one: Family, *, by: str = "MOTHER", **parts: Mapping[str, Any]) -> dict[str, Any]:
    """The family's form as this parent hands it in; each of `parts` is laid over the part that has its name."""
    form = form_of(one, applicant=by)
    return form | {name: {**form[name], **changes} for name, changes in parts.items()}


def _toml(content: Mapping[str, Any]) -> str:
    """A list of flat tables; JSON's notation of a value is TOML's too, but for tables inside one."""
    lines = []
    for rule in content["rule"]:
        lines.append("[[rule]]")
        lines += [f"{name} = {_inline(value)}" for name, value in rule.items()]
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{name} = {_inline(member)}" for name, member in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(_inline(member) for member in value) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)
