"""A small city on paper: what a run leaves behind, row by row, for a test to break one thing in it."""

import base64
import copy
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from yijian_chaos.checker import Snapshot, facts
from yijian_chaos.checker.effects import inbox_key
from yijian_chaos.checker.probe_access import own_topics, principal_of
from yijian_chaos.checker.snapshot import (
    Application,
    Committed,
    Leaf,
    Members,
    Note,
    Outgoing,
    Partition,
    Probe,
    Record,
    Series,
    Stored,
    Tile,
)
from yijian_chaos.checker.tree import WIDTH, Frontier, leaf_hash, levels, perfect_root

PARTITIONS = 3
BEGAN = 1_000_000.0
READ_AT = BEGAN + 100_000.0
ORIGIN, WITNESS = "test.example/ledger", "test.example/witness"
MB = 1 << 20

_LEDGER_KEY = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
_WITNESS_KEY = Ed25519PrivateKey.from_private_bytes(b"w" * 32)


def _vkey(name: str, kind: int, key: Ed25519PrivateKey) -> tuple[str, bytes]:
    """A verifier's line, and the id in it."""
    raw = bytes([kind]) + key.public_key().public_bytes_raw()
    identity = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    return f"{name}+{identity.hex()}+{base64.b64encode(raw).decode()}", identity


LEDGER_VKEY, _LEDGER_ID = _vkey(ORIGIN, 1, _LEDGER_KEY)
WITNESS_VKEY, _WITNESS_ID = _vkey(WITNESS, 4, _WITNESS_KEY)


def note(size: int, root: bytes, *, key: Ed25519PrivateKey = _LEDGER_KEY) -> str:
    text = f"{ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n"
    return f"{text}\n{_line(ORIGIN, _LEDGER_ID, key.sign(text.encode()))}"


def cosignature(signed: str) -> str:
    text = signed.rpartition("\n\n")[0] + "\n"
    raw = (1_000).to_bytes(8, "big") + _WITNESS_KEY.sign(f"cosignature/v1\ntime 1000\n{text}".encode())
    return _line(WITNESS, _WITNESS_ID, raw)


def _line(name: str, identity: bytes, raw: bytes) -> str:
    return f"\u2014 {name} {base64.b64encode(identity + raw).decode()}\n"


class World:
    """The tables of a snapshot as lists, and the files of a run."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Any]] = defaultdict(list)
        self.inbox: dict[str, set[str]] = {store: set() for store in (*facts.SERVICES, *facts.DEPARTMENTS)}
        self.history: list[dict[str, Any]] = []
        self.faults: list[dict[str, Any]] = []
        self.samples: list[dict[str, Any]] = []
        self.rest: dict[str, Any] = {}
        self._rows: dict[str, int] = defaultdict(int)
        self._ends: dict[tuple[str, int], int] = defaultdict(int)
        self._series: dict[tuple[str, str], int] = defaultdict(int)
        self._signed = 0
        self.births = 0

    def __deepcopy__(self, _: object) -> "World":
        """Rows never change, so lists and dictionaries are what is copied."""
        twin = World()
        for name, value in vars(self).items():
            setattr(twin, name, value.copy() if hasattr(value, "copy") else value)
        twin.tables = defaultdict(list, {name: rows.copy() for name, rows in self.tables.items()})
        twin.inbox = {store: keys.copy() for store, keys in self.inbox.items()}
        twin.samples = copy.deepcopy(self.samples)
        return twin

    # --- messages ----------------------------------------------------------------------------------------------------

    def commit(self, store: str, event: str, topic: str, key: str, kind: str, *, gate: str = "") -> Outgoing:
        self._rows[store] += 1
        row = Outgoing(store, self._rows[store], event, topic, key, kind, gate, self._now())
        self.tables["outbox"].append(row)
        return row

    def send(
        self, row: Outgoing, *, said: tuple[str, ...] = (), task: str = "", application: str = "", content: int = 1
    ) -> Record:
        partition = crc32(row.key.encode()) % PARTITIONS
        principal = principal_of(row.store) if row.store in facts.DEPARTMENTS else row.store
        record = Record(
            topic=row.topic,
            partition=partition,
            offset=self._ends[row.topic, partition],
            at=row.at,
            key=row.key,
            event=row.event,
            kind=row.kind,
            source=f"/{principal}",
            subject=row.key,
            application=application,
            task=task,
            said=said,
            content=content,
        )
        self._ends[row.topic, partition] += 1
        self.tables["records"].append(record)
        for consumer in facts.CONSUMERS:
            if row.topic in consumer.topics:
                self.inbox[consumer.store].add(inbox_key(consumer, record))
        return record

    def say(self, topic: str, key: str, kind: str, about: str, **told: Any) -> Record:
        """Commit and send an event of approval."""
        gate = told.pop("gate", "")
        row = self.commit("approval", facts.event_id(kind, about), topic, key, kind, gate=gate)
        return self.send(row, application=key, **told)

    def _now(self) -> float:
        return BEGAN + sum(self._rows.values())

    # --- clients and numbers ------------------------------------------------------------------------------------------

    def operation(self, kind: str, actor: str, application: str, *, key: str | None = None, **heard: Any) -> None:
        """An attempt that was answered with 2xx."""
        op = len(self.history) // 2
        asked = {"op": op, "phase": "invoke", "at": self._now(), "kind": kind, "key": key, "actor": actor}
        about = {} if kind == "submit" else {"application": application}
        self.history.append({**asked, **about})
        ended = {"op": op, "phase": "ok", "at": self._now(), "application": application, "status": 200}
        self.history.append({**ended, **heard})

    def take_number(self, department: str, series: str) -> str:
        self._series[department, series] += 1
        return f"{series} {self._series[department, series]}"

    # --- the ledger --------------------------------------------------------------------------------------------------

    def write_down(self, disclosure: str) -> None:
        content = {"commitment": "ab" * 32, "id": disclosure, "kind": "disclosure", "v": 1}
        data = json.dumps(content, separators=(",", ":"), sort_keys=True).encode().hex()
        self.tables["leaves"].append(Leaf(len(self.tables["leaves"]), disclosure, data))

    def sign(self) -> None:
        """A checkpoint over what was appended, published, and cosigned."""
        leaves = self.tables["leaves"]
        if len(leaves) == self._signed:
            return
        frontier = Frontier()
        for leaf in leaves:
            frontier.append(leaf_hash(bytes.fromhex(leaf.data)))
        signed = note(len(leaves), frontier.root())
        self.tables["notes"].append(Note("ledger.checkpoint", len(leaves), signed))
        self.tables["cosignatures"].append(Note("ledger.cosignature", len(leaves), cosignature(signed)))
        covered = [leaf.id for leaf in leaves[self._signed :]]
        event = facts.event_id(facts.CHECKPOINT_SIGNED, f"{len(leaves)}")
        row = self.commit("data-exchange", event, "data-exchange.checkpoints", ORIGIN, facts.CHECKPOINT_SIGNED)
        self.send(row, said=(str(len(leaves)), "0", signed, *covered))
        self._signed = len(leaves)

    # --- what is left behind -----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Everything that follows from what happened."""
        self.sign()
        hashes = [leaf_hash(bytes.fromhex(leaf.data)) for leaf in self.tables["leaves"]]
        for level, entries in enumerate(levels(hashes)):
            for index in range(len(entries) // WIDTH):
                held = entries[index * WIDTH : (index + 1) * WIDTH]
                tile = Tile(level, index, b"".join(held).hex(), perfect_root(held).hex())
                self.tables["tiles"].append(tile)
        last = self.tables["notes"][-1]
        seen = last.text + cosignature(last.text)
        self.tables["notes"] += [Note("witness.store", last.size, seen), Note("witness.http", last.size, seen)]
        self.tables["series"] += [Series(*place, last) for place, last in self._series.items()]
        for topic in facts.WRITERS:
            for number in range(PARTITIONS):
                end = self._ends[topic, number]
                self.tables["partitions"].append(Partition(topic, number, 0, end, end))
        for consumer in facts.CONSUMERS:
            for topic in consumer.topics:
                for number in range(PARTITIONS):
                    end = self._ends[topic, number]
                    self.tables["stored"].append(Stored(consumer.store, consumer.group, topic, number, end))
                    self.tables["committed"].append(Committed(consumer.group, topic, number, end))
        self.tables["members"] += [Members(consumer.group, 1, 1) for consumer in facts.CONSUMERS]
        for code in facts.DEPARTMENTS:
            refused = tuple(sorted(facts.WRITERS.keys() - own_topics(code)))
            self.tables["probes"].append(Probe(principal_of(code), tuple(sorted(own_topics(code))), (), refused))
        self._watch()
        self.rest = {
            "kept_disclosures": frozenset(leaf.id for leaf in self.tables["leaves"]),
            "refusals_logged": 7,
            "backends": 20,
            "backends_allowed": 100,
            "searched": {"approval.log": 1000},
            "sound": 3,
            "ledger_key": LEDGER_VKEY,
            "witness_key": WITNESS_VKEY,
        }

    def _watch(self) -> None:
        for second in range(0, 300, 5):
            for number, process in enumerate(("approval-api-1", "approval-api-2", "health", "kafka-1")):
                size = {"rss": 100 * MB, "fds": 40, "threads": 10}
                self.samples.append({"at": BEGAN + second, "process": process, "pid": 100 + number, **size})
            told = {"backends": 20, "idle_in_transaction_over_30s": 0}
            self.samples.append({"at": BEGAN + second, "postgres": told})

    def snapshot(self) -> Snapshot:
        tables = {name: tuple(rows) for name, rows in self.tables.items()}
        inbox = {store: frozenset(keys) for store, keys in self.inbox.items()}
        repeated = dict.fromkeys(self.inbox, 0)
        tables["records"] = tuple(sorted(tables["records"], key=lambda record: record.place))
        given = {"inbox": inbox, "inbox_repeated": repeated, **tables, **self.rest}
        return Snapshot(collected_at=READ_AT + 1, topics_read_at=READ_AT, **given)

    def write(self, folder: Path) -> Path:
        for name in ("history", "samples", "faults"):
            path = folder / ("timeline.jsonl" if name == "faults" else f"{name}.jsonl")
            path.write_text("".join(json.dumps(line) + "\n" for line in getattr(self, name)), encoding="utf-8")
        return folder

    # --- breaking it -------------------------------------------------------------------------------------------------

    def find(self, table: str, /, **wanted: Any) -> Any:
        return next(self._found(table, wanted))

    def every(self, table: str, /, **wanted: Any) -> list[Any]:
        return list(self._found(table, wanted))

    def drop(self, table: str, row: Any) -> None:
        self.tables[table].remove(row)

    def change(self, table: str, row: Any, **changes: Any) -> Any:
        changed = replace(row, **changes)
        rows = self.tables[table]
        rows[rows.index(row)] = changed
        return changed

    def change_task(self, application: Application, key: str, **changes: Any) -> None:
        tasks = tuple(replace(task, **changes) if task.key == key else task for task in application.tasks)
        self.change("applications", application, tasks=tasks)

    def repeat(self, record: Record, **changes: Any) -> Record:
        """The same record once more, at the end of its partition, which its consumers read as well."""
        offset = self._ends[record.topic, record.partition]
        self._ends[record.topic, record.partition] += 1
        again = replace(record, offset=offset, **changes)
        self.tables["records"].append(again)
        place = {"topic": record.topic, "partition": record.partition}
        for partition in self.every("partitions", **place):
            self.change("partitions", partition, end=offset + 1, later_end=offset + 1)
        for table in ("stored", "committed"):
            for row in self.every(table, **place):
                self.change(table, row, next=offset + 1)
        for consumer in facts.CONSUMERS:
            if record.topic in consumer.topics:
                self.inbox[consumer.store].add(inbox_key(consumer, again))
        return again

    def _found(self, table: str, wanted: Mapping[str, Any]) -> Iterator[Any]:
        for row in self.tables[table]:
            if all(getattr(row, name) == value for name, value in wanted.items()):
                yield row
