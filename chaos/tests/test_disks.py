"""A disk that is full takes not a byte more, and takes them again afterwards."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from yijian_chaos.disks import KAFKA, STORES, Disks
from yijian_embedded.home import Home


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    made = Disks(Home(tmp_path / "home"))
    made.mount()
    if made.missing is not None:
        made.unmount()
        pytest.skip(made.missing)
    yield made
    made.unmount()


def test_a_full_disk_takes_nothing_more_until_it_is_freed(disks: Disks):
    place = disks.places[STORES]
    (place / "before").write_bytes(b"x" * 100_000)

    assert disks.fill(STORES) >= 100_000

    with pytest.raises(OSError, match="No space left") as refused:
        (place / "more").write_bytes(b"x" * 100_000)
    assert refused.value.errno == errno.ENOSPC
    assert (place / "before").read_bytes() == b"x" * 100_000
    # Each disk is one of its own.
    (disks.places[KAFKA] / "other").write_bytes(b"x" * 100_000)
    disks.free(STORES)
    disks.free(STORES)
    (place / "more").write_bytes(b"x" * 100_000)


def test_what_was_unmounted_is_gone_and_may_be_unmounted_again(disks: Disks):
    (disks.places[STORES] / "before").touch()
    disks.unmount()
    disks.unmount()
    disks.free(STORES)
    assert list(disks.places[STORES].iterdir()) == []
