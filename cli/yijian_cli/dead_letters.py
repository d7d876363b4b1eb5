"""`yijian dead-letters`: messages that a service could not handle or send, and what becomes of them."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from yijian_contracts.cloudevents import UndecodableError, decode
from yijian_embedded.errors import PlatformError
from yijian_messaging import Store
from yijian_messaging.record import Record
from yijian_messaging.store import DeadLetter, LetterKind, LetterState

from yijian_cli.letter_view import as_json as letter_json
from yijian_cli.letter_view import header_texts, value_text
from yijian_cli.output import AsJson, console, print_json, print_table
from yijian_cli.stores import (
    Operator,
    Reason,
    ServiceName,
    checked_reason,
    login_name,
    open_store,
    record_action,
    store_address,
)
from yijian_cli.wording import day_and_time

OPEN = (LetterState.DEAD, LetterState.REPLAY)
HANDLED_WITHIN_S = 15.0

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Messages that a service could not handle: look, replay, discard."
)

LetterId = Annotated[int, typer.Argument(metavar="ID", help="The dead letter's number in that service.")]
LetterIds = Annotated[list[int], typer.Argument(metavar="ID…", help="The dead letters' numbers in that service.")]


@dataclass(frozen=True)
class Decision:
    """What an operator decided about a letter."""

    letter: int
    reason: str
    by: str


@app.command("list")
def list_letters(
    service: ServiceName,
    *,
    state: Annotated[LetterState | None, typer.Option(help="Only these; by default those that wait.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many of each state.")] = 100,
    as_json: AsJson = False,
) -> None:
    """What waits for a decision, oldest first."""
    letters = asyncio.run(_list(service, (state,) if state else OPEN, limit))
    if as_json:
        print_json([letter_json(letter) for letter in letters])
        return
    rows = [
        (x.id, x.state, day_and_time(x.created_at), x.consumer, _place(x), x.error + (f" — {x.note}" if x.note else ""))
        for x in letters
    ]
    print_table(f"Dead letters of {service}", ("id", "state", "since", "consumer", "from", "why"), rows)


async def _list(service: str, states: tuple[LetterState, ...], limit: int) -> list[DeadLetter]:
    async with open_store(store_address(service)) as opened:
        return [letter for state in states for letter in await opened.store.letters(state=state, limit=limit)]


@app.command()
def show(
    service: ServiceName,
    letter_id: LetterId,
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show personal values too; the look is recorded.")] = False,
    reason: Reason = "",
    by: Operator = "",
    as_json: AsJson = False,
) -> None:
    """One dead letter. What is personal in it is hidden unless you --reveal it and say why."""
    look = Decision(letter_id, checked_reason(reason), by or login_name()) if reveal else None
    letter = asyncio.run(_show(service, letter_id, look))
    if as_json:
        print_json(letter_json(letter, value=value_text(letter.record, reveal=reveal), reveal=reveal))
        return
    console.print(Text(f"{letter.kind} {letter.id} of {service} · {letter.state}", style="bold"))
    for name, text in (
        ("since", day_and_time(letter.created_at)),
        ("consumer", letter.consumer),
        ("from", _place(letter)),
        ("why", letter.error),
        ("note", letter.note),
        *((f"header {name}", text) for name, text in header_texts(letter.record, reveal=reveal)),
    ):
        if text:
            console.print(Text.assemble((f"{name:>24}  ", "dim"), text), soft_wrap=True)
    console.print()
    console.print(value_text(letter.record, reveal=reveal), markup=False, highlight=False, soft_wrap=True)
    if not reveal:
        console.print("\nHidden values: --reveal --reason 'why' shows them and is recorded.", style="dim")


async def _show(service: str, letter_id: int, look: Decision | None) -> DeadLetter:
    async with open_store(store_address(service)) as opened:
        letter = await _get(opened.store, service, letter_id)
        if look is not None:
            async with opened.store.transaction() as tx:
                what = "looked at the values of this dead letter"
                await record_action(tx, "reveal", str(letter_id), what=what, reason=look.reason, by=look.by)
        return letter


@app.command()
def replay(
    service: ServiceName,
    letter_id: LetterId,
    *,
    reason: Reason,
    value: Annotated[Path | None, typer.Option(help="A file with an edited value to handle instead.")] = None,
    by: Operator = "",
    as_json: AsJson = False,
) -> None:
    """Have the service handle a dead letter again, as the same event. Waits for what comes of it."""
    decision = Decision(letter_id, checked_reason(reason), by or login_name())
    edited = _read(value) if value else None
    letter = asyncio.run(_replay(service, decision, edited))
    if as_json:
        print_json(letter_json(letter))
    else:
        console.print(_outcome(letter, service), markup=False, highlight=False, soft_wrap=True)
    if letter.state is LetterState.DEAD:
        raise typer.Exit(1)


def _outcome(letter: DeadLetter, service: str) -> str:
    match letter.state:
        case LetterState.REPLAYED if letter.kind is LetterKind.UNSENDABLE:
            return f"Dead letter {letter.id} is to be sent again."
        case LetterState.REPLAYED:
            return f"Dead letter {letter.id} was handled."
        case LetterState.DEAD:
            return f"Dead letter {letter.id} failed again: {letter.note.removeprefix('replay failed: ')}"
        case _:
            return f"Dead letter {letter.id} waits: {service} handles it as soon as it runs."


async def _replay(service: str, decision: Decision, edited: bytes | None) -> DeadLetter:
    async with open_store(store_address(service)) as opened:
        store = opened.store
        letter = await _get_open(store, service, decision.letter)
        if edited is not None:
            _check_value(letter.record, edited)
        async with store.transaction() as tx:
            what = f"had this dead letter handled again{' with an edited value' if edited is not None else ''}"
            await record_action(tx, "replay", str(letter.id), what=what, reason=decision.reason, by=decision.by)
        note = f"{decision.reason} ({decision.by})"
        if not await store.request_replay(letter.id, note=note, value=edited):
            raise PlatformError(f"Dead letter {letter.id} was settled by somebody else meanwhile.")
        deadline = time.monotonic() + HANDLED_WITHIN_S
        while (letter := await _get(store, service, letter.id)).state is LetterState.REPLAY:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
        return letter


@app.command()
def discard(
    service: ServiceName, letter_ids: LetterIds, *, reason: Reason, by: Operator = "", as_json: AsJson = False
) -> None:
    """Give dead letters up for good."""
    why, who = checked_reason(reason), by or login_name()
    discarded = asyncio.run(
        _discard(service, [Decision(letter_id, why, who) for letter_id in dict.fromkeys(letter_ids)])
    )
    if as_json:
        print_json([letter_json(letter) for letter in discarded])
        return
    for letter in discarded:
        console.print(f"Dead letter {letter.id} of {service} is discarded.", markup=False, highlight=False)


async def _discard(service: str, decisions: Sequence[Decision]) -> list[DeadLetter]:
    """None of them, when one cannot be."""
    async with open_store(store_address(service)) as opened:
        store = opened.store
        for decision in decisions:
            await _get_open(store, service, decision.letter)
        return [await _give_up(store, service, decision) for decision in decisions]


async def _give_up(store: Store[Any], service: str, decision: Decision) -> DeadLetter:
    letter, what = decision.letter, "discarded this dead letter"
    async with store.transaction() as tx:
        await record_action(tx, "discard", str(letter), what=what, reason=decision.reason, by=decision.by)
    if not await store.discard(letter, note=f"{decision.reason} ({decision.by})"):
        raise PlatformError(f"Dead letter {letter} was settled by somebody else meanwhile.")
    return await _get(store, service, letter)


async def _get(store: Store[Any], service: str, letter_id: int) -> DeadLetter:
    letter = await store.letter(letter_id)
    if letter is None:
        raise PlatformError(f"{service} has no dead letter {letter_id}: see `yijian dead-letters list {service}`.")
    return letter


async def _get_open(store: Store[Any], service: str, letter_id: int) -> DeadLetter:
    letter = await _get(store, service, letter_id)
    if letter.state not in OPEN:
        raise PlatformError(f"Dead letter {letter_id} of {service} is {letter.state} already ({letter.note}).")
    return letter


def _read(value: Path) -> bytes:
    try:
        return value.read_bytes()
    except OSError as error:
        raise PlatformError(f"{value} cannot be read: {error.strerror}.") from None


def _check_value(record: Record, edited: bytes) -> None:
    """An edited value that no service would understand is refused at once."""
    try:
        decode(record.headers, edited)
    except UndecodableError as error:
        raise PlatformError(f"The edited value would fail again: {error}.") from None


def _place(letter: DeadLetter) -> str:
    record = letter.record
    if letter.kind is LetterKind.UNSENDABLE:
        return f"to {record.topic}"
    return f"{record.topic}/{record.partition}@{record.offset}"
