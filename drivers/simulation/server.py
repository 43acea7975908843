"""Real Modbus TCP servers in front of simulated meters. The one module of the product that imports pymodbus.

Registers are computed when they are read, so that one request shows one instant.
"""

import asyncio
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final, Protocol, Self, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.simulator.simcore import SimCore

from drivers.modbus.profile import Table
from drivers.simulation.image import ReadRefused
from wattline.clock import Clock

_TABLE: Final = {3: Table.HOLDING, 4: Table.INPUT}
_CODES: Final = {2: ExcCodes.ILLEGAL_ADDRESS, 3: ExcCodes.ILLEGAL_VALUE}


class Readable(Protocol):
    """The registers of one unit; Image is one."""

    def read(self, table: Table, address: int, count: int, now_ns: Callable[[], int]) -> bytes:
        """`count` registers, 2 bytes each, of the instant `now_ns()`. Raises ReadRefused."""
        ...


class ListenFailed(Exception):
    """An address cannot be listened on; the message names it."""


class _Units(SimCore):
    """What pymodbus asks instead of its own memory: the units behind one endpoint, read-only."""

    def __init__(self, units: Mapping[int, Readable], clock: Clock) -> None:
        self._units = dict(units)
        self._clock = clock

    def device_ids(self) -> list[int]:
        return list(self._units)

    async def async_getValues(  # noqa: N802 - pymodbus's name
        self, device_id: int, func_code: int, address: int, count: int = 1
    ) -> list[int] | list[bool] | ExcCodes:
        unit = self._units.get(device_id)
        if unit is None:
            return ExcCodes.GATEWAY_NO_RESPONSE  # 11: what a gateway says of a unit that is not on its bus
        table = _TABLE.get(func_code)
        if table is None:
            return ExcCodes.ILLEGAL_FUNCTION
        try:
            data = unit.read(table, address, count, self._clock.now_ns)
        except ReadRefused as refused:
            return _CODES[refused.code]
        return list(struct.unpack(f">{count}H", data))

    async def async_setValues(  # noqa: N802 - pymodbus's name
        self, device_id: int, func_code: int, address: int, values: Sequence[int] | Sequence[bool]
    ) -> ExcCodes | None:
        del func_code, address, values
        return ExcCodes.ILLEGAL_FUNCTION if device_id in self._units else ExcCodes.GATEWAY_NO_RESPONSE


class Servers:
    """The endpoints of a plant, listening while the context is entered.

    `endpoints` maps an address (host, port) to its units. Port 0 is any free one; `ports` tells which, in order.
    """

    def __init__(self, endpoints: Sequence[tuple[tuple[str, int], Mapping[int, Readable]]], clock: Clock) -> None:
        self._endpoints = list(endpoints)
        self._clock = clock
        self._stack = AsyncExitStack()
        self.ports: list[int] = []

    async def __aenter__(self) -> Self:
        """Raises ListenFailed; then nothing listens."""
        async with AsyncExitStack() as stack:
            for address, units in self._endpoints:
                # pymodbus builds its own memory from devices; ours takes its place before the first connection
                server = ModbusTcpServer(SimDevice(0, SimData(0, datatype=DataType.REGISTERS)), address=address)
                server.context = _Units(units, self._clock)
                try:
                    await server.serve_forever(background=True)
                except RuntimeError as err:
                    raise ListenFailed(f"{address[0]}:{address[1]}: cannot be listened on; is the port taken?") from err
                stack.push_async_callback(server.shutdown)
                listener = cast("asyncio.Server", server.transport)
                self.ports.append(listener.sockets[0].getsockname()[1])
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()
