"""Notes, checkpoints and cosignatures are C2SP's; what is not signed as it should be is refused."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import gmalg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yijian_ledger import sm2
from yijian_ledger.checkpoints import Checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from yijian_ledger.cosignatures import cosign, cosigned_at
from yijian_ledger.keys import (
    KeyKind,
    PrivateKey,
    PublicKey,
    SigningKeyError,
    new_key,
    parse_vkey,
    read_private_key,
    read_public_key,
)
from yijian_ledger.notes import (
    MalformedNoteError,
    NoteError,
    UnsignedNoteError,
    parse_note,
    parse_signatures,
    sign_note,
    verify_note,
)
from yijian_ledger.tree_hash import SM3
from yijian_ledger.witness_protocol import AddCheckpoint, checkpoint_path, parse_request

# The example of C2SP signed-note.
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
ORIGIN = "yijian.example/ledger"
NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)
CHECKPOINT = Checkpoint(ORIGIN, 20852163, SM3.leaf(b"root"))


@pytest.fixture(params=[KeyKind.ED25519, KeyKind.SM2])
def key(request: pytest.FixtureRequest) -> PrivateKey:
    return new_key(ORIGIN, request.param)


def test_the_example_of_the_specification_verifies():
    key = parse_vkey(VKEY)
    note = parse_note(NOTE)
    verify_note(note, key)
    assert str(note) == NOTE
    assert (key.name, key.key_id.hex(), key.kind) == ("example.com/foo", "530d903a", KeyKind.ED25519)


def test_a_checkpoint_is_opened_by_the_key_that_signed_it(key: PrivateKey):
    note = sign_checkpoint(CHECKPOINT, key)
    opened, again = open_checkpoint(str(note), key.public)
    assert opened == CHECKPOINT
    assert str(again) == str(note)
    assert parse_vkey(key.public.vkey) == key.public


def test_another_key_of_the_same_name_does_not_open_it(key: PrivateKey):
    note = str(sign_checkpoint(CHECKPOINT, key))
    other = new_key(ORIGIN, key.public.kind).public
    with pytest.raises(UnsignedNoteError, match="not signed by"):
        open_checkpoint(note, other)


def test_a_line_that_claims_to_be_the_keys_and_is_not_spoils_the_note(key: PrivateKey):
    note = sign_checkpoint(CHECKPOINT, key)
    forged = parse_note(str(note).replace("20852163", "20852164"))
    with pytest.raises(UnsignedNoteError, match="not its own"):
        verify_note(forged.with_signatures(*sign_note("else\n", key).signatures), key.public)


def test_a_checkpoint_of_another_log_is_refused():
    key = new_key(ORIGIN)
    other = str(sign_checkpoint(Checkpoint("elsewhere", 1, SM3.empty), key))
    with pytest.raises(UnsignedNoteError, match="elsewhere"):
        open_checkpoint(other, key.public)


def test_signatures_of_strangers_are_ignored(key: PrivateKey):
    stranger = new_key("somebody.example")
    note = sign_checkpoint(CHECKPOINT, key).with_signatures(*sign_note("else\n", stranger).signatures)
    assert open_checkpoint(str(note), key.public)[0] == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no signatures\n",
        "text\n\n",
        "text\n\n— name !!!!\n",
        "text\n\n— name AAAA\n",
        "text\n\n- name AAAAAAAA\n",
        "text\n\n— name AAAAAAAA",
        "text\n\n— na+me AAAAAAAA\n",
        "text\n\n—  AAAAAAAA\n",
        "te\txt\n\n— name AAAAAAAA\n",
        "te\ud800xt\n\n— name AAAAAAAA\n",
        "text\n\n— name AAAAAAB=\n",
        "x" * 20_000 + "\n\n— name AAAAAAAA\n",
        "text\n\n" + "— name AAAAAAAA\n" * 65,
    ],
)
def test_what_is_no_note_is_refused(text: str):
    with pytest.raises(MalformedNoteError):
        parse_note(text)


@pytest.mark.parametrize(
    "text",
    [
        "origin\n5\n",
        "origin\n05\nAAAA\n",
        "origin\n-1\n" + "A" * 43 + "=\n",
        "origin\n1\nshort\n",
        "origin\n9223372036854775808\n" + "A" * 43 + "=\n",
        "\n5\n" + "A" * 43 + "=\n",
        "origin\n5\n" + "A" * 43 + "=",
        "origin\n5\n" + "A" * 42 + "B=\n",
        "origin\n5\n" + "A" * 43 + "=\n\nextension\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str):
    with pytest.raises(MalformedNoteError):
        parse_checkpoint(text)


def test_extension_lines_are_kept():
    text = "origin\n5\n" + "A" * 43 + "=\nmore\n"
    assert parse_checkpoint(text).extensions == ("more",)
    assert parse_checkpoint(text).text == text


@given(st.text(max_size=200))
def test_no_text_whatever_is_more_than_refused(text: str):
    for read in (parse_note, parse_signatures, parse_checkpoint, lambda t: parse_request(t.encode(errors="ignore"))):
        try:
            read(text)
        except NoteError:
            continue


def test_a_witness_says_when_it_saw_a_checkpoint():
    log, witness = new_key(ORIGIN), new_key("witness.example/w1", KeyKind.COSIGNATURE)
    note = sign_checkpoint(CHECKPOINT, log)
    line = cosign(note, witness, at=NOON)
    both = parse_note(str(note) + line.line)
    assert cosigned_at(both, witness.public) == NOON
    verify_note(both, log.public)
    backdated = line.raw[:7] + bytes([line.raw[7] ^ 1]) + line.raw[8:]
    with pytest.raises(UnsignedNoteError, match="not its own"):
        cosigned_at(note.with_signatures(type(line)(line.name, line.key_id, backdated)), witness.public)
    with pytest.raises(UnsignedNoteError, match="not cosigned"):
        cosigned_at(note, witness.public)
    with pytest.raises(UnsignedNoteError, match="not its own"):
        cosigned_at(sign_checkpoint(Checkpoint(ORIGIN, 1, SM3.empty), log).with_signatures(line), witness.public)


def test_the_message_and_the_key_id_of_a_cosignature_are_the_specifications():
    witness = new_key("witness.example/w1", KeyKind.COSIGNATURE)
    note = sign_checkpoint(CHECKPOINT, new_key(ORIGIN))
    line = cosign(note, witness, at=NOON)
    seconds = int(NOON.timestamp())
    assert line.raw[:8] == seconds.to_bytes(8, "big")
    assert witness.public.is_signed(f"cosignature/v1\ntime {seconds}\n{CHECKPOINT.text}".encode(), line.raw[8:])
    assert line.key_id == sha256(b"witness.example/w1\n\x04" + witness.public.material).digest()[:4]


def test_sm2_agrees_with_another_implementation():
    private, public = sm2.generate()
    theirs = gmalg.SM2(private, b"1234567812345678", pk=b"\x04" + public)
    raw = sm2.sign(b"message", private=private, public=public)
    r, s = _from_der(raw)
    assert theirs.verify(b"message", r, s)
    assert not theirs.verify(b"other", r, s)
    again = _to_der(*theirs.sign(b"message"))
    assert sm2.is_signed(b"message", again, public=public)
    assert not sm2.is_signed(b"other", again, public=public)


def test_sm2_verifies_the_standards_own_signature():
    # GB/T 32918.5, annex A.
    public = bytes.fromhex(
        "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
        "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
    )
    r = bytes.fromhex("F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3")
    s = bytes.fromhex("B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA")
    assert sm2.is_signed(b"message digest", _to_der(r, s), public=public)
    assert not sm2.is_signed(b"message digest", _to_der(s, r), public=public)


@pytest.mark.parametrize("signature", [b"", b"\x30", b"\x00" * 70, b"\x30\x06\x02\x01\x00\x02\x01\x00", b"\xff" * 300])
def test_what_is_no_sm2_signature_signs_nothing(signature: bytes):
    _, public = sm2.generate()
    assert not sm2.is_signed(b"message", signature, public=public)


def _from_der(raw: bytes) -> tuple[bytes, bytes]:
    first = raw[3]
    r, s = raw[4 : 4 + first], raw[6 + first :]
    return r.lstrip(b"\x00").rjust(32, b"\x00"), s.lstrip(b"\x00").rjust(32, b"\x00")


def _to_der(r: bytes, s: bytes) -> bytes:
    def integer(value: bytes) -> bytes:
        value = value.lstrip(b"\x00")
        value = b"\x00" + value if value[0] & 0x80 else value
        return bytes([2, len(value)]) + value

    body = integer(r) + integer(s)
    return bytes([0x30, len(body)]) + body


@pytest.mark.parametrize("kind", KeyKind)
def test_a_key_file_gives_back_its_key(kind: KeyKind, tmp_path: Path):
    key = new_key(ORIGIN, kind)
    (tmp_path / "key.json").write_text(key.as_text())
    (tmp_path / "key.pub").write_text(key.public.vkey + "\n")
    assert read_private_key(tmp_path / "key.json") == key
    assert read_public_key(tmp_path / "key.pub") == key.public
    assert key.secret.hex() not in repr(key)


def test_a_key_file_that_cannot_be_used_says_why(tmp_path: Path):
    path = tmp_path / "key.json"
    with pytest.raises(SigningKeyError, match="cannot be read"):
        read_private_key(path)
    for text in ("", "[]", '{"name": "a b"}', '{"name": "x", "kind": "rsa"}'):
        path.write_text(text)
        with pytest.raises(SigningKeyError, match="form"):
            read_private_key(path)
    one, other = new_key(ORIGIN), new_key(ORIGIN)
    path.write_text(json.dumps(json.loads(one.as_text()) | {"public": json.loads(other.as_text())["public"]}))
    with pytest.raises(SigningKeyError, match="belong together"):
        read_private_key(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000+AAAA",
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("+A", "+B", 1),
        VKEY.replace("example.com", "example.org"),
        VKEY[:-1],
    ],
)
def test_what_is_no_public_key_is_refused(text: str):
    with pytest.raises(SigningKeyError):
        parse_vkey(text)


def test_an_sm2_key_off_its_curve_is_refused():
    public = PublicKey(ORIGIN, KeyKind.SM2, bytes(63) + b"\x01")
    with pytest.raises(SigningKeyError, match="curve"):
        parse_vkey(public.vkey)


def test_a_request_to_a_witness_is_the_specifications():
    note = str(sign_checkpoint(CHECKPOINT, new_key(ORIGIN)))
    request = AddCheckpoint(20852014, (SM3.leaf(b"1"), SM3.leaf(b"2")), note)
    body = request.encode()
    assert body.startswith(b"old 20852014\n")
    assert parse_request(body) == request
    assert parse_request(AddCheckpoint(0, (), note).encode()) == AddCheckpoint(0, (), note)
    assert checkpoint_path("a") == f"/{sha256(b'a').hexdigest()}/checkpoint"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 1",
        b"old 1\n",
        b"new 1\n\nnote",
        b"old 01\n\nnote",
        b"old -1\n\nnote",
        b"old 1\nnot base64\n\nnote",
        b"old 1\nAAAA\n\nnote",
        b"old 1\n" + b"A" * 43 + b"=\r\n\nnote",
        b"\xff\n\n",
        b"old 1\n" + (b"A" * 43 + b"=\n") * 64 + b"\nnote",
    ],
)
def test_what_is_no_request_is_refused(body: bytes):
    with pytest.raises(MalformedNoteError):
        parse_request(body)
