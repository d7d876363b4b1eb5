"""`yijian incidents`: what a person has to look at, and what operators did."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer
from yijian_embedded.errors import PlatformError
from yijian_messaging.store import Incident

from yijian_cli.output import AsJson, console, print_json, print_table
from yijian_cli.stores import Operator, Reason, ServiceName, checked_reason, login_name, open_store, store_address
from yijian_cli.wording import day_and_time

DEAD_LETTER = "dead-letter"
EVERYTHING = 1_000_000

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="What a person has to look at, and what operators did."
)


@app.command("list")
def list_incidents(
    service: ServiceName,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Closed ones too; among them, as operator-…, what operators did.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    as_json: AsJson = False,
) -> None:
    """Incidents, the newest first."""
    incidents = asyncio.run(_list(service, open_only=not everything, limit=limit))
    if as_json:
        print_json([_as_json(incident) for incident in incidents])
        return
    rows = [
        (x.id, day_and_time(x.opened_at), x.kind, x.subject, x.summary, x.resolution if x.closed_at else "open")
        for x in incidents
    ]
    print_table(f"Incidents of {service}", ("id", "opened", "kind", "about", "what", "resolution"), rows)


async def _list(service: str, *, open_only: bool, limit: int) -> list[Incident]:
    async with open_store(store_address(service)) as opened:
        return await opened.store.incidents(open_only=open_only, limit=limit)


@app.command()
def close(
    service: ServiceName,
    incident_id: Annotated[int, typer.Argument(metavar="ID")],
    *,
    reason: Reason,
    by: Operator = "",
    as_json: AsJson = False,
) -> None:
    """Close an incident that somebody has dealt with. That of a dead letter closes with its replay or discard."""
    incident = asyncio.run(_close(service, incident_id, f"{checked_reason(reason)} ({by or login_name()})"))
    if as_json:
        print_json(_as_json(incident))
        return
    console.print(f"Incident {incident_id} of {service} is closed.", highlight=False)


async def _close(service: str, incident_id: int, resolution: str) -> Incident:
    async with open_store(store_address(service)) as opened:
        incident = _find(await opened.store.incidents(limit=EVERYTHING), incident_id)
        if incident is None:
            raise PlatformError(f"{service} has no open incident {incident_id}: see `yijian incidents list {service}`.")
        if incident.kind == DEAD_LETTER:
            command = f"yijian dead-letters replay|discard {service} {incident.subject}"
            raise PlatformError(f"Incident {incident_id} closes with its dead letter: `{command}`.")
        async with opened.store.transaction() as transaction:
            await transaction.close_incident(incident.kind, incident.subject, resolution)
        closed = _find(await opened.store.incidents(open_only=False, limit=EVERYTHING), incident_id)
        return closed or incident


def _find(incidents: list[Incident], incident_id: int) -> Incident | None:
    return next((incident for incident in incidents if incident.id == incident_id), None)


def _as_json(incident: Incident) -> dict[str, object]:
    closed_at = incident.closed_at.isoformat() if incident.closed_at else None
    return asdict(incident) | {"opened_at": incident.opened_at.isoformat(), "closed_at": closed_at}
