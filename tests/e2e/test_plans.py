"""However much is stored, nothing that the services run for people, for messages or by the clock reads a whole table.

A birth is told to its end while the database says what it is asked: at start, per request, per batch, per tick. Each
statement is then planned with much stored that the planner has not heard of, since its statistics are of nothing, and
with much that it has.
"""

import asyncio

import pytest

from tests.e2e.city import City
from tests.e2e.plans import SERVICES, fill, listening, nobody_there, readings, scratch
from tests.e2e.test_the_loop import test_one_birth_told_to_its_end as one_birth_told_to_its_end

pytestmark = pytest.mark.e2e

# These stay small for ever: a row per shard, relay, parked key, life event, issuer, key, client, official, text of a
# consent or beat; what waits to be sent or to be looked at by an operator; what an erasure has still to do.
SMALL = (
    "outbox_lease", "outbox_relay", "outbox_parked", "outbox_unsent", "texts", "consumer_offset", "dead_letter",
    "life_event", "identity_keys", "identity_key_sets", "signing_keys", "client_secrets", "loaded_files", "posts",
    "consent_text", "withdrawals_told", "ledger_signer", "alembic_version", "erasure_unfinished", "erased_message",
)  # fmt: skip
# What the story itself asks of approval's database.
ASKED_BY_THE_STORY = "SELECT count(*) AS n FROM disclosure_uncovered"
# identity says something when a session ends or a document is shown, not for each application: its eight days of
# messages are few, and are looked through every ten minutes.
FORGETTING = "DELETE FROM outbox USING erased_message"
TICKS_S = 15


async def test_no_statement_of_a_birth_reads_a_whole_table_whatever_is_stored(city: City) -> None:
    with listening(city) as found:
        await one_birth_told_to_its_end(city)
        # Sweeps, watches and beats.
        await asyncio.sleep(TICKS_S)
    assert {service: len(found[service]) > 30 for service in SERVICES} == dict.fromkeys(SERVICES, True)
    read_whole = {}
    with nobody_there(city):
        for service in SERVICES:
            with scratch(city, service) as held:
                held.execute("ANALYZE")
                fill(held, but=SMALL)
                read_whole[f"{service}, statistics of nothing"] = readings(held, found[service], but=SMALL)
                held.execute("ANALYZE")
                read_whole[f"{service}, with much"] = readings(held, found[service], but=SMALL)
    told = [
        f"{when}: {reading}"
        for when, each in read_whole.items()
        for reading in each
        if FORGETTING not in reading and ASKED_BY_THE_STORY not in reading
    ]
    assert told == [], "\n".join(told)
