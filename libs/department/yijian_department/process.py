"""The process of a department: its settings, and what runs in it."""

import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import unquote, urlsplit

import httpx
from fastapi import FastAPI
from pydantic import model_validator
from yijian_common import process
from yijian_common.app import create_app
from yijian_common.auth import FileKeySetStore, TokenVerifier
from yijian_common.crypto import KeyFileError, Keyring
from yijian_common.errors import Problem, ServiceUnavailable
from yijian_common.messages import kafka_connection, tuning, unhurried
from yijian_common.settings import ProcessSettings, Role, ServiceSettings, load_settings
from yijian_contracts.cloudevents import UndecodableError, decode
from yijian_contracts.events import TaskCancelled, TaskRequested
from yijian_messaging.component import Component
from yijian_messaging.consumer import Consumer
from yijian_messaging.record import Decoded, Record
from yijian_messaging.relay import Relay

from yijian_department.desk import desk_routes
from yijian_department.handling import TaskMessage
from yijian_department.matters import Definition, R
from yijian_department.office import Office
from yijian_department.script import ScriptFile

FETCH_SECONDS = 5


class DepartmentSettings(ServiceSettings):
    """A service's settings and, for tests and demos, fictitious records to begin with and a script of what happens."""

    principal: ClassVar[str]

    records_file: Path | None = None
    script_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _service_is_the_principal(cls, values: dict[str, object]) -> dict[str, object]:
        return values if values.get("service") else {**values, "service": cls.principal}

    @model_validator(mode="after")
    def _fiction_is_for_demos(self) -> Self:
        if self.in_production and self.script_file is not None:
            raise ValueError("YIJIAN_SCRIPT_FILE decides in place of people; it is refused in production")
        if self.in_production and self.records_file is not None:
            raise ValueError("YIJIAN_RECORDS_FILE holds fictitious records; it is refused in production")
        return self

    @property
    def database(self) -> Path:
        """The SQLite file of ``sqlite:////absolute/path.db``."""
        url = urlsplit(self.database_url.get_secret_value())
        path = Path(unquote(url.path)[1:])
        if url.scheme != "sqlite" or url.netloc or not path.is_absolute():
            raise process.StartError("YIJIAN_DATABASE_URL of a department has the form sqlite:////absolute/path.db.")
        return path


def run(definition: Definition[R], *, at_work: Callable[[Office[R]], None]) -> None:
    """Run the department until it is told to stop; does not return. `at_work` is called when its store is open."""
    kind: type[DepartmentSettings] = type("Settings", (DepartmentSettings,), {"principal": definition.entry.principal})
    settings = load_settings(kind)
    process.run(settings, partial(build, definition, settings, at_work))


async def build(
    definition: Definition[R],
    settings: DepartmentSettings,
    at_work: Callable[[Office[R]], None],
    stack: AsyncExitStack,
) -> tuple[FastAPI, list[Component]]:
    """The department's app and components, over a store that `stack` closes."""
    office = await _open_office(definition, settings)
    stack.push_async_callback(office.close)
    at_work(office)
    if settings.records_file is not None and settings.records_file.exists():
        await _load(office, settings.records_file)
    components: list[Component] = []
    if settings.plays(Role.WORKER):
        components += [_consumer(office, settings), office.scheduler]
    if settings.plays(Role.RELAY):
        components.append(
            Relay(store=office.store, kafka=kafka_connection(settings), tuning=unhurried(tuning(settings)))
        )
    tokens = await _token_verifier(settings, stack)
    if tokens is not None:
        components.append(tokens)
    return build_app(office, settings, tokens), components


def build_app(office: Office[Any], settings: ProcessSettings, tokens: TokenVerifier | None) -> FastAPI:
    """Health for everybody, and the desk where officials' tokens can be verified."""
    app = create_app(
        settings,
        title=f"{office.definition.entry.name}办理台",
        routers=[] if tokens is None else [desk_routes(office.definition.code)],
        ready=partial(_not_ready_because, office),
        translate=partial(_problem_of, office),
    )
    app.state.office = office
    app.state.tokens = tokens
    return app


async def _open_office(definition: Definition[R], settings: DepartmentSettings) -> Office[R]:
    try:
        keyring = Keyring.load(settings.key_file, settings.cipher)
        # In production people decide and pay; a demo has the file's script, then the department's own.
        script = None if settings.in_production else ScriptFile(settings.script_file, fallback=definition.script)
        return await Office.open(definition, database=settings.database, keyring=keyring, script=script)
    except KeyFileError as error:
        raise process.StartError(f"{definition.code}: {error}.") from None
    except (OSError, sqlite3.Error) as error:
        raise process.StartError(
            f"{definition.code} cannot open its database ({type(error).__name__}); check YIJIAN_DATABASE_URL."
        ) from None


async def _load(office: Office[Any], path: Path) -> None:
    try:
        await office.load_records(path)
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:
        what = error if isinstance(error, ValueError | NotImplementedError) else type(error).__name__
        raise process.StartError(f"{office.definition.code} cannot load its records: {what}.") from None


def _consumer(office: Office[Any], settings: DepartmentSettings) -> Consumer[TaskMessage, sqlite3.Connection]:
    entry = office.definition.entry
    return Consumer(
        group=f"{entry.principal}.tasks",
        topics=[entry.tasks_topic],
        store=office.store,
        kafka=kafka_connection(settings),
        decode=partial(decode_task, entry.code),
        handle=office.handling.receive,
        tuning=tuning(settings),
    )


def decode_task(department: str, record: Record) -> Decoded[TaskMessage]:
    """The task request or cancellation in a record. Raises `UndecodableError`.

    The id names the delivery, not the event: a request that is sent again has to be answered again, and what makes its
    effect unique is the task id.
    """
    event = decode(record.headers, record.value)
    content = event.data
    if not isinstance(content, TaskRequested | TaskCancelled):
        raise UndecodableError("not an event that a department receives")
    if content.department != department:
        raise UndecodableError("a task for another department")
    return Decoded(f"{event.id}@{record.partition}:{record.offset}", content, event.traceparent)


async def _token_verifier(settings: DepartmentSettings, stack: AsyncExitStack) -> TokenVerifier | None:
    """Verifies officials' tokens for the desk; without an issuer there is no desk."""
    if settings.identity_issuer is None or not settings.plays(Role.API):
        return None
    http = await stack.enter_async_context(httpx.AsyncClient(timeout=FETCH_SECONDS))
    store = FileKeySetStore(settings.database.with_suffix(".identity-keys.json"))
    tokens = TokenVerifier(issuer=settings.identity_issuer, audience=settings.audience, http=http, store=store)
    await tokens.load_stored_keys()
    return tokens


async def _not_ready_because(office: Office[Any]) -> str | None:
    await office.store.ping()
    return None


def _problem_of(office: Office[Any], error: Exception) -> Problem | None:
    return ServiceUnavailable() if office.store.is_transient(error) else None
