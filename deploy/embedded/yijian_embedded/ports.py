"""A block of ports per folder, so that copies in other folders run beside this one."""

import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home, write_private

BLOCK: Final = 20
FIRST: Final = 20_000
# Below the range that the kernel hands out for outgoing connections (32768 and up on Linux).
BLOCKS: Final = 600
RELEASED_WITHIN_S: Final = 2.0


def choose_ports(home: Home, names: tuple[str, ...], *, occupied: frozenset[str]) -> Mapping[str, int]:
    """A port for each name, remembered for the next start.

    `occupied` are the names whose own processes are running: their ports are expected to be taken, and while there is
    one the block stays where it is.
    """
    explicit = os.environ.get("YIJIAN_PORT_BASE")
    wanted = _block(_parse_base(explicit, names), names) if explicit else None
    remembered = read_ports(home)
    if occupied:
        if set(remembered) != set(names) or wanted not in (None, remembered):
            raise PlatformError("the platform is running on other ports: run `yijian down` first")
        ports = remembered
        _refuse_taken(ports, occupied, "stop that program, or run `yijian down` and `yijian up` for other ports")
    elif wanted:
        ports = wanted
        _refuse_taken(ports, occupied, "stop it, or set YIJIAN_PORT_BASE to another number, or unset it")
    elif set(remembered) == set(names) and all(is_free_soon(port) for port in remembered.values()):
        ports = remembered
    else:
        ports = _find_free_block(home, names)
    write_private(home.ports, json.dumps(ports, indent=1))
    return ports


def read_ports(home: Home) -> Mapping[str, int]:
    """The ports chosen last; empty before the first start."""
    try:
        ports: dict[str, int] = json.loads(home.ports.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen there now; connections that are only fading away do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_free_soon(port: int) -> bool:
    """Whether it is free within a moment: a server that was killed holds its port until its last thread is gone."""
    deadline = time.monotonic() + RELEASED_WITHIN_S
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _find_free_block(home: Home, names: tuple[str, ...]) -> Mapping[str, int]:
    start = int(home.digest, 16) % BLOCKS
    places = BLOCKS - _blocks(names) + 1
    for step in range(places):
        ports = _block(FIRST + (start + step) % places * BLOCK, names)
        if all(is_free(port) for port in ports.values()):
            return ports
    raise PlatformError(
        f"no free block of {BLOCK} ports from {FIRST} to {FIRST + BLOCKS * BLOCK}: stop what holds them"
    )


def _block(base: int, names: tuple[str, ...]) -> dict[str, int]:
    return {name: base + offset for offset, name in enumerate(names)}


def _blocks(names: tuple[str, ...]) -> int:
    """How many blocks in a row so many names take."""
    return -(-len(names) // BLOCK)


def _parse_base(text: str, names: tuple[str, ...]) -> int:
    last = 65535 - _blocks(names) * BLOCK
    if not text.isdecimal() or not 1024 <= int(text) <= last:
        raise PlatformError(f"YIJIAN_PORT_BASE is {text!r}: set it to a number from 1024 to {last}")
    return int(text)


def _refuse_taken(ports: Mapping[str, int], occupied: frozenset[str], advice: str) -> None:
    for name, port in ports.items():
        if name not in occupied and not is_free_soon(port):
            raise PlatformError(f"port {port}, meant for {name}, is taken by another program: {advice}")
