"""Evidence stands on its own: two public keys open it, and nothing in it can be changed unnoticed."""

import copy
import json
import random
import socket
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yijian_ledger.canonical import Written
from yijian_ledger.checkpoints import Checkpoint, sign_checkpoint
from yijian_ledger.compact_range import CompactRange
from yijian_ledger.cosignatures import cosign
from yijian_ledger.evidence import EvidenceError, Item, Opening, make_pack, parse_pack, verify_pack
from yijian_ledger.keys import KeyKind, new_key
from yijian_ledger.leaf import LeafKind, make_leaf, new_salt
from yijian_ledger.portions import in_portions
from yijian_ledger.proofs import inclusion_ranges

LOG, WITNESS = new_key("yijian.example/ledger"), new_key("witness.example/w1", KeyKind.COSIGNATURE)
NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)
LEAVES = 21


def pack_of(*wanted: int, erased: tuple[int, ...] = ()) -> dict[str, Any]:
    """Evidence of some leaves of a small log; of the erased ones without their details."""
    openings, leaves = [], []
    for number in range(LEAVES):
        contents = [{"concerns": ["MOTHER"], "fields": [{"title": "母亲姓名"}]}, {"concerns": ["FATHER"], "fields": []}]
        details, portions = in_portions({"purpose": f"第 {number} 项"}, map(Written.of, contents))
        salt = new_salt()
        openings.append(Opening(details.value, salt, portions[:1]))
        leaves.append(make_leaf(uuid4(), LeafKind.DISCLOSURE, details.value, salt=salt))

    def root(begin: int, end: int) -> bytes:
        edge = CompactRange()
        edge.extend(leaf.hash for leaf in leaves[begin:end])
        return edge.root()

    note = sign_checkpoint(Checkpoint(LOG.name, LEAVES, root(0, LEAVES)), LOG)
    items = [
        Item(
            index=index,
            leaf=leaves[index].data,
            proof=tuple(root(*span) for span in inclusion_ranges(index, LEAVES)),
            opening=None if index in erased else openings[index],
        )
        for index in wanted
    ]
    return make_pack(str(note.with_signatures(cosign(note, WITNESS, at=NOON))), items)


def test_a_pack_proves_what_it_holds_without_any_network(monkeypatch: pytest.MonkeyPatch):
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", no_network)
    text = json.dumps(pack_of(0, 7, 20, erased=(7,))).encode()
    proven = verify_pack(parse_pack(text), log=LOG.public, witness=WITNESS.public)
    assert proven.cosigned_at == NOON
    assert [item.index for _, item in proven.items] == [0, 7, 20]
    assert [item.opening is None for _, item in proven.items] == [False, True, False]
    opening = proven.items[2][1].opening
    assert opening is not None
    assert opening.details["purpose"] == "第 20 项"
    assert opening.portions[0].content.value["concerns"] == ["MOTHER"]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where texts and numbers stand in a pack."""
    match value:
        case dict():
            return [place for name, member in value.items() for place in places(member, (*path, name))]
        case list():
            return [place for number, item in enumerate(value) for place in places(item, (*path, number))]
        case _:
            return [path]


PACK = pack_of(3, 12)


@given(st.sampled_from(places(PACK)), st.integers(0, 10**6))
def test_whatever_is_changed_in_it_is_found(path: tuple[Any, ...], number: int):
    changed = copy.deepcopy(PACK)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    old = holder[path[-1]]
    if isinstance(old, int):
        holder[path[-1]] = old + 1 + number
    else:
        place = number % len(old)
        holder[path[-1]] = old[:place] + ("x" if old[place] != "x" else "y") + old[place + 1 :]
    with pytest.raises(EvidenceError):
        verify_pack(changed, log=LOG.public, witness=WITNESS.public)


@pytest.mark.parametrize("missing", ["salt", "details", "portions", "proof", "leaf", "index"])
def test_an_item_that_lacks_something_is_refused(missing: str):
    pack = pack_of(3)
    del pack["items"][0][missing]
    with pytest.raises(EvidenceError, match="item 1"):
        verify_pack(pack, log=LOG.public, witness=WITNESS.public)


def test_somebody_elses_portion_does_not_fit():
    pack = pack_of(3, 4)
    pack["items"][0]["portions"], pack["items"][1]["portions"] = (item["portions"] for item in pack["items"][::-1])
    with pytest.raises(EvidenceError, match="details of leaf 3"):
        verify_pack(pack, log=LOG.public, witness=WITNESS.public)


def test_keys_of_others_open_nothing():
    with pytest.raises(EvidenceError, match="not signed by"):
        verify_pack(PACK, log=new_key(LOG.name).public, witness=None)
    other = new_key(WITNESS.name, KeyKind.COSIGNATURE).public
    with pytest.raises(EvidenceError, match="not cosigned by"):
        verify_pack(PACK, log=LOG.public, witness=other)
    assert verify_pack(PACK, log=LOG.public, witness=None).cosigned_at is None


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{}", b'{"what": "yijian-evidence", "v": 1}', b"[" * 100_000])
def test_what_is_no_pack_is_refused(text: bytes):
    with pytest.raises(EvidenceError):
        verify_pack(parse_pack(text), log=LOG.public, witness=None)


def test_odd_items_are_refused_in_words():
    chance = random.Random(1)  # noqa: S311 - which oddity where
    odd = [None, 1, "x", [], {}, 1.5, True, "é" * 40]
    for path in places(PACK):
        changed = copy.deepcopy(PACK)
        holder = changed
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = chance.choice([value for value in odd if value != holder[path[-1]]])
        with pytest.raises(EvidenceError):
            verify_pack(changed, log=LOG.public, witness=WITNESS.public)
