"""The clients: what the plan says, when it says so, as often as it takes, and every attempt in the history.

Open loop: an operation begins at its moment, however slow the answers to earlier ones are. A change that was not
answered is asked again with the same key at the other address, until somebody decides.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from yijian_contracts.events import GivenConsent
from yijian_examples.family import Family
from yijian_examples.forms import form_of
from yijian_examples.population import family

from yijian_chaos.history import Call, Ending, History, Kind, Phase
from yijian_chaos.http_client import Answer, RefusedError, UnansweredError, request
from yijian_chaos.judging import is_decided, is_token_trouble, judge, judge_silence, pause_before
from yijian_chaos.operations import MISTAKEN_MARRIAGE, Operation, Wish
from yijian_chaos.people import People

ANSWER_WITHIN_S = 6.0
LOOK_WITHIN_S = 6.0
LOOK_AGAIN_AFTER_S = 1.0
# Tokens and the other parent's word are at hand before the moment comes, so that identity may be down for a while.
PREPARED_AHEAD_S = 100.0
MOST_PROBES = 50
MOTHERS_CONSENTS = ("benefit-account", "parenting-guidance")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the clients go: the two processes of approval's API, by the names that the history gives them."""

    approval: Mapping[str, str]
    data_exchange: str
    identity: str


@dataclass(slots=True)
class Case:
    """One family's application as its mother knows it: begun (Unix seconds), accepted under an id or refused (None)."""

    number: int
    key: str
    mistaken: bool
    body: bytes = b""
    accepted: asyncio.Future[str | None] = field(default_factory=asyncio.Future)
    began: float = 0.0
    first: int | None = None
    doubtful: bool = False


class Clients:
    """Everybody who applies during one run. `seed` makes the keys, so that no two runs share one."""

    def __init__(self, addresses: Addresses, people: People, history: History, *, today: date, seed: int) -> None:
        self.addresses = addresses
        self.people = people
        self.cases: dict[int, Case] = {}
        self._history = history
        self._today = today
        self._seed = seed
        self._names = tuple(addresses.approval)
        self._open: set[asyncio.Task[None]] = set()
        self.failures: list[BaseException] = []

    # --- the load ----------------------------------------------------------------------------------------------------

    async def run(self, plan: Sequence[Operation], *, begins_at: float) -> None:
        """Begin every operation at its moment (monotonic `begins_at` and what it says); returns when the last began."""

        def prepared(operation: Operation) -> float:
            return operation.at - (PREPARED_AHEAD_S if operation.wish is Wish.SUBMIT else 0.0)

        for operation in sorted(plan, key=prepared):
            await _until(begins_at + prepared(operation))
            self._case(operation.family, mistaken=operation.story.mistaken)
            self.begin(self.carry_out(operation, moment=begins_at + operation.at))
        await _until(begins_at + max((operation.at for operation in plan), default=0.0))

    def begin(self, work: Any) -> None:
        """Let an operation take its time beside the others."""
        task = asyncio.create_task(work)
        self._open.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures.append(error)

    async def drain(self, *, within_s: float) -> int:
        """Wait until every operation is decided, then ask once more wherever it was ever in doubt.

        Returns how many were still undecided when the time was over, and gives those up.
        """
        deadline = time.monotonic() + within_s
        await self._wait(deadline)
        for case in [case for case in self.cases.values() if case.doubtful and case.accepted.done()]:
            self.begin(self._say_again(case))
        await self._wait(deadline)
        undecided = list(self._open)
        await self.stop()
        return len(undecided)

    async def stop(self) -> None:
        """Give up what is under way."""
        under_way = list(self._open)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _wait(self, deadline: float) -> None:
        while self._open and time.monotonic() < deadline:
            await asyncio.wait(self._open, timeout=max(0.0, deadline - time.monotonic()))

    async def carry_out(self, operation: Operation, *, moment: float) -> None:
        """One operation of the plan, begun at `moment` (monotonic) at the earliest."""
        case = self._case(operation.family, mistaken=operation.story.mistaken)
        match operation.wish:
            case Wish.SUBMIT:
                await self.submit(case, address=operation.address, moment=moment)
            case Wish.LOOK:
                await self.look(case, address=operation.address)
            case Wish.REPEAT:
                if await asyncio.shield(case.accepted) is not None:
                    await self._submission(case, address=operation.address, deliberate=True)
            case Wish.CORRECT:
                await self._correct(case, address=operation.address)
            case Wish.WITHDRAW:
                await self._withdraw(case, address=operation.address, wait=operation.wait)
            case Wish.WITHDRAW_CONSENT:
                await self._withdraw_consent(case)

    # --- wishes ------------------------------------------------------------------------------------------------------

    def _case(self, number: int, *, mistaken: bool = False) -> Case:
        if number not in self.cases:
            key = uuid5(NAMESPACE_URL, f"yijian-chaos:{self._seed}:{number}").hex
            self.cases[number] = Case(number, key, mistaken)
        return self.cases[number]

    async def apply(self, number: int, *, address: int = 0) -> str | None:
        """Have this family apply now; the application's id, or None when it was refused."""
        case = self._case(number)
        await self.submit(case, address=address, moment=0.0)
        return await case.accepted

    async def probe(self, number: int) -> None:
        """Have this family apply, for whoever wants to see whether an application is decided."""
        await self.apply(number, address=number % 2)

    def accepted_since(self, moment: float) -> list[str]:
        """Some accepted applications that nothing keeps from being decided, handed in after this moment (Unix)."""
        return [
            found
            for case in self.cases.values()
            if case.began > moment and not case.mistaken and case.accepted.done()
            if (found := case.accepted.result()) is not None
        ][:MOST_PROBES]

    async def submit(self, case: Case, *, address: int, moment: float) -> None:
        """Hand in the form, with everything at hand before the moment comes."""
        one = self._family(case.number)
        form = form_of(one)
        if case.mistaken:
            form["marriage"]["cert_no"] = MISTAKEN_MARRIAGE
        await self.people.token(one.account)
        word = await self.people.word(one.father_account, one.account)
        case.body = _json({"life_event": "birth", "form": form, "authorisations": [word]})
        await _until(moment)
        case.began = time.time()
        case.accepted.set_result(await self._submission(case, address=address, deliberate=False))

    async def _submission(self, case: Case, *, address: int, deliberate: bool) -> str | None:
        ending = await self._change(
            case, Kind.SUBMIT, "/v1/applications", address=address, key=case.key, body=case.body, deliberate=deliberate
        )
        return ending.application if ending.phase is Phase.OK else None

    async def _say_again(self, case: Case) -> None:
        """Whatever was in doubt is asked once more when all is quiet: it must be answered as it was."""
        await self._submission(case, address=0, deliberate=True)

    async def look(self, case: Case, *, address: int) -> dict[str, Any] | None:
        """Look at the application, or at the list of one's own while it is not accepted. What was answered, if it was.

        A look is not repeated, except at the other address when the first takes no connection.
        """
        known = case.accepted.result() if case.accepted.done() else None
        path = f"/v1/applications/{known}" if known else "/v1/applications"
        actor = self._family(case.number).account
        first = None
        for turn in range(2):
            name = self._names[(address + turn) % 2]
            call = Call(Kind.QUERY, actor, name, application=known, retry_of=first)
            op, ending, answer = await self._attempt(call, "GET", self.addresses.approval[name] + path, None)
            first = op if first is None else first
            if ending.error != "connection-refused":
                found = answer.json() if answer and ending.phase is Phase.OK else None
                return found if isinstance(found, dict) and known else None
        return None

    async def _correct(self, case: Case, *, address: int) -> None:
        """Look until a department has returned something, then send what is right."""
        if (application := await asyncio.shield(case.accepted)) is None:
            return
        while True:
            found = await self.look(case, address=address)
            if found is not None and found["status"] != "IN_PROGRESS":
                return
            returned = next((task for task in found["tasks"] if task["corrections"]), None) if found else None
            if returned is not None:
                break
            await asyncio.sleep(LOOK_AGAIN_AFTER_S)
        right = form_of(self._family(case.number))
        fields = [{"pointer": c["pointer"], "value": _value_at(right, c["pointer"])} for c in returned["corrections"]]
        await self._change(
            case,
            Kind.CORRECT,
            f"/v1/applications/{application}/corrections",
            address=address,
            application=application,
            key=f"{case.key}-{returned['key']}",
            body=_json({"task": returned["key"], "fields": fields}),
        )

    async def _withdraw(self, case: Case, *, address: int, wait: float) -> None:
        if (application := await asyncio.shield(case.accepted)) is None:
            return
        await asyncio.sleep(wait)
        path = f"/v1/applications/{application}/withdrawal"
        await self._change(case, Kind.WITHDRAW, path, address=address, application=application)

    async def _withdraw_consent(self, case: Case) -> None:
        if (application := await asyncio.shield(case.accepted)) is None:
            return
        basis = MOTHERS_CONSENTS[case.number % len(MOTHERS_CONSENTS)]
        consent = GivenConsent.id_for(UUID(application), basis, "MOTHER")
        path = f"/v1/consents/{consent}/withdrawal"
        await self._change(case, Kind.CONSENT_WITHDRAW, path, address=0, application=application)

    # --- attempts ----------------------------------------------------------------------------------------------------

    async def _change(
        self,
        case: Case,
        kind: Kind,
        path: str,
        *,
        address: int,
        application: str | None = None,
        key: str | None = None,
        body: bytes | None = None,
        deliberate: bool = False,
    ) -> Ending:
        """Ask until it is decided, at one address and the other in turn; how it was decided."""
        first, tries = (case.first if kind is Kind.SUBMIT else None), 0
        digest = sha256(body).hexdigest() if body else None
        while True:
            target, url = self._target(kind, address + tries)
            actor = self._family(case.number).account
            call = Call(kind, actor, target, key, application, digest, first, deliberate)
            op, ending, answer = await self._attempt(call, "POST", url + path, body)
            first, tries = (op if first is None else first), tries + 1
            if kind is Kind.SUBMIT:
                case.first = first
                case.doubtful |= ending.phase is Phase.INFO
            if is_decided(kind, ending):
                return ending
            await asyncio.sleep(pause_before(tries, answer.retry_after if answer else None))

    def _target(self, kind: Kind, turn: int) -> tuple[str, str]:
        if kind is Kind.CONSENT_WITHDRAW:
            return "data-exchange", self.addresses.data_exchange
        name = self._names[turn % len(self._names)]
        return name, self.addresses.approval[name]

    async def _attempt(
        self, call: Call, method: str, url: str, body: bytes | None
    ) -> tuple[int, Ending, Answer | None]:
        audience = "data-exchange" if call.kind is Kind.CONSENT_WITHDRAW else "approval"
        headers = {"Authorization": f"Bearer {await self.people.token(call.actor, audience)}"}
        if call.key is not None:
            headers["Idempotency-Key"] = call.key
        within = LOOK_WITHIN_S if call.kind is Kind.QUERY else ANSWER_WITHIN_S
        op, _ = await self._history.invoke(call)
        answer = None
        try:
            answer = await request(method, url, body=body, headers=headers, within_s=within)
            ending = judge(answer)
        except (RefusedError, UnansweredError) as error:
            ending = judge_silence(error)
        await self._history.end(op, ending)
        if is_token_trouble(ending):
            self.people.forget(call.actor, audience)
        return op, ending, answer

    def _family(self, number: int) -> Family:
        return family(number, today=self._today)


def _value_at(form: Mapping[str, Any], pointer: str) -> Any:
    value: Any = form
    for step in pointer.strip("/").split("/"):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
