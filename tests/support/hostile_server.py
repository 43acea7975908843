"""A TCP server that answers Modbus requests as a test tells it to, right or wrong."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from drivers.modbus.tcp import TcpLink
from wattline.events import EventLog


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    transaction: int
    unit: int
    function: int
    address: int
    count: int


def frame(transaction: int, unit: int, pdu: bytes, *, protocol: int = 0, length: int | None = None) -> bytes:
    return struct.pack(">HHHB", transaction, protocol, len(pdu) + 1 if length is None else length, unit) + pdu


def good(asked: Asked, fill: int = 0) -> bytes:
    """The right reply; every register is its address plus `fill`."""
    words = [(asked.address + n + fill) & 0xFFFF for n in range(asked.count)]
    pdu = struct.pack(f">BB{asked.count}H", asked.function, 2 * asked.count, *words)
    return frame(asked.transaction, asked.unit, pdu)


def words(address: int, count: int, fill: int = 0) -> bytes:
    return struct.pack(f">{count}H", *((address + n + fill) & 0xFFFF for n in range(count)))


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def in_batches(size: int, last: int, batches: list[int]) -> Answer:
    """Answers nothing until `size` requests wait, or all of the `last` ones; then all of them, the newest first."""
    waiting: list[Asked] = []
    seen = 0

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        waiting.append(asked)
        if len(waiting) == size or seen % last == 0:
            batches.append(len(waiting))
            writer.write(b"".join(good(each) for each in reversed(waiting)))
            waiting.clear()

    return answer


@dataclass
class Hostile:
    port: int = 0
    seen: list[Asked] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def hostile_server(
    answer: Answer, listener: socket.socket | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[Hostile]:
    """On a free port of 127.0.0.1, or on this listener, with TLS if there is a context; leaving cuts all connections."""
    state = Hostile()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        state.connections += 1
        try:
            while True:
                header = await reader.readexactly(12)
                asked = Asked(*(struct.unpack(">HHHBBHH", header)[n] for n in (0, 3, 4, 5, 6)))
                state.seen.append(asked)
                await answer(asked, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            serving.discard(task)
            writer.close()

    if listener is None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    else:
        server = await asyncio.start_server(serve, sock=listener, ssl=context)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


@asynccontextmanager
async def linked(answer: Answer, timeout_s: float = 0.2) -> AsyncIterator[tuple[TcpLink, Hostile]]:
    """A hostile server and an open link to it."""
    async with hostile_server(answer) as state:
        link = TcpLink("127.0.0.1", state.port, timeout_s, EventLog(bus="test"))
        await link.open()
        try:
            yield link, state
        finally:
            await link.close()
