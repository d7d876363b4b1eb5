"""How large a platform is; remembered in its folder, so that every command finds what another one started."""

import json
from dataclasses import asdict, dataclass
from typing import Final

from yijian_embedded.errors import PlatformError
from yijian_embedded.home import Home, write_private

SIZES: Final = (1, 3)
"""One broker, or as many as it takes for one to be away."""


@dataclass(frozen=True)
class Shape:
    """What a platform has beside one process per service.

    `processes` are further processes with ports of their own. `wires` are groups of processes that reach the brokers
    and the database through somebody between: each broker has a listener for each wire, whose advertised address is
    the wire's port, since Kafka's clients dial what the broker advertises.
    """

    brokers: int = 1
    processes: tuple[str, ...] = ("approval-2", "identity-2")
    wires: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.brokers not in SIZES:
            raise PlatformError(f"a platform has {' or '.join(map(str, SIZES))} brokers, not {self.brokers}")


def wire_port(wire: str, server: str) -> str:
    """The name of the port on which the wire to this server listens."""
    return f"{wire}>{server}"


def wired_port(wire: str, broker: str) -> str:
    """The name of the port on which the broker hears what comes by this wire."""
    return f"{wire}>>{broker}"


def read_shape(home: Home) -> Shape:
    """What was remembered; a folder without a note has the ordinary shape."""
    try:
        noted = json.loads(home.shape.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Shape()
    return Shape(brokers=noted["brokers"], processes=tuple(noted["processes"]), wires=tuple(noted["wires"]))


def remember_shape(home: Home, shape: Shape) -> None:
    """Note the shape of what is about to start. A cluster keeps the number of brokers with which it was made."""
    before = read_shape(home)
    if home.kafka.exists() and before.brokers != shape.brokers:
        raise PlatformError(
            f"the Kafka in {home.folder} was made with {before.brokers} broker(s), not {shape.brokers}:"
            " use another folder, or `yijian clean`"
        )
    if shape != before:
        write_private(home.shape, json.dumps(asdict(shape), indent=1))
