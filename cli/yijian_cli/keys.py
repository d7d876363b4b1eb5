"""`yijian keys`: the keys with which identity signs tokens, and having them take turns before their time."""

import asyncio
from typing import Annotated

import typer
from identity.key_rotation import AT_ONCE, PUBLISHED_AHEAD, StoredKey, rotate, stored_keys, withdraw_others

from yijian_cli.output import AsJson, console, print_json, print_table
from yijian_cli.stores import (
    IDENTITY,
    Operator,
    Reason,
    checked_reason,
    login_name,
    open_store,
    record_action,
    store_address,
)
from yijian_cli.wording import day_and_time

MEANINGS = {"NEXT": "published, signs later", "SIGNS": "signs", "OLD": "signs no more, its tokens still count"}

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The keys with which identity signs tokens.")


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """The keys in the order of their turns."""
    _show(asyncio.run(_stored()), as_json=as_json)


@app.command("rotate")
def rotate_keys(
    *,
    reason: Reason,
    soon: Annotated[
        bool, typer.Option("--soon", help=f"The next key signs in {AT_ONCE.seconds} seconds instead of minutes.")
    ] = False,
    stolen: Annotated[
        bool,
        typer.Option("--stolen", help="A key is in wrong hands: a new one signs now, every other is withdrawn."),
    ] = False,
    by: Operator = "",
    as_json: AsJson = False,
) -> None:
    """Make the next key: published at once, it signs in twenty minutes. Tokens of the old key go on being good."""
    why, who = checked_reason(reason), by or login_name()
    keys, made = asyncio.run(_rotate(soon=soon, stolen=stolen, reason=why, by=who))
    if not made and not as_json:
        console.print("The next key is waiting already; nothing was done.", highlight=False)
    _show(keys, as_json=as_json)


async def _stored() -> list[StoredKey]:
    async with open_store(store_address(IDENTITY)) as opened, opened.store.transaction() as transaction:
        return await stored_keys(transaction.connection)


async def _rotate(*, soon: bool, stolen: bool, reason: str, by: str) -> tuple[list[StoredKey], bool]:
    """The keys afterwards, and whether one was made."""
    async with open_store(store_address(IDENTITY)) as opened, opened.store.transaction() as transaction:
        held = transaction.connection
        if stolen:
            await withdraw_others(held, opened.keyring)
            what, made = "withdrew every signing key and made a new one", True
        else:
            made = await rotate(held, opened.keyring, ahead=AT_ONCE if soon else PUBLISHED_AHEAD)
            what = "made the next signing key"
        if made:
            await record_action(transaction, "keys", IDENTITY, what=what, reason=reason, by=by)
        return await stored_keys(held), made


def _show(keys: list[StoredKey], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {"kid": key.kid, "state": key.state, "signs_from": key.since.isoformat(), "until": _iso(key)}
                for key in keys
            ]
        )
        return
    rows = [
        (key.kid, MEANINGS[key.state], day_and_time(key.since), day_and_time(key.until) if key.until else "")
        for key in keys
    ]
    print_table("Signing keys of identity", ("key", "state", "signs from", "until"), rows)


def _iso(key: StoredKey) -> str | None:
    return key.until.isoformat() if key.until else None
