"""Real pymodbus servers behind TLS, UDP, RTU over TCP, and ASCII on a pty; each register reads its address."""

import asyncio
import os
import pty
import ssl
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer, ModbusTlsServer, ModbusUdpServer
from pymodbus.simulator import DataType, SimData, SimDevice

UNIT = 5


def _device() -> SimDevice:
    bits = [SimData(0, values=[False], datatype=DataType.BITS)]
    registers = [SimData(0, values=list(range(0x10000)), datatype=DataType.REGISTERS)]
    return SimDevice(UNIT, simdata=(bits, bits, registers, registers))


@asynccontextmanager
async def _serving(server: Any) -> AsyncIterator[int]:
    await server.serve_forever(background=True)
    listener = server.transport
    try:
        if hasattr(listener, "sockets"):
            yield listener.sockets[0].getsockname()[1]
        else:
            yield listener.get_extra_info("sockname")[1]
    finally:
        await server.shutdown()


@asynccontextmanager
async def framed_server(framer: FramerType) -> AsyncIterator[int]:
    """A TCP server with this framing; yields its port on 127.0.0.1."""
    async with _serving(ModbusTcpServer(_device(), framer=framer, address=("127.0.0.1", 0))) as port:
        yield port


@asynccontextmanager
async def udp_server() -> AsyncIterator[int]:
    async with _serving(ModbusUdpServer(_device(), address=("127.0.0.1", 0))) as port:
        yield port


@asynccontextmanager
async def tls_server(context: ssl.SSLContext) -> AsyncIterator[int]:
    # as Modbus/TCP Security has it: the header of Modbus TCP inside TLS
    server = ModbusTlsServer(_device(), framer=FramerType.SOCKET, address=("127.0.0.1", 0), sslctx=context)
    async with _serving(server) as port:
        yield port


@asynccontextmanager
async def ascii_line(link: Path) -> AsyncIterator[None]:
    """`link` is a serial port with a pymodbus ASCII server on its line."""
    async with framed_server(FramerType.ASCII) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        master, slave = pty.openpty()
        tty.setraw(slave)
        link.symlink_to(os.ttyname(slave))
        loop = asyncio.get_running_loop()
        loop.add_reader(master, lambda: writer.write(os.read(master, 4096)))

        async def back() -> None:
            while data := await reader.read(4096):
                os.write(master, data)

        passing = asyncio.create_task(back())
        try:
            yield
        finally:
            loop.remove_reader(master)
            passing.cancel()
            await asyncio.gather(passing, return_exceptions=True)
            writer.close()
            os.close(master)
            os.close(slave)
