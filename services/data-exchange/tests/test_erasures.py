"""A person is forgotten: nothing that was only theirs opens to anybody, and the log is as provable as before."""

import asyncio
import json
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from data_exchange.actions.disclosing import record_disclosures
from data_exchange.actions.erasing import erase_people, erasure_details
from data_exchange.disclosures import read_kept
from data_exchange.fsck import check
from data_exchange.people import person_index
from yijian_common.crypto import DataKey, Keyring, UnsealError
from yijian_contracts.cloudevents import decode, encode
from yijian_contracts.events import ConsentWithdrawn, Event, PersonErased, SessionsEnded
from yijian_ledger.keys import PrivateKey, new_key
from yijian_ledger.leaf import LeafKind, opens, read_leaf
from yijian_messaging import Record, Rejected
from yijian_messaging.kafka import header_list
from yijian_messaging.store import DeadLetter, LetterState

from .conftest import Service
from .consent_story import FATHER, MOTHER, NOW, SUBJECTS, bearer, consent, message, register, unsent
from .disclosure_story import CANARIES, checked, disclosed, get, only, record, seen, shown
from .ledger_story import ORIGIN, Reader, sign

pytestmark = pytest.mark.postgres

# Who was erased is kept in mind for forty days.
ERASED_AT = datetime.now(UTC) - timedelta(days=1)
HERS = {"canary-of-the-mother", "canary-of-the-child", "canary-of-both", "mother-agreed-to-this"}


@pytest.fixture
def key() -> PrivateKey:
    return new_key(ORIGIN)


def erased(ref: str, **changes: Any) -> PersonErased:
    told = {
        "erasure_id": uuid4(),
        "subject": SUBJECTS.get(ref),
        "erased_at": ERASED_AT,
        "personal": {"refs": {"data-exchange": ref, "approval": "a" * 43}},
        **changes,
    }
    return PersonErased.model_validate(told)


async def erase(service: Service, *events: Event) -> list[Rejected]:
    async with service.parts.store.transaction() as transaction:
        return await erase_people(
            transaction,
            [message(event) for event in events],
            keyring=service.parts.keyring,
        )


async def everything(service: Service) -> list[Any]:
    """Every value of every table that this service has."""
    tables = await service.parts.pool.fetch(
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_schema IN ('public', 'ledger') AND table_type = 'BASE TABLE'"
    )
    values: list[Any] = []
    for table in tables:
        rows = await service.parts.pool.fetch(f'SELECT * FROM {table["table_schema"]}."{table["table_name"]}"')  # noqa: S608 - our own names
        values += [value for row in rows for value in row.values()]
    return values


async def readable(service: Service) -> str:
    """All that the database holds or that anything in it opens to for whoever has the key file as well."""
    keyring = Keyring.load(service.settings.key_file)
    values = await everything(service)
    blobs = [bytes(value) for value in values if isinstance(value, bytes)]
    ids = {value.bytes for value in values if isinstance(value, UUID)}
    contexts = [b"messaging", *(kind + one for one in ids for kind in (b"disclosure:", b"consent:"))]
    keys = list(_keys(keyring, blobs))
    opened = [found for blob in blobs for found in _opened(keyring, keys, blob, contexts)]
    return "\n".join([*map(str, values), *(blob.decode("latin-1") for blob in blobs), *opened])


def _keys(keyring: Keyring, blobs: list[bytes]) -> Iterator[DataKey]:
    for blob in blobs:
        try:
            yield keyring.unwrap(blob)
        except UnsealError:
            continue


def _opened(keyring: Keyring, keys: list[DataKey], blob: bytes, contexts: list[bytes]) -> Iterator[str]:
    for context in contexts:
        for opener in (keyring.open_envelope, *(key.open for key in keys)):
            try:
                yield _told(opener(blob, context))
            except (UnsealError, UnicodeDecodeError):
                continue


def _told(kept: bytes) -> str:
    """What a disclosure keeps, in words; everything else is words already."""
    with suppress(ValueError, LookupError, zlib.error):
        return str(read_kept(kept, uuid4()))
    return kept.decode()


async def in_order(service: Service, key: PrivateKey) -> list[str]:
    async with service.parts.pool.acquire() as connection:
        return await check(connection, keyring=service.parts.keyring, log=key.public, witness=None)


async def test_after_both_are_erased_nothing_opens_to_anything_about_them(service: Service, key: PrivateKey):
    application = uuid4()
    text = "canary-in-the-text-is-nobodys"
    given = consent(application=application, text=text)
    await register(service, given, consent("FATHER", FATHER, application=application, purpose="canary-in-a-purpose"))
    await record(service, disclosed(application), disclosed(application), shown())
    await sign(service, key)
    canaries = [*CANARIES.values(), "canary-in-a-purpose", "canary-on-the-document", "mother-agreed"]
    before = await readable(service)
    assert [canary for canary in canaries if canary not in before] == [], "the test must find what is there"

    assert await erase(service, erased(MOTHER), erased(FATHER)) == []

    after = await readable(service)
    assert [canary for canary in [*canaries, MOTHER, FATHER] if canary in after] == []
    assert text in after
    for table in ("disclosure", "case_key", "case_person", "consent"):
        assert await service.count(table) == 0
    assert await in_order(service, key) == []


async def test_who_remains_keeps_their_own_and_their_evidence_verifies(service: Service, key: PrivateKey):
    application = uuid4()
    both, his = disclosed(application), only("FATHER", application=application)
    await record(service, both, his, shown(MOTHER, FATHER))
    head = await sign(service, key)
    old = await service.parts.pool.fetchval("SELECT data_key FROM case_key WHERE case_id = $1", application)
    rows = await service.parts.pool.fetch("SELECT id, sealed FROM disclosure WHERE case_id = $1", application)
    before = checked(await get(service, f"/v1/disclosures/{both.task_id}/evidence", MOTHER), key)

    await erase(service, erased(FATHER))

    after = await readable(service)
    for gone in ("canary-of-the-father", "only-father", FATHER):
        assert gone not in after
    mine = await seen(service, MOTHER)
    assert mine[str(both.task_id)] == HERS
    assert len(mine) == 2
    assert await seen(service, FATHER) == {}
    proven, titles = checked(await get(service, f"/v1/disclosures/{both.task_id}/evidence", MOTHER), key)
    assert titles == before[1] == HERS
    assert [content for content, _ in proven.items] == [content for content, _ in before[0].items]

    # What a copy of the old rows would need is gone as well: the case has another key now.
    kept = await service.parts.pool.fetch("SELECT data_key FROM case_key")
    assert old not in [row["data_key"] for row in kept]
    for row in rows:
        for other in kept:
            with pytest.raises(UnsealError):
                service.parts.keyring.unwrap(other["data_key"]).open(row["sealed"], b"disclosure:" + row["id"].bytes)
    assert head is not None
    await sign(service, key, head)
    assert await in_order(service, key) == []


async def test_an_erasure_is_a_leaf_and_the_log_goes_on_from_what_it_was(service: Service, key: PrivateKey):
    application = uuid4()
    both, his = disclosed(application), shown(FATHER)
    await record(service, both, his)
    reader = Reader(service, key)
    head = await sign(service, key)
    assert (await reader.checkpoint()).size == 2

    event = erased(FATHER)
    await erase(service, event, event)
    await erase(service, event)

    assert head is not None
    await sign(service, key, head)
    assert (await reader.checkpoint()).size == 3, "one leaf, consistent with what the reader saw before"
    content = read_leaf(await service.parts.pool.fetchval("SELECT data FROM ledger.leaf WHERE index = 2"))
    assert (content.kind, content.id) == (LeafKind.ERASURE, event.erasure_id)
    row = await service.parts.pool.fetchrow("SELECT * FROM erasure")
    gone = await service.parts.pool.fetch("SELECT disclosure_id, whole FROM erased_disclosure")
    assert row is not None
    details = erasure_details(
        row["id"],
        row["erased_at"],
        destroyed=[one["disclosure_id"] for one in gone if one["whole"]],
        cut=[one["disclosure_id"] for one in gone if not one["whole"]],
    )
    assert (details["destroyed"], details["cut"]) == ([str(his.disclosure_id)], [str(both.task_id)])
    assert opens(content, details, salt=row["salt"])
    assert await in_order(service, key) == []


async def test_what_was_said_before_and_arrives_after_comes_to_nothing(service: Service, key: PrivateKey):
    """Topics keep no order between them, and a database restored from a backup reads again."""
    application = uuid4()
    known, first = disclosed(application), only("FATHER", disclosed_at=NOW)
    given = consent("FATHER", FATHER, application=application)
    await record(service, known)
    await register(service, given)
    await erase(service, erased(MOTHER), erased(FATHER))
    after_that = disclosed(application, disclosed_at=ERASED_AT + timedelta(minutes=5))
    unheard_of = consent(application=uuid4())

    await record(service, known, first, after_that, shown())
    await record(service, first)
    await register(service, given, unheard_of)

    for table in ("disclosure", "case_key", "case_person", "consent", "consent_text"):
        assert await service.count(table) == (1 if table == "consent_text" else 0), table
    # Each has its leaf: approval waits for a checkpoint that covers it.
    leaves = await service.parts.pool.fetch("SELECT id FROM ledger.leaf")
    assert {known.task_id, first.task_id, after_that.task_id} <= {row["id"] for row in leaves}
    assert len(leaves) == 6
    await sign(service, key)
    assert await in_order(service, key) == []
    assert "canary-of" not in await readable(service)


async def test_what_approval_sent_before_it_heard_of_the_erasure_comes_to_nothing(service: Service, key: PrivateKey):
    """Its first word of an application, written down after identity's COMMIT, about somebody who is gone."""
    await erase(service, erased(MOTHER), erased(FATHER))
    said_at = ERASED_AT + timedelta(minutes=2)
    first = disclosed(disclosed_at=said_at)
    await record(service, first)
    await register(service, consent(given_at=said_at, application=first.application_id))
    for table in ("disclosure", "case_key", "case_person", "consent"):
        assert await service.count(table) == 0, table
    assert "canary-of" not in await readable(service)
    await sign(service, key)
    assert await in_order(service, key) == []


async def test_of_a_late_disclosure_who_remains_sees_their_own(service: Service, key: PrivateKey):
    application = uuid4()
    await record(service, disclosed(application))
    await erase(service, erased(FATHER))
    late = disclosed(application, disclosed_at=ERASED_AT + timedelta(hours=1))
    await record(service, late)
    assert (await seen(service, MOTHER))[str(late.task_id)] == HERS
    assert await seen(service, FATHER) == {}
    assert "canary-of-the-father" not in await readable(service)
    await sign(service, key)
    assert checked(await get(service, f"/v1/disclosures/{late.task_id}/evidence", MOTHER), key)[1] == HERS
    assert await in_order(service, key) == []


async def test_who_comes_back_begins_anew(service: Service):
    await record(service, disclosed())
    await erase(service, erased(MOTHER), erased(FATHER))
    again = disclosed(disclosed_at=ERASED_AT + timedelta(days=30))
    await record(service, again)
    assert set(await seen(service, MOTHER)) == {str(again.task_id)}


async def test_consents_of_the_erased_are_taken_back_on_their_behalf(service: Service):
    lasting, ended = consent(), consent()
    expired = consent(valid_until=datetime.now(UTC) - timedelta(days=1))
    his = consent("FATHER", FATHER)
    await register(service, lasting, ended, expired, his)
    await service.client.post(f"/v1/consents/{ended.consent_id}/withdrawal", headers=bearer(service, MOTHER))
    await erase(service, erased(MOTHER))
    said = [event.consent_id for event in await unsent(service) if isinstance(event, ConsentWithdrawn)]
    assert said == [ended.consent_id, lasting.consent_id]
    assert await service.count("consent") == 1


async def test_dead_letters_keep_what_those_who_remain_may_see(service: Service, key: PrivateKey):
    both, hers = disclosed(), only("MOTHER", people=[{"role": "MOTHER", "ref": MOTHER}])
    document, given, his = shown(MOTHER), consent(), only("FATHER", people=[{"role": "FATHER", "ref": FATHER}])
    async with service.parts.store.transaction() as transaction:
        for offset, event in enumerate((both, hers, document, given, his)):
            said = encode(event, source="approval")
            headers = tuple(header_list(said.headers))
            letter = Record(event.topic, 0, offset, said.key.encode(), said.value, headers, 0)
            await transaction.bury("data-exchange.disclosures", [(letter, "a test")])
    assert len([text for text in await letters(service) if MOTHER in text]) == 4

    await erase(service, erased(MOTHER))

    told = await letters(service)
    for gone in (MOTHER, "canary-of-the-mother", "only-mother", "canary-on-the-document"):
        assert gone not in "".join(told)
    assert "canary-of-the-father" in told[0]
    states = [letter.state for letter in await store_letters(service)]
    assert states == [LetterState.DEAD] * 3 + [LetterState.DISCARDED, LetterState.DEAD]

    # Replayed, each is written down: approval waits for their leaves.
    await record(service, *(decode(one.record.headers, one.record.value).data for one in await opened_letters(service)))
    assert await service.count("ledger.leaf") == 1 + 4
    assert set(await seen(service, FATHER)) == {str(both.task_id), str(his.task_id)}
    await sign(service, key)
    assert await in_order(service, key) == []


async def store_letters(service: Service) -> list[DeadLetter]:
    return await service.parts.store.letters()


async def opened_letters(service: Service) -> list[DeadLetter]:
    """Those that still hold a record."""
    found = [await service.parts.store.letter(letter.id) for letter in await store_letters(service)]
    return [letter for letter in found if letter is not None and letter.record.value]


async def letters(service: Service) -> list[str]:
    return [(letter.record.value or b"").decode() for letter in await opened_letters(service)]


async def test_an_erasure_waits_for_what_is_being_written_about_the_person(service: Service):
    event = disclosed()
    async with service.parts.store.transaction() as transaction:
        await record_disclosures(transaction, [message(event)], keyring=service.parts.keyring)
        erasing = asyncio.create_task(erase(service, erased(MOTHER), erased(FATHER)))
        await asyncio.sleep(0.3)
        assert not erasing.done()
    await asyncio.wait_for(erasing, 10)
    assert await service.count("disclosure") == 0


async def test_somebody_we_never_heard_of_and_somebody_we_cannot_know(service: Service):
    event = erased(MOTHER)
    nobody = erased(FATHER, personal={"refs": {"approval": "a" * 43}})
    odd = SessionsEnded(subject=UUID(int=1), ended_at=NOW)
    (rejected,) = await erase(service, event, nobody, odd)
    assert rejected.error == "SessionsEnded is no erasure"
    assert await service.count("ledger.leaf") == 1


async def test_what_is_remembered_of_an_erasure_is_forgotten_in_time(service: Service):
    await record(service, disclosed())
    await erase(service, erased(MOTHER))
    await service.parts.pool.execute("UPDATE erased_person SET erased_at = now() - interval '41 days'")
    await service.parts.pool.execute("UPDATE erased_role SET erased_at = now() - interval '41 days'")
    await erase(service, erased(FATHER, erased_at=datetime.now(UTC)))
    left = await service.parts.pool.fetch("SELECT person FROM erased_person")
    assert [row["person"] for row in left] == [person_index(service.parts.keyring, FATHER)]
    assert json.dumps([row["role"] for row in await service.parts.pool.fetch("SELECT role FROM erased_role")]) == (
        '["FATHER"]'
    )
