"""A TCP proxy between an MQTT client and a broker that a test makes slow, deaf, silent or wayward, with a seed."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from random import Random

_PUBACK = 4


class Proxy:
    """What the test sets takes effect at once, on living connections too; without settings all passes.

    `delay_s` holds each piece back in both directions, `bytes_s` is the rate upwards, `loss` the share of pieces that
    come a retransmission of 0.3 s later. `hold_acks` keeps the broker's PUBACKs back until it is False again, `shuffle`
    passes those that were held in another order. `frozen`: half-open, nothing passes and nobody is told.
    """

    def __init__(self, port: int, seed: int = 1) -> None:
        self.delay_s = 0.0
        self.bytes_s = float("inf")
        self.loss = 0.0
        self.hold_acks = self.shuffle = False
        self.frozen = False
        self.connections = 0
        self.port = 0
        self._broker = port
        self._random = Random(seed)
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """End every connection at once, as a router that restarts does."""
        for writer in self._open:
            writer.transport.abort()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(to_client)
        to_broker: asyncio.StreamWriter | None = None
        try:
            broker, to_broker = await asyncio.open_connection("127.0.0.1", self._broker)
            self._open.add(to_broker)
            ways = [
                asyncio.create_task(self._upwards(client, to_broker)),
                asyncio.create_task(self._downwards(broker, to_client)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)
        except OSError:
            pass
        finally:
            for writer in (to_client, to_broker):
                if writer is not None:
                    self._open.discard(writer)
                    writer.transport.abort()

    async def _upwards(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(1400):
                await self._weather(len(piece) / self.bytes_s)
                writer.write(piece)
                await writer.drain()

    async def _downwards(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held: list[bytes] = []
        read = b""
        with suppress(OSError):
            while True:
                if held and not self.hold_acks:
                    if self.shuffle:
                        self._random.shuffle(held)
                    writer.write(b"".join(held))
                    held.clear()
                try:
                    async with asyncio.timeout(0.02 if held else None):
                        piece = await reader.read(4096)
                except TimeoutError:
                    continue
                if not piece:
                    return
                await self._weather(0.0)
                read += piece
                while size := _packet(read):
                    packet, read = read[:size], read[size:]
                    if packet[0] >> 4 == _PUBACK and self.hold_acks:
                        held.append(packet)
                    else:
                        writer.write(packet)

    async def _weather(self, takes_s: float) -> None:
        lost = 0.3 if self._random.random() < self.loss else 0.0
        if wait_s := self.delay_s + takes_s + lost:
            await asyncio.sleep(wait_s)
        while self.frozen:
            await asyncio.sleep(0.02)


def _packet(read: bytes) -> int:
    """Bytes of the MQTT packet that `read` begins with, 0 while it is not whole."""
    size = 0
    for place, byte in enumerate(read[1:5]):
        size |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            whole = 2 + place + size
            return whole if len(read) >= whole else 0
    return 0


@asynccontextmanager
async def proxy(port: int, listener: socket.socket | None = None) -> AsyncGenerator[Proxy]:
    """A proxy to the broker on `port`, listening on a port of its own or on `listener`."""
    made = Proxy(port)
    listener = listener or socket.create_server(("127.0.0.1", 0))
    made.port = listener.getsockname()[1]
    server = await asyncio.start_server(made.serve, sock=listener)
    try:
        yield made
    finally:
        made.cut()
        server.close()
        made.cut()
        await server.wait_closed()
