"""Reading every raw source of a run that has come to rest, in an order that makes the readings comparable.

    1  where the topics end
    2  outboxes: what was sent by now stands in a topic when that is read
    3  topics, to where they ended; then outboxes once more, for whatever was committed in between
    4  offsets: they have to be where the topics ended in step 1, or behind
    5  everything else, and where the topics end now

The platform is never quite still: data-exchange says every few seconds how far withdrawals were told. That is why ends
are taken twice, and why rows that were committed after step 1 need not be in a topic yet.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from yijian_chaos.checker import read_postgres, read_stores, read_topics
from yijian_chaos.checker.fingerprints import Fingerprints
from yijian_chaos.checker.probe_access import count_refusals, probe
from yijian_chaos.checker.read_witness import read_witness
from yijian_chaos.checker.search_canaries import search, search_texts
from yijian_chaos.checker.snapshot import Leak, Outgoing, Snapshot, Stored, Unsent
from yijian_chaos.checker.sources import Sources

SETTLE_S: Final = 10.0
"""How long the consumers of what is said every few seconds are waited for."""
SOUND_VALUES: Final = 2000
"""In so many values that may name people, the canaries have to be found: else the search says nothing."""


def collect(sources: Sources, *, history: Path | None = None) -> Snapshot:
    """The snapshot. `history` is the clients' own, in which error bodies may name nobody either.

    Raises what the sources raise: a run whose sources cannot be read has no verdict.
    """
    prints = Fingerprints()
    began = time.time()
    ends = read_topics.read_ends(sources.admin)
    outbox = _outboxes(sources)
    topics = read_topics.read_topics(sources.admin, ends, prints, keep_values=SOUND_VALUES)
    outbox = _joined(outbox, _outboxes(sources))
    stored = _settled(sources, ends)
    approval = read_postgres.read_approval(sources.databases["approval"])
    exchange = read_postgres.read_exchange(sources.databases["data-exchange"])
    stores = read_stores.read_stores(sources.stores, sources.records, prints)
    messaging = {name: read_postgres.read_messaging(name, url) for name, url in sources.databases.items()}
    witness = read_witness(
        sources.witness_store,
        sources.witness_url,
        sources.ledger_url,
        origin=sources.ledger_key.split("+", 1)[0],
    )
    backends, idle = read_postgres.read_sessions(sources.databases["approval"])
    committed = read_topics.read_committed(sources.admin)
    members = read_topics.read_members(sources.admin, sources.processes)
    partitions = read_topics.partitions_of(ends, read_topics.read_ends(sources.admin))
    probes = probe(sources.principals, partitions)
    refusals = count_refusals(sources.broker_logs)
    tables = _by_place([*approval.texts, *stores.texts, *(text for each in messaging.values() for text in each.texts)])
    leaks, searched, sound = _searched(sources, {**tables, "topics": topics.texts}, topics.values, history)
    return Snapshot(
        collected_at=time.time(),
        topics_read_at=began,
        applications=tuple(approval.applications),
        timeline=tuple(approval.timeline),
        disclosures=tuple(approval.disclosures),
        uncovered=tuple(approval.uncovered),
        request_keys=tuple(approval.request_keys),
        outbox=tuple(outbox),
        unsent=tuple(_unsent(sources)),
        parked=(*stores.parked, *(row for each in messaging.values() for row in each.parked)),
        letters=(*stores.letters, *(row for each in messaging.values() for row in each.letters)),
        incidents=(*stores.incidents, *(row for each in messaging.values() for row in each.incidents)),
        stored=tuple(stored),
        committed=tuple(committed),
        members=tuple(members),
        partitions=tuple(partitions),
        records=tuple(topics.records),
        inbox=stores.inbox | {name: each.inbox for name, each in messaging.items()},
        inbox_repeated=stores.inbox_repeated | {name: each.inbox_repeated for name, each in messaging.items()},
        tasks=tuple(stores.tasks),
        effects=tuple(stores.effects),
        series=tuple(stores.series),
        known_numbers=stores.known_numbers,
        leaves=tuple(exchange.leaves),
        tiles=tuple(exchange.tiles),
        notes=(*exchange.notes, *witness.notes),
        cosignatures=tuple(exchange.cosignatures),
        misdeeds=witness.misdeeds,
        ledger_key=sources.ledger_key.strip(),
        witness_key=sources.witness_key.strip(),
        kept_disclosures=exchange.kept,
        erased_disclosures=exchange.erased,
        withdrawals=tuple(exchange.withdrawals),
        invitations=tuple(read_postgres.read_invitations(sources.databases["rating"])),
        probes=tuple(probes),
        refusals_logged=refusals,
        backends=backends,
        backends_allowed=sources.backends_allowed,
        idle_in_transaction=idle,
        searched=searched,
        sound=sound,
        leaks=tuple(leaks),
    )


def _outboxes(sources: Sources) -> list[Outgoing]:
    rows = read_stores.read_outboxes(sources.stores)
    for service, url in sources.databases.items():
        rows += read_postgres.read_outbox(service, url)
    return rows


def _joined(first: Iterable[Outgoing], second: Iterable[Outgoing]) -> list[Outgoing]:
    """Both readings: a day that was dropped in between is in the first, a new row in the second."""
    return list({(row.store, row.id): row for row in (*first, *second)}.values())


def _unsent(sources: Sources) -> list[Unsent]:
    at = time.time()
    rows = read_stores.read_unsent(sources.stores, at=at)
    for service, url in sources.databases.items():
        rows += read_postgres.read_unsent(service, url, at=at)
    return rows


def _settled(sources: Sources, ends: read_topics.Ends) -> list[Stored]:
    """The stored offsets, once they have come to these ends or a moment has passed."""
    until = time.monotonic() + SETTLE_S
    while True:
        stored = read_stores.read_stored(sources.stores)
        for service, url in sources.databases.items():
            stored += read_postgres.read_stored(service, url)
        behind = [row for row in stored if row.next < ends.get((row.topic, row.partition), (0, 0))[1]]
        if not behind or time.monotonic() > until:
            return stored
        time.sleep(0.2)


def _by_place(texts: Iterable[tuple[str, str]]) -> dict[str, list[bytes]]:
    places: dict[str, list[bytes]] = {}
    for place, text in texts:
        places.setdefault(place, []).append(text.encode())
    return places


def _searched(
    sources: Sources, texts: dict[str, Iterable[bytes]], values: Iterable[bytes], history: Path | None
) -> tuple[list[Leak], dict[str, int], int]:
    """The leaks, how much was searched, and in how many canaries' case the search is known to find something."""
    logs = [*sources.logs, *sources.broker_logs, *([history] if history is not None else [])]
    files = {path.name: path for path in logs if path.exists()}
    leaks, sizes = search_texts(sources.canaries, texts)
    leaks += search(sources.canaries, files)
    sizes |= {name: path.stat().st_size for name, path in files.items()}
    allowed, _ = search_texts(sources.canaries, {"values": values})
    return leaks, sizes, len({replace(leak, place="") for leak in allowed})
