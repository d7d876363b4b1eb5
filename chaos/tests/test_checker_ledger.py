"""I7: one tree for everybody, and every disclosure in it once."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from yijian_chaos.checker import facts
from yijian_chaos.checker.snapshot import Note
from yijian_chaos.checker.tree import parse_checkpoint

from .breaking import Breaking, assert_found
from .checked_world import World, note


def edit_a_leaf(world: World) -> None:
    leaf = world.tables["leaves"][5]
    world.change("leaves", leaf, data=leaf.data.replace("6162", "6163"))


def edit_the_details_of_a_leaf(world: World) -> None:
    leaf = world.tables["leaves"][5]
    old, new = '"commitment":"ab', '"commitment":"cd'
    world.change("leaves", leaf, data=leaf.data.replace(old.encode().hex(), new.encode().hex()))


def swap_two_leaves(world: World) -> None:
    one, other = world.tables["leaves"][5], world.tables["leaves"][6]
    world.change("leaves", one, id=other.id, data=other.data)
    world.change("leaves", other, id=one.id, data=one.data)


def cut_the_ledger_short(world: World) -> None:
    world.drop("leaves", world.tables["leaves"][-1])


def sign_with_another_key(world: World) -> None:
    own = world.find("notes", place="ledger.checkpoint")
    found = parse_checkpoint(own.text)
    forged = note(found.size, found.root, key=Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    world.change("notes", own, text=forged)


def show_the_witness_another_tree(world: World) -> None:
    world.tables["notes"].append(Note("ledger.http", 9, note(9, b"\0" * 32)))


def let_the_witness_be_ahead(world: World) -> None:
    size = len(world.tables["leaves"]) + 1
    for seen in (world.find("notes", place="witness.store"), world.find("notes", place="witness.http")):
        world.change("notes", seen, size=size, text=note(size, b"\0" * 32))


def break_a_tile(world: World) -> None:
    tile = world.tables["tiles"][0]
    world.change("tiles", tile, hashes="00" + tile.hashes[2:])


def lose_a_tile(world: World) -> None:
    world.tables["tiles"].clear()


def break_a_cosignature(world: World) -> None:
    line = world.tables["cosignatures"][0]
    world.change("cosignatures", line, size=world.tables["cosignatures"][1].size)


def contradict(world: World) -> None:
    world.rest["misdeeds"] = 1


def disclose_without_asking(world: World) -> None:
    """The disclosure was written in a transaction of its own, and the task's did not come through."""
    strange = replace(world.tables["disclosures"][0], task="33333333-3333-5333-8333-333333333333")
    world.tables["disclosures"].append(strange)


def ask_without_disclosing(world: World) -> None:
    world.drop("disclosures", world.tables["disclosures"][0])


def wait_to_be_covered(world: World) -> None:
    world.tables["uncovered"].append(world.tables["disclosures"][0].task)


def keep_no_details(world: World) -> None:
    world.rest["kept_disclosures"] -= {world.tables["leaves"][0].id}


def cover_twice(world: World) -> None:
    records = world.every("records", kind=facts.CHECKPOINT_SIGNED)
    world.change("records", records[1], said=(*records[1].said, records[0].said[3]))


def cover_what_is_not_signed_yet(world: World) -> None:
    """The first checkpoint names a leaf that came behind its tree, the last one names one less."""
    early, late = (world.every("records", kind=facts.CHECKPOINT_SIGNED)[place] for place in (0, -1))
    moved = late.said[-1]
    world.change("records", early, said=(*early.said, moved))
    world.change("records", late, said=late.said[:-1])


def say_two_things_of_a_checkpoint(world: World) -> None:
    record = world.find("records", kind=facts.CHECKPOINT_SIGNED)
    world.repeat(record, said=record.said[:-1])


BREAKINGS: tuple[Breaking, ...] = (
    Breaking("I7", edit_a_leaf),
    Breaking("I7", edit_the_details_of_a_leaf),
    Breaking("I7", swap_two_leaves),
    Breaking("I7", cut_the_ledger_short),
    Breaking("I7", sign_with_another_key),
    Breaking("I7", show_the_witness_another_tree),
    Breaking("I7", let_the_witness_be_ahead),
    Breaking("I7", break_a_tile),
    Breaking("I7", lose_a_tile),
    Breaking("I7", break_a_cosignature),
    Breaking("I7", contradict),
    Breaking("I7", disclose_without_asking),
    Breaking("I7", ask_without_disclosing),
    Breaking("I7", wait_to_be_covered),
    Breaking("I7", keep_no_details),
    Breaking("I7", cover_twice),
    Breaking("I7", cover_what_is_not_signed_yet),
    Breaking("I7", say_two_things_of_a_checkpoint),
)


@pytest.mark.parametrize("breaking", BREAKINGS, ids=str)
def test_what_is_broken_is_found_by_its_name(breaking: Breaking, world: World, tmp_path: Path):
    assert_found(breaking, world, tmp_path)
