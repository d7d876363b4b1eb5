"""The folder of a run: what was meant, what happened, and on a violation all that it takes to understand it."""

import json
import os
import platform as machine
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import CHECKOUT

from yijian_chaos.rest import ASK_WITHIN_S
from yijian_chaos.schedule import Planned
from yijian_chaos.stage import Stage


def make_folder(under: Path, *, profile: str, seed: int) -> Path:
    """A new folder for a run that begins now."""
    folder = under / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{profile}-{seed}"
    folder.mkdir(parents=True)
    return folder


def write_heading(folder: Path, **members: Any) -> None:
    """`run.json`: what runs, on which machine."""
    heading = {**members, "started_at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": this_machine()}
    (folder / "run.json").write_text(json.dumps(heading, indent=1) + "\n", encoding="utf-8")


def write_schedule(folder: Path, schedule: Sequence[Planned]) -> None:
    """`schedule.jsonl`: the faults as they were planned."""
    lines = (json.dumps(planned.as_json()) + "\n" for planned in schedule)
    (folder / "schedule.jsonl").write_text("".join(lines), encoding="utf-8")


def this_machine() -> dict[str, Any]:
    return {
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "system": f"{machine.system()} {machine.machine()}",
        "python": machine.python_version(),
    }


def commit() -> str:
    """What is checked out, marked when it was changed since."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - a fixed command
    return done.stdout.strip() or "unknown"


def keep_logs(stage: Stage, folder: Path) -> None:
    """The logs of every process, beside the history."""
    with suppress(OSError):
        shutil.copytree(stage.logs, folder / "logs", dirs_exist_ok=True)


def keep_positions(stage: Stage, folder: Path) -> None:
    """`positions.json`: where every topic begins and ends, and how far the database's log had come."""
    positions = {"topics": _topics(stage), "wal": _wal(stage)}
    (folder / "positions.json").write_text(json.dumps(positions, indent=1) + "\n", encoding="utf-8")


def _topics(stage: Stage) -> dict[str, list[list[int]]]:
    """The first offset and the end of each partition; nothing where no broker answers."""
    ranges: dict[str, list[list[int]]] = {}
    try:
        config = {**stage.platform.kafka_admin.client_config(), "group.id": "nobody"}
        with closing(Consumer(config)) as consumer:
            for name, topic in sorted(consumer.list_topics(timeout=ASK_WITHIN_S).topics.items()):
                ranges[name] = [
                    list(consumer.get_watermark_offsets(TopicPartition(name, number), timeout=ASK_WITHIN_S))
                    for number in sorted(topic.partitions)
                ]
    except (KafkaException, PlatformError):
        return ranges
    return ranges


def _wal(stage: Stage) -> str | None:
    try:
        url = stage.platform.postgres_admin_url
        with psycopg.connect(url, connect_timeout=ASK_WITHIN_S, autocommit=True) as connection:
            row = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
    except (psycopg.Error, PlatformError):
        return None
    return str(row[0]) if row else None
