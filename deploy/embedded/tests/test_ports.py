"""Every folder has its own block of ports and keeps it while it can."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home
from yijian_embedded.platform import Platform
from yijian_embedded.ports import BLOCK, choose_ports, is_free, read_ports

NAMES = ("kafka", "postgres", "approval")
NOBODY: frozenset[str] = frozenset()


@contextmanager
def somebody_listens_on(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here was killed, so there is no dying server to wait for."""
    monkeypatch.setattr("yijian_embedded.ports.RELEASED_WITHIN_S", 0.1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_folder_keeps_its_ports(home: Home):
    chosen = choose_ports(home, NAMES, occupied=NOBODY)

    assert choose_ports(home, NAMES, occupied=NOBODY) == chosen == read_ports(home)


def test_another_block_is_chosen_when_somebody_took_a_port_meanwhile(home: Home):
    before = choose_ports(home, NAMES, occupied=NOBODY)

    with somebody_listens_on(before["postgres"]):
        after = choose_ports(home, NAMES, occupied=NOBODY)

    assert abs(after["kafka"] - before["kafka"]) >= BLOCK
    assert read_ports(home) == after


def test_a_running_platform_stays_where_it_is_and_names_the_port_that_is_taken(home: Home):
    ports = choose_ports(home, NAMES, occupied=NOBODY)

    with somebody_listens_on(ports["kafka"]), somebody_listens_on(ports["postgres"]):
        assert choose_ports(home, NAMES, occupied=frozenset({"kafka", "postgres"})) == ports
        with pytest.raises(PlatformError, match=f"port {ports['postgres']}, meant for postgres, is taken"):
            choose_ports(home, NAMES, occupied=frozenset({"kafka"}))


def test_a_port_somebody_asked_for_is_never_replaced_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    base = choose_ports(Home(tmp_path / "probe"), NAMES, occupied=NOBODY)["kafka"]
    monkeypatch.setenv("YIJIAN_PORT_BASE", str(base))

    with (
        somebody_listens_on(base + 2),
        pytest.raises(PlatformError, match=rf"port {base + 2}, meant for postgres, is taken .* YIJIAN_PORT_BASE"),
    ):
        Platform(tmp_path / "home").up(services=False)

    assert not (tmp_path / "home" / "kafka").exists()


@pytest.mark.parametrize("base", ["eighty", "80", "65530"])
def test_a_port_base_that_cannot_be_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch, base: str):
    monkeypatch.setenv("YIJIAN_PORT_BASE", base)

    with pytest.raises(PlatformError, match=f"YIJIAN_PORT_BASE is '{base}'"):
        choose_ports(home, NAMES, occupied=NOBODY)


def test_a_port_is_free_once_its_server_is_gone(home: Home):
    port = choose_ports(home, NAMES, occupied=NOBODY)["kafka"]
    with somebody_listens_on(port):
        assert not is_free(port)
        socket.create_connection(("127.0.0.1", port)).close()

    assert is_free(port)
