"""The witness answers as C2SP tlog-witness says, one row of its table after the other."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from yijian_common.process import StartError
from yijian_common.settings import Environment
from yijian_ledger.checkpoints import Checkpoint, open_checkpoint, sign_checkpoint
from yijian_ledger.compact_range import CompactRange
from yijian_ledger.cosignatures import cosigned_at
from yijian_ledger.keys import KeyKind, PrivateKey, new_key
from yijian_ledger.notes import parse_note
from yijian_ledger.proofs import consistency_ranges
from yijian_ledger.tree_hash import SM3
from yijian_ledger.witness_protocol import AddCheckpoint
from yijian_witness.main import build
from yijian_witness.settings import WitnessSettings

ORIGIN = "yijian.example/ledger"
ANSWER = "text/plain; charset=utf-8"


class Log:
    """A log in memory; `rewrite` changes a leaf after the fact."""

    def __init__(self, leaves: int = 40, origin: str = ORIGIN) -> None:
        self.key: PrivateKey = new_key(origin)
        self.leaves = [SM3.leaf(str(number).encode()) for number in range(leaves)]

    def root(self, begin: int, end: int) -> bytes:
        edge = CompactRange()
        edge.extend(self.leaves[begin:end])
        return edge.root()

    def rewrite(self, index: int) -> None:
        self.leaves[index] = SM3.leaf(b"rewritten")

    def note(self, size: int) -> str:
        return str(sign_checkpoint(Checkpoint(self.key.name, size, self.root(0, size)), self.key))

    def submission(self, old: int, size: int, **changes: Any) -> bytes:
        proof = tuple(self.root(*span) for span in consistency_ranges(old, size))
        told = {"old_size": old, "proof": proof, "note": self.note(size)} | changes
        return AddCheckpoint(**told).encode()


class Witness:
    def __init__(self, client: httpx.AsyncClient, key: PrivateKey) -> None:
        self.client = client
        self.key = key.public

    async def add(self, body: bytes) -> httpx.Response:
        return await self.client.post("/add-checkpoint", content=body)

    async def last(self, origin: str = ORIGIN) -> httpx.Response:
        return await self.client.get(f"/{sha256(origin.encode()).hexdigest()}/checkpoint")


def settings_of(folder: Path, log: Log, key: PrivateKey) -> WitnessSettings:
    (folder / "witness.json").write_text(key.as_text())
    (folder / "ledger.pub").write_text(log.key.public.vkey)
    return WitnessSettings(
        service="witness",
        environment=Environment.DEVELOPMENT,
        http_port=0,
        witness_key_file=folder / "witness.json",
        witness_store=folder / "store" / "checkpoints.db",
        ledger_public_key_file=folder / "ledger.pub",
    )


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def witness(log: Log, tmp_path: Path) -> AsyncIterator[Witness]:
    key = new_key("witness.example/w1", KeyKind.COSIGNATURE)
    async with AsyncExitStack() as stack:
        app, _ = await build(settings_of(tmp_path, log, key), stack)
        app.state.process.started = True
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://witness.test"))
        yield Witness(client, key)


async def test_what_goes_on_from_the_last_is_cosigned(witness: Witness, log: Log):
    for old, size in ((0, 3), (3, 8), (8, 8), (8, 40)):
        answer = await witness.add(log.submission(old, size))
        assert (answer.status_code, answer.headers["content-type"]) == (200, ANSWER)
        assert answer.text.startswith("\u2014 witness.example/w1 ")
        cosigned_at(parse_note(log.note(size) + answer.text), witness.key)


async def test_the_last_checkpoint_is_shown_with_both_signatures(witness: Witness, log: Log):
    assert (await witness.last()).status_code == 404
    await witness.add(log.submission(0, 3))
    await witness.add(log.submission(3, 8))
    answer = await witness.last()
    checkpoint, note = open_checkpoint(answer.text, log.key.public)
    assert checkpoint.size == 8
    cosigned_at(note, witness.key)
    assert (await witness.last("elsewhere")).status_code == 404


async def test_an_empty_log_may_begin_with_nothing(witness: Witness, log: Log):
    assert (await witness.add(log.submission(0, 0))).status_code == 200
    assert (await witness.add(log.submission(0, 5))).status_code == 200


async def test_404_an_unknown_log(witness: Witness):
    assert (await witness.add(Log(origin="elsewhere").submission(0, 3))).status_code == 404


async def test_403_another_key_of_the_same_name(witness: Witness):
    assert (await witness.add(Log().submission(0, 3))).status_code == 403


async def test_403_a_signature_that_is_not_the_keys(witness: Witness, log: Log):
    forged = log.note(3).replace(ORIGIN + "\n3\n", ORIGIN + "\n4\n")
    assert (await witness.add(log.submission(0, 3, note=forged))).status_code == 403
    both = parse_note(log.note(3)).with_signatures(*parse_note(log.note(4)).signatures)
    assert (await witness.add(log.submission(0, 3, note=str(both)))).status_code == 403


async def test_400_an_old_size_beyond_the_checkpoint(witness: Witness, log: Log):
    await witness.add(log.submission(0, 8))
    assert (await witness.add(log.submission(0, 3, old_size=8))).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 00\n\n",
        b"old 0\n\nno note",
        b"old x\n\n",
        b"\xff\xfe",
        b"old 0\n\n" + b"x\n" * 30_000,
    ],
)
async def test_400_what_is_no_request(witness: Witness, body: bytes):
    assert (await witness.add(body)).status_code == 400


async def test_400_a_proof_of_more_than_63_lines(witness: Witness, log: Log):
    assert (await witness.add(log.submission(0, 3, proof=(bytes(32),) * 64))).status_code == 400
    await witness.add(log.submission(0, 3))
    assert (await witness.add(log.submission(3, 8, proof=(bytes(32),) * 63))).status_code == 422


async def test_409_another_size_than_the_last_says_which_it_is(witness: Witness, log: Log):
    for old in (0, 3):
        await witness.add(log.submission(0, 5))
        answer = await witness.add(log.submission(old, 8))
        assert (answer.status_code, answer.text) == (409, "5\n")
        assert answer.headers["content-type"] == "text/x.tlog.size"
    first = await witness.add(log.submission(2, 2))
    assert (first.status_code, first.text) == (409, "5\n"), "an old checkpoint is not cosigned again"


async def test_422_a_proof_that_proves_nothing(witness: Witness, log: Log):
    await witness.add(log.submission(0, 5))
    for proof in ((), (bytes(32),), (bytes(32),) * 3):
        assert (await witness.add(log.submission(5, 8, proof=proof))).status_code == 422


async def test_422_a_proof_where_none_is_needed(witness: Witness, log: Log):
    assert (await witness.add(log.submission(0, 5, proof=(bytes(32),)))).status_code == 422
    await witness.add(log.submission(0, 5))
    assert (await witness.add(log.submission(5, 5, proof=(bytes(32),)))).status_code == 422


async def test_422_an_empty_tree_with_a_root(witness: Witness, log: Log):
    odd = str(sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), log.key))
    assert (await witness.add(log.submission(0, 0, note=odd))).status_code == 422


async def test_422_a_rewritten_history_and_nothing_is_forgotten(witness: Witness, log: Log):
    await witness.add(log.submission(0, 5))
    before = (await witness.last()).text
    log.rewrite(2)
    assert (await witness.add(log.submission(5, 8))).status_code == 422
    assert (await witness.last()).text == before


async def test_422_two_roots_at_one_size_are_kept_as_proof(witness: Witness, log: Log):
    await witness.add(log.submission(0, 5))
    first = log.note(5)
    log.rewrite(2)
    for _ in range(2):
        assert (await witness.add(log.submission(5, 5))).status_code == 422
    (misdeed,) = (await witness.client.get("/misdeeds")).json()
    assert misdeed["origin"] == ORIGIN
    assert misdeed["refused"] == log.note(5)
    assert open_checkpoint(misdeed["cosigned"], log.key.public)[0].text == parse_note(first).text


async def test_what_strangers_wrote_under_a_checkpoint_is_not_kept(witness: Witness, log: Log):
    stranger = new_key("somebody.example")
    note = parse_note(log.note(3)).with_signatures(*sign_checkpoint(Checkpoint("x", 1, bytes(32)), stranger).signatures)
    assert (await witness.add(log.submission(0, 3, note=str(note)))).status_code == 200
    assert "somebody" not in (await witness.last()).text


async def test_extension_lines_are_cosigned_with_the_rest(witness: Witness, log: Log):
    checkpoint = Checkpoint(ORIGIN, 3, log.root(0, 3), ("an extension",))
    note = str(sign_checkpoint(checkpoint, log.key))
    answer = await witness.add(log.submission(0, 3, note=note))
    assert answer.status_code == 200
    cosigned_at(parse_note(note + answer.text), witness.key)


async def test_it_remembers_over_a_restart(log: Log, tmp_path: Path):
    key = new_key("witness.example/w1", KeyKind.COSIGNATURE)
    for expected in (200, 409):
        async with AsyncExitStack() as stack:
            app, _ = await build(settings_of(tmp_path, log, key), stack)
            app.state.process.started = True
            client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://witness.test")
            assert (await Witness(client, key).add(log.submission(0, 5))).status_code == expected


async def test_a_key_that_is_not_a_witnesss_is_refused_at_the_start(log: Log, tmp_path: Path):
    with pytest.raises(StartError, match="not a witness's key"):
        await build(settings_of(tmp_path, log, new_key("witness.example")), AsyncExitStack())
