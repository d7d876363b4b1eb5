"""approval over HTTP as a resident's program uses it: a token, one application, its live progress."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
from approval.schemas import AcceptedOut, ApplicationOut, ApplicationPage, EntryOut
from pydantic import TypeAdapter
from yijian_embedded.errors import PlatformError
from yijian_examples.forms import other_parent

TIMEOUT_S = 10.0
# The stream says something at least every 15 seconds, if only that it is alive.
SILENCE_S = 45.0
TRIES = 4
PAUSE_S = 0.5
PATIENCE_S = 20.0
_timeline = TypeAdapter(list[EntryOut])


@dataclass(frozen=True)
class ServerSentEvent:
    """One event of a stream: its id, for resuming after it, and its data."""

    id: str
    data: str


def server_sent_events(lines: Iterable[str]) -> Iterator[ServerSentEvent]:
    """The events in the lines of a stream (HTML standard, 9.2.6); comments and events without data are left out."""
    last_id = ""
    data: list[str] = []
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield ServerSentEvent(last_id, "\n".join(data))
            data = []
        elif name == "id":
            last_id = value
        elif name == "data":
            data.append(value)


class Tokens:
    """The tokens of one person. With `fixed` it is that one; otherwise the development login gives new ones."""

    def __init__(self, *, identity: str, account: str, fixed: str | None = None, audience: str = "approval") -> None:
        self.account = account
        self._audience = audience
        self._identity = identity
        self._fixed = fixed
        self._token: str | None = fixed

    def current(self) -> str:
        if self._token is None:
            self._token = self._fetch()
        return self._token

    def renew(self) -> bool:
        """Get a new token in place of one that was refused; False when there is none to get."""
        if self._fixed is not None:
            return False
        self._token = self._fetch()
        return True

    def authorisations(self, giver: str, life_event: str) -> list[str]:
        """What `giver` gives this person by a one-time code, without the code; nothing without a development login."""
        if self._fixed is not None:
            return []
        body = {"account": giver, "actor": self.account, "life_event": life_event}
        try:
            response = httpx.post(f"{self._identity}/dev/authorisation", json=body, timeout=TIMEOUT_S, trust_env=False)
        except httpx.TransportError as error:
            raise unreachable("identity", self._identity, error) from None
        if response.is_error:
            raise refusal(response)
        return [str(response.json()["authorisation"])]

    def _fetch(self) -> str:
        body = {"account": self.account, "audience": self._audience}
        try:
            response = httpx.post(f"{self._identity}/dev/token", json=body, timeout=TIMEOUT_S, trust_env=False)
        except httpx.TransportError as error:
            raise unreachable("identity", self._identity, error) from None
        match response.status_code:
            case 200:
                return str(response.json()["access_token"])
            case 404 if response.headers.get("content-type", "").startswith("application/problem"):
                known = "known ones are mother-000001, father-000001 and so on"
                raise PlatformError(f"identity has no account {self.account!r}: {known} (see examples/README.md)")
            case 404:
                raise PlatformError(
                    f"identity at {self._identity} offers no development login: give a token with --token"
                )
            case _:
                raise refusal(response)


class ApprovalApi:
    """approval at `base`, used by the person whose tokens these are. Every refusal is a `PlatformError`."""

    def __init__(self, base: str, tokens: Tokens) -> None:
        self._base = base
        self._tokens = tokens
        self._http = httpx.Client(base_url=base, timeout=httpx.Timeout(TIMEOUT_S), trust_env=False)

    @property
    def account(self) -> str:
        return self._tokens.account

    def submit(self, life_event: str, form: dict[str, Any], *, authorisations: Sequence[str] = ()) -> AcceptedOut:
        """Hand an application in. Sent again under the same key where no answer came, so it is handed in once.

        `authorisations` are what other parties gave by one-time codes; whoever gave none is asked afterwards.
        """
        application = {"life_event": life_event, "form": form, "authorisations": list(authorisations)}
        body = json.dumps(application, ensure_ascii=False).encode()
        headers = {"Idempotency-Key": str(uuid4()), "Content-Type": "application/json"}
        return AcceptedOut.model_validate_json(self._call("POST", "/v1/applications", content=body, headers=headers))

    def words_of_others(self, life_event: str, form: dict[str, Any]) -> list[str]:
        """The word of the other fictitious parent, as the development login gives it; nothing anywhere else."""
        other = other_parent(self.account, form)
        return [] if other is None else self._tokens.authorisations(other, life_event)

    def applications(self) -> ApplicationPage:
        """The person's applications, the newest first."""
        return ApplicationPage.model_validate_json(self._call("GET", "/v1/applications"))

    def application(self, application_id: UUID) -> ApplicationOut:
        return ApplicationOut.model_validate_json(self._call("GET", f"/v1/applications/{application_id}"))

    def timeline(self, application_id: UUID) -> list[EntryOut]:
        return _timeline.validate_json(self._call("GET", f"/v1/applications/{application_id}/timeline"))

    def form_schema(self, life_event: str) -> dict[str, Any]:
        """The schema of a life event's form, whose titles name its fields."""
        schema: dict[str, Any] = json.loads(self._call("GET", f"/v1/life-events/{life_event}"))["form_schema"]
        return schema

    def progress(self, application_id: UUID) -> Iterator[EntryOut]:
        """Each line of the timeline as it is written, until nothing more will happen.

        A lost connection is taken up again after the last line that came, for `PATIENCE_S` without any.
        """
        last, patient_until = 0, time.monotonic() + PATIENCE_S
        while True:
            try:
                for entry in self._stream(application_id, after=last):
                    last, patient_until = entry.version, time.monotonic() + PATIENCE_S
                    yield entry
                if self._is_over(application_id):
                    return
                patient_until = time.monotonic() + PATIENCE_S
            except UnreachableError:
                if time.monotonic() > patient_until:
                    raise
            time.sleep(PAUSE_S)

    def _is_over(self, application_id: UUID) -> bool:
        return self.application(application_id).status != "IN_PROGRESS"

    def _stream(self, application_id: UUID, *, after: int) -> Iterator[EntryOut]:
        headers = self._authorization() | {"Last-Event-ID": str(after)}
        url, timeout = f"/v1/applications/{application_id}/progress", httpx.Timeout(TIMEOUT_S, read=SILENCE_S)
        try:
            with self._http.stream("GET", url, headers=headers, timeout=timeout) as response:
                if response.status_code == httpx.codes.UNAUTHORIZED and self._tokens.renew():
                    return
                if response.is_error:
                    response.read()
                    raise refusal(response)
                for event in server_sent_events(response.iter_lines()):
                    yield EntryOut.model_validate_json(event.data)
        except httpx.TransportError as error:
            raise unreachable("approval", self._base, error) from None

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens.current()}"}

    def _call(self, method: str, path: str, **request: Any) -> bytes:
        """One request, repeated when approval is away for a moment, and with a new token when the old one expired."""
        given = request.pop("headers", {})
        for attempt in range(1, TRIES + 1):
            last_try = attempt == TRIES
            try:
                response = self._http.request(method, path, headers={**given, **self._authorization()}, **request)
            except httpx.TransportError as error:
                if last_try:
                    raise unreachable("approval", self._base, error) from None
            else:
                match response.status_code:
                    case httpx.codes.UNAUTHORIZED if not last_try and self._tokens.renew():
                        continue
                    case httpx.codes.SERVICE_UNAVAILABLE if not last_try:
                        pass
                    case _ if response.is_error:
                        raise refusal(response)
                    case _:
                        return response.content
            time.sleep(PAUSE_S)
        raise AssertionError("the last try returns or raises")


class UnreachableError(PlatformError):
    """A service does not answer just now."""


def unreachable(service: str, base: str, error: httpx.TransportError) -> UnreachableError:
    """Nobody answers there."""
    return UnreachableError(f"{service} does not answer at {base} ({type(error).__name__}): run `yijian up` first")


def refusal(response: httpx.Response) -> PlatformError:
    """What a service refused, in its own words: problem+json's detail, and a line for each field."""
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return PlatformError("The token was refused: it has expired or is not meant for this service; get a new one.")
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return UnreachableError(f"{response.url.host}:{response.url.port} cannot answer just now; try again shortly")
    try:
        problem = response.json()
        said = dict.fromkeys((problem["title"], problem["detail"]))
        lines = [f"{'：'.join(said)}（{response.status_code}）"]
    except (ValueError, KeyError, TypeError):
        return PlatformError(f"{response.request.url} answered {response.status_code} without saying why")
    rules = [*problem.get("rules", ()), *([""] * len(problem.get("errors", ())))]
    for error, rule in zip(problem.get("errors", ()), rules, strict=False):
        place = error.get("pointer") or error.get("parameter") or ""
        lines.append(f"  {place}  {error['message']}{f'（{rule}）' if rule else ''}")
    if response.is_server_error:
        lines.append(f"  The service's log says more, at request_id {response.headers.get('x-request-id', '?')}.")
    if "application_id" in problem:
        lines.append(f"  yijian watch {problem['application_id']}")
    return PlatformError("\n".join(lines))
