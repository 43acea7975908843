"""Real Modbus TCP servers in front of simulated meters. The one module of the product that imports pymodbus.

Registers are computed when they are read, so that one request shows one instant.
"""

import asyncio
import struct
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from pymodbus.constants import ExcCodes
from pymodbus.pdu import ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.simulator.simcore import SimCore

from drivers.modbus.profile import Table
from drivers.simulation.image import ReadRefused
from drivers.simulation.mishaps import Outgoing
from drivers.simulation.served import ListenFailed, Served
from wattline.clock import Clock

_TABLE: Final = {3: Table.HOLDING, 4: Table.INPUT}
_CODES: Final = {2: ExcCodes.ILLEGAL_ADDRESS, 3: ExcCodes.ILLEGAL_VALUE}
_MBAP: Final = struct.Struct(">HHHB")  # transaction, protocol, length of what follows, unit


class _Mbap:
    """Frames of Modbus TCP."""

    def split(self, frame: bytes) -> tuple[int, bytes]:
        return frame[6], frame[_MBAP.size :]

    def join(self, frame: bytes, unit: int, pdu: bytes) -> bytes:
        transaction, protocol, _, _ = _MBAP.unpack_from(frame)
        return _MBAP.pack(transaction, protocol, len(pdu) + 1, unit) + pdu


class _Units(SimCore):
    """What pymodbus asks instead of its own memory: the units behind one endpoint, read-only."""

    def __init__(self, served: Served, clock: Clock) -> None:
        self._served = served
        self._clock = clock

    def device_ids(self) -> list[int]:
        return list(self._served.units)

    async def async_getValues(  # noqa: N802 - pymodbus's name
        self, device_id: int, func_code: int, address: int, count: int = 1
    ) -> list[int] | list[bool] | ExcCodes:
        if device_id not in self._served.units:
            return ExcCodes.GATEWAY_NO_RESPONSE  # 11: what a gateway says of a unit that is not on its bus
        table = _TABLE.get(func_code)
        if table is None:
            return ExcCodes.ILLEGAL_FUNCTION
        try:
            data = self._served.read(device_id, table, address, count, self._clock.now_ns)
        except ReadRefused as refused:
            return _CODES[refused.code]
        return list(struct.unpack(f">{count}H", data))

    async def async_setValues(  # noqa: N802 - pymodbus's name
        self, device_id: int, func_code: int, address: int, values: Sequence[int] | Sequence[bool]
    ) -> ExcCodes | None:
        del func_code, address, values
        return ExcCodes.ILLEGAL_FUNCTION if device_id in self._served.units else ExcCodes.GATEWAY_NO_RESPONSE


class _Handler(ServerRequestHandler):
    """One connection, on which a mishap may happen to what is sent."""

    def __init__(self, owner: Any, outgoing: Outgoing) -> None:
        super().__init__(owner, None, None, None)  # type: ignore[no-untyped-call]
        self._outgoing = outgoing

    def server_send(self, pdu: ModbusPDU, addr: Any) -> None:
        del addr  # of UDP
        send: Callable[[bytes], None] = cast("Any", self).send
        for delay_s, frame in self._outgoing.sent(self.framer.buildFrame(pdu)):
            if delay_s:
                self.loop.call_later(delay_s, send, frame)
            else:
                send(frame)


class _Server(ModbusTcpServer):
    """Of one endpoint."""

    def __init__(self, served: Served, address: tuple[str, int], clock: Clock) -> None:
        # pymodbus builds its own memory from devices; ours takes its place before the first connection
        super().__init__(SimDevice(0, SimData(0, datatype=DataType.REGISTERS)), address=address)
        self.context = _Units(served, clock)
        self._scripts = served.scripts

    def callback_new_connection(self) -> ServerRequestHandler:
        return _Handler(self, Outgoing(self._scripts, _Mbap()))


@asynccontextmanager
async def tcp_server(address: tuple[str, int], served: Served, clock: Clock) -> AsyncGenerator[int]:
    """Listens while entered; yields the port, which for port 0 is any free one. Raises ListenFailed."""
    host, port = address
    server = _Server(served, address, clock)
    try:
        await server.serve_forever(background=True)
    except RuntimeError as err:
        raise ListenFailed(f"{host}:{port}: cannot be listened on; is the port taken?") from err
    try:
        listener = cast("asyncio.Server", server.transport)
        yield listener.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]
