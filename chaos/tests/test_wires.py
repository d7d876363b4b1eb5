"""What each mode of a wire does to real connections."""

import asyncio
import os
import time
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio
from yijian_chaos.wires import Leg, Switchboard, Wire, WireError
from yijian_messaging.testing import wait_until

pytestmark = pytest.mark.timeout(60)


class Echo:
    """A server that says again what it hears, and counts what reached it."""

    def __init__(self) -> None:
        self.heard = b""
        self.accepted = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            while data := await reader.read(65536):
                self.heard += data
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest_asyncio.fixture
async def echo() -> Echo:
    return Echo()


@pytest_asyncio.fixture
async def wire(echo: Echo) -> AsyncIterator[Wire]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with Switchboard() as board:
        yield await board.lay("client>echo", Leg(port=0, target=server.sockets[0].getsockname()[1]))
    server.close()


async def dial(wire: Wire) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", wire.port)


async def say(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], data: bytes) -> bytes:
    reader, writer = connection
    writer.write(data)
    await writer.drain()
    return await asyncio.wait_for(reader.readexactly(len(data)), 20)


async def nobody_is_left(wire: Wire) -> None:
    async def gone() -> bool:
        return not await wire.connections()

    await wait_until(gone, what="the wire to have no connections", within=5)


async def test_a_wire_passes_what_it_gets_whole_and_ends_with_both_sides(wire: Wire, echo: Echo):
    data = os.urandom(3_000_000)
    reader, writer = await dial(wire)

    async def send() -> None:
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    answer, _ = await asyncio.gather(reader.read(-1), send())

    assert answer == data
    assert echo.heard == data
    writer.close()
    await nobody_is_left(wire)


async def test_a_refusing_wire_resets_who_is_there_and_refuses_who_comes(wire: Wire):
    connection = await dial(wire)
    await say(connection, b"before")

    await wire.refuse()

    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(connection[0].read(1), 5)
    with pytest.raises(ConnectionRefusedError):
        await dial(wire)
    await wire.pass_through()
    assert await say(await dial(wire), b"after") == b"after"


async def test_a_hanging_wire_tells_nobody_and_what_was_sent_arrives_late(wire: Wire, echo: Echo):
    connection = await dial(wire)
    await say(connection, b"before")

    await wire.hang()
    connection[1].write(b"meanwhile")
    newcomer = await dial(wire)
    newcomer[1].write(b"hello")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection[0].read(1), 0.5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(newcomer[0].read(1), 0.5)
    assert echo.heard == b"before"
    # As no packet of theirs would come through, nobody who dials takes a place at the server.
    assert echo.accepted == 1
    await wire.pass_through()
    assert await asyncio.wait_for(connection[0].readexactly(9), 5) == b"meanwhile"
    assert await asyncio.wait_for(newcomer[0].readexactly(5), 5) == b"hello"


async def test_who_gives_up_on_a_hanging_wire_is_gone_when_it_passes_again(wire: Wire):
    connection = await dial(wire)
    await say(connection, b"before")
    await wire.hang()
    connection[1].close()
    await asyncio.sleep(0.1)
    assert await wire.connections() == 1

    await wire.pass_through()

    await nobody_is_left(wire)


async def test_who_dials_a_hanging_wire_and_gives_up_was_never_at_the_server(wire: Wire, echo: Echo):
    await wire.hang()
    for _ in range(20):
        _, writer = await dial(wire)
        writer.write(b"hello")
        writer.close()
    await nobody_is_left(wire)

    await wire.pass_through()

    assert await say(await dial(wire), b"after") == b"after"
    assert (echo.accepted, echo.heard) == (1, b"after")


async def test_a_slow_wire_is_late_in_both_directions_and_keeps_the_order(wire: Wire):
    connection = await dial(wire)
    await wire.slow(0.1, 0.05)

    began = time.monotonic()
    assert await say(connection, b"x") == b"x"
    assert time.monotonic() - began >= 0.1

    for number in range(20):
        connection[1].write(b"%02d" % number)
        await asyncio.sleep(0.005)
    told = await asyncio.wait_for(connection[0].readexactly(40), 10)
    assert told == b"".join(b"%02d" % number for number in range(20))


async def test_a_narrow_wire_carries_so_many_bytes_a_second(wire: Wire, echo: Echo):
    connection = await dial(wire)
    await wire.slow(0, bytes_per_s=20_000)
    connection[1].write(b"x" * 100_000)

    await asyncio.sleep(1)

    assert len(echo.heard) < 70_000
    await wire.pass_through()
    assert await asyncio.wait_for(connection[0].readexactly(100_000), 10)


async def test_a_lossy_wire_loses_nothing_but_time(wire: Wire):
    connection = await dial(wire)
    await wire.slow(0, loss=1.0)
    began = time.monotonic()
    assert await say(connection, b"once") == b"once"
    assert time.monotonic() - began >= 0.4


async def test_who_sends_more_than_the_other_side_takes_has_to_wait(wire: Wire):
    await wire.hang()
    _, writer = await dial(wire)
    writer.write(b"x" * 50_000_000)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(writer.drain(), 1)
    writer.transport.abort()


async def test_a_server_that_is_away_is_a_reset(wire: Wire):
    async with Switchboard() as board:
        dead = await board.lay("client>nobody", Leg(port=0, target=wire.port + 1))
        # The reset may come before the caller has noticed that somebody answered.
        with pytest.raises(ConnectionResetError):
            reader, _ = await dial(dead)
            await asyncio.wait_for(reader.read(1), 5)


async def test_legs_of_one_wire_are_cut_together_and_keep_their_ports(wire: Wire):
    async with Switchboard() as board:
        both = await board.lay("client>cluster", Leg(0, wire.port), Leg(0, wire.port))
        connections = [await asyncio.open_connection("127.0.0.1", leg.port) for leg in both.legs]
        for connection in connections:
            await say(connection, b"x")
        await both.refuse()
        for reader, _ in connections:
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(1), 5)
        for leg in both.legs:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", leg.port)
        await both.pass_through()
        await both.pass_through()
        for leg in both.legs:
            await say(await asyncio.open_connection("127.0.0.1", leg.port), b"x")


async def test_a_switchboard_ends_with_its_input_and_says_so():
    board = Switchboard()
    await board.start()
    assert board.pid is not None
    process = psutil.Process(board.pid)
    await board.stop()
    assert not process.is_running()
    with pytest.raises(WireError, match="does not run"):
        await board.lay("a>b", Leg(0, 1))
