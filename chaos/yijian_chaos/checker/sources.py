"""Where the raw sources of a run are: addresses, files and credentials, and nothing of the platform's code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Login = Mapping[str, str | int | float | bool]
"""The settings with which a confluent-kafka client reaches the brokers as one principal."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Everything that `collect` reads. All of it runs, and is at rest, when it is read.

    `databases` are addresses by service (approval, identity, data-exchange, rating) for an administrator; `stores` the
    departments' SQLite files by code, and `records` the files that they loaded at their first start. `principals` are
    logins by principal, the departments' among them; `admin` may read every topic and group. Keys are lines of text
    (C2SP signed-note "vkey"). `canaries` are texts that identify people and may stand in nothing that is searched.
    """

    databases: Mapping[str, str]
    stores: Mapping[str, Path]
    records: Mapping[str, Path]
    admin: Login = field(repr=False)
    principals: Mapping[str, Login] = field(repr=False)
    ledger_key: str
    ledger_url: str
    witness_key: str
    witness_store: Path
    witness_url: str
    logs: tuple[Path, ...]
    broker_logs: tuple[Path, ...]
    canaries: tuple[str, ...] = field(repr=False)
    backends_allowed: int
    processes: Mapping[str, int]
    """How many processes should read topics for a store, by store, whether all of them run or not."""
