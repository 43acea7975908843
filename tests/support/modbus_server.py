"""A real pymodbus server with given registers; every register that is not given reads 0."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


def _block(registers: Mapping[int, int]) -> list[SimData]:
    full = [registers.get(address, 0) for address in range(0x10000)]
    return [SimData(0, values=full, datatype=DataType.REGISTERS)]


@asynccontextmanager
async def modbus_server(
    *,
    unit: int,
    holding: Mapping[int, int] | None = None,
    input: Mapping[int, int] | None = None,  # noqa: A002
) -> AsyncIterator[int]:
    """Yields the port it listens on, on 127.0.0.1."""
    bits = [SimData(0, values=[False], datatype=DataType.BITS)]
    device = SimDevice(unit, simdata=(bits, bits, _block(holding or {}), _block(input or {})))
    server = ModbusTcpServer(device, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    listener: Any = server.transport
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()
