"""`yijian restore`: what was lost comes back, one kind of loss a command. Only `forget` deletes anything."""

import asyncio
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka.admin import AdminClient
from psycopg.conninfo import make_conninfo
from yijian_contracts.departments import departments
from yijian_embedded import archiving, postgres
from yijian_embedded.archive import archive_of, bases, begin_line, current_line, find_base, stamp
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import locked, make_private_folder
from yijian_embedded.keys_backup import put_keys_back
from yijian_embedded.platform import Platform
from yijian_embedded.ports import choose_ports
from yijian_embedded.processes import find_running, recorded
from yijian_embedded.provisioning import SERVICE_DATABASES
from yijian_embedded.recovery import (
    SCRATCH,
    copy_database,
    drop_former,
    former_databases,
    is_there,
    recover_server,
    scratch_server,
)
from yijian_embedded.topology import port_names
from yijian_ledger import provisioning as ledger

from yijian_cli.backup import Archive, ready_platform
from yijian_cli.ledger_forward import bring_forward, leaves_missing
from yijian_cli.new_kafka import KEPT_DAYS, begin_anew
from yijian_cli.output import AsJson, console, print_json
from yijian_cli.platform import this_platform
from yijian_cli.stores import Operator, Reason, checked_reason, login_name

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Bring back what was lost: the database server, one database, a department's store, keys, or Kafka's part.",
)

SERVERS = (archiving.NAME, postgres.NAME, SCRATCH)


def _moment(text: str) -> datetime:
    """A moment by this machine's clock, or by the offset that it names."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise typer.BadParameter(
            "write it as 2026-11-21T03:14:00, or with an offset as 2026-11-21T03:14:00+08:00"
        ) from None


@app.command()
def server(*, archive: Archive = None, as_json: AsJson = False) -> None:
    """The database server's files are lost: make them anew, with everything that had arrived in the archive."""
    began = time.monotonic()
    platform = this_platform()
    folder = archive_of(platform.home, archive)
    _refuse_while_running(platform, (), advice="run `yijian down` first")
    if not platform.home.secrets.exists():
        raise PlatformError(f"{platform.home.secrets} is missing, so nobody could enter: `yijian restore keys` first")
    with locked(platform.home):
        archiving.stop_receiver(platform.home)
        ports = platform.ports or choose_ports(platform.home, port_names(platform.shape), occupied=frozenset())
        base = find_base(folder, None)
        recovered = recover_server(platform.home, ports, base)
        if current_line(platform.home):
            begin_line(platform.home, folder)
    told = {
        "copy": base.name,
        "last_transaction": recovered.last_transaction.isoformat() if recovered.last_transaction else None,
        "replaced": str(recovered.replaced) if recovered.replaced else None,
        "seconds": round(time.monotonic() - began, 1),
    }
    if as_json:
        print_json(told)
        return
    console.print(f"The server is back with everything up to {told['last_transaction']} ({told['seconds']} s).")
    if recovered.replaced:
        console.print(f"Its former files are in {recovered.replaced}: delete them when nobody needs them.")
    copy = "backup now" if current_line(platform.home) else f"backup start --to {folder}"
    console.print(f"Now `yijian up`, then `yijian {copy}` and `yijian reconcile`.", highlight=False, soft_wrap=True)


@app.command()
def database(
    name: Annotated[str, typer.Argument(metavar="DATABASE", help=f"{', '.join(SERVICE_DATABASES)}.")],
    *,
    to: Annotated[
        datetime,
        typer.Option(
            "--to", parser=_moment, metavar="TIME", help="The moment before the harm, as 2026-11-21T03:14:00."
        ),
    ],
    archive: Archive = None,
    as_json: AsJson = False,
) -> None:
    """One database was harmed, by a person or a program: put it back to a moment. The others lose nothing."""
    began = time.monotonic()
    if name not in SERVICE_DATABASES:
        raise PlatformError(f"{name!r} is no database: name {', '.join(SERVICE_DATABASES)}")
    platform = ready_platform()
    _refuse_while_running(
        platform, (*platform.brokers, *SERVERS), advice="run `yijian down` and `yijian up --infra-only` first"
    )
    if to > datetime.now(UTC):
        raise PlatformError(f"{to.isoformat()} has not come yet")
    base = find_base(archive_of(platform.home, archive), to)
    brought = 0
    with locked(platform.home):
        if archiving.receiving(platform.postgres_admin_url).connected:
            archiving.catch_up(platform.postgres_admin_url)
        with scratch_server(platform.home, base, to) as then:
            former = copy_database(platform.home, name, source=then, target=platform.postgres_admin_url)
        if name == ledger.SERVICE:
            urls = (make_conninfo(platform.postgres_admin_url, dbname=one) for one in (former, name))
            brought = bring_forward(*urls)
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        print_json({"database": name, "to": to.isoformat(), "former": former, "leaves": brought, "seconds": seconds})
        return
    console.print(f"{name} is as it was at {to.astimezone().isoformat()} ({seconds} s).", highlight=False)
    console.print(f"The one that was there is called {former}: `yijian reconcile` compares them.", highlight=False)
    if brought:
        console.print(f"{brought} leaves of the ledger, which does not go back, were brought forward.", highlight=False)
    console.print("Now `yijian up`, then `yijian reconcile`.", highlight=False)


@app.command()
def forget(
    former: Annotated[str, typer.Argument(metavar="FORMER", help="Such as approval@20261121T031502.000000Z.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Nobody needs what `restore database` put aside any more: delete it, with what people were promised to forget."""
    platform = ready_platform()
    url = platform.postgres_admin_url
    name = former.partition("@")[0]
    known = former_databases(url, name)
    if former not in known:
        raise PlatformError(f"{former!r} was not put aside: {', '.join(known) or 'nothing is, under that name'}")
    if not yes:
        typer.confirm(f"Delete {former} with everything in it?", abort=True)
    with locked(platform.home):
        _refuse_the_last(url, former, name)
        drop_former(url, former)
    if as_json:
        print_json({"forgotten": former})
        return
    console.print(f"{former} is gone.", highlight=False)


@app.command()
def department(
    code: Annotated[str, typer.Argument(metavar="DEPARTMENT", help=f"{', '.join(departments())}.")],
    *,
    archive: Archive = None,
    as_json: AsJson = False,
) -> None:
    """A department's store is lost: put the newest copy in its place. It hears from Kafka again what came since."""
    if code not in departments():
        raise PlatformError(f"{code!r} is no department: name {', '.join(departments())}")
    platform = this_platform()
    if find_running(platform.home, code):
        raise PlatformError(f"{code} is running: stop it first, with `yijian down`")
    copies = [base.line.stores / base.name / f"{code}.db" for base in bases(archive_of(platform.home, archive))]
    found = [copy for copy in copies if copy.is_file()]
    if not found:
        raise PlatformError(f"there is no copy of {code}'s store: see `yijian backup list`")
    replaced = _put_store(found[-1], platform.home.department_store(code))
    if as_json:
        print_json({"department": code, "copy": str(found[-1]), "replaced": str(replaced) if replaced else None})
        return
    console.print(f"{code} has its store of {found[-1].parent.name} again.", highlight=False)
    if replaced:
        console.print(f"The one that was there is {replaced}.", highlight=False)


@app.command()
def keys(
    *,
    source: Annotated[Path, typer.Option("--from", help="The folder that `yijian backup keys` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Key files or passwords are lost: put back what is missing, before anything is started and makes others."""
    names = put_keys_back(this_platform().home, source.resolve())
    if as_json:
        print_json({"files": names})
        return
    console.print(f"Put back: {', '.join(names)}." if names else "Nothing was missing.")


@app.command("kafka")
def kafka_(
    *,
    reason: Reason,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            parser=_moment,
            metavar="TIME",
            help=f"Say again what was said since; {KEPT_DAYS} days if not given.",
        ),
    ] = None,
    by: Operator = "",
    as_json: AsJson = False,
) -> None:
    """Kafka is lost and another in its place: everybody reads it from its beginning and says again what is kept."""
    platform = ready_platform()
    _refuse_while_running(
        platform, (*platform.brokers, *SERVERS), advice="run `yijian down` and `yijian up --infra-only` first"
    )
    # Held by a name: a client that nobody holds ends before it has its answer.
    admin = AdminClient(platform.kafka_admin.client_config())
    cluster = admin.describe_cluster(request_timeout=10).result().cluster_id
    start = since or datetime.now(UTC) - timedelta(days=KEPT_DAYS)
    done = asyncio.run(begin_anew(cluster, start, reason=checked_reason(reason), by=by or login_name()))
    if as_json:
        print_json({"cluster": cluster, "services": done})
        return
    for service, (offsets, waiting) in done.items():
        console.print(f"{service}: {offsets} offsets forgotten, {waiting} messages are said again", highlight=False)
    console.print("Now `yijian up`, then `yijian reconcile`.", highlight=False)


def _refuse_the_last(url: str, former: str, name: str) -> None:
    """A restore may have ended halfway: what stands nowhere else is kept."""
    if not is_there(url, name):
        raise PlatformError(f"there is no {name}: {former} is all that is left of it")
    urls = (make_conninfo(url, dbname=one) for one in (former, name))
    if name == ledger.SERVICE and (alone := leaves_missing(*urls)):
        raise PlatformError(f"{alone} leaves of the ledger stand in {former} alone: restore data-exchange again first")


def _put_store(copy: Path, store: Path) -> Path | None:
    """Put a copy in the place of a store, which keeps its log under another name."""
    make_private_folder(store.parent)
    aside = store.with_name(f"{store.name}.replaced-{stamp()}") if store.exists() else None
    if aside:
        with closing(sqlite3.connect(store)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.rename(aside)
    for rest in (store.with_name(f"{store.name}-wal"), store.with_name(f"{store.name}-shm")):
        rest.unlink(missing_ok=True)
    draft = store.with_name(f".{store.name}")
    shutil.copyfile(copy, draft)
    draft.chmod(0o600)
    draft.rename(store)
    return aside


def _refuse_while_running(platform: Platform, allowed: tuple[str, ...], *, advice: str) -> None:
    running = [name for name in recorded(platform.home) if name not in allowed and find_running(platform.home, name)]
    if running:
        raise PlatformError(f"{', '.join(running)} would write meanwhile: {advice}")
