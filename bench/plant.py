"""The plant of the measurement: many meters of 40 points behind Modbus TCP, and the instant each was asked.

    python bench/plant.py METERS STAMPS.json

Prints the ports as a JSON list once it listens, one port a meter. On SIGTERM it writes, for each meter, the UTC
nanoseconds at which the kernel received its requests, so that a busy plant makes no request late.
"""

import asyncio
import json
import random
import signal
import socket
import struct
import sys
from pathlib import Path

_REQUEST = struct.Struct(">HHHBBHH")
_REPLY = struct.Struct(">HHHBBB")
_REGISTERS = 80
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python has no name for it
_TIMESPEC = struct.Struct("@ll")
_TYPICAL = (
    *(231.2, 229.8, 230.5, 399.1, 400.3, 400.9),  # volts
    *(81.3, 77.9, 84.2, 6.1),  # amperes
    *(17420.0, 16820.0, 18110.0, 52350.0, 4210.0, 4020.0, 4480.0, 12710.0),  # watts, vars
    *(17921.0, 17294.0, 18656.0, 53871.0, 0.972, 0.9726, 0.9707, 0.9718, 50.01),
    *(1.9, 2.1, 1.8, 6.2, 5.9, 6.8),  # distortion
    *(52110.0, 98340.0, 53640.0, 80.7, 0.31, 4.1),
)
_VALUES = struct.Struct(f">I{len(_TYPICAL)}f")


class Meter:
    """One meter: an energy register in Wh that only grows, and 39 float32 that wander about a plausible value."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        self._energy_wh = number * 1_000_000
        self._usual = [value * self._random.uniform(0.97, 1.03) for value in _TYPICAL]
        self._values = [*self._usual]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.asked_ns: list[int] = []

    async def serve(self) -> None:
        """Accept connections for ever; requests are answered by the loop's callbacks."""
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            loop.add_reader(connection, self._asked, connection)

    def _asked(self, connection: socket.socket) -> None:
        """Answer one request; its time of arrival is the kernel's, so that this process cannot make it late."""
        data, notes, _, _ = connection.recvmsg(260, socket.CMSG_SPACE(_TIMESPEC.size))
        if not data:
            asyncio.get_running_loop().remove_reader(connection)
            connection.close()
            return
        transaction, _, _, unit, function, address, count = _REQUEST.unpack(data)
        if (function, address, count) != (3, 0, _REGISTERS):
            raise SystemExit(
                f"the plan changed: function {function}, {address}+{count}; one request of 80 was expected"
            )
        seconds, nanoseconds = _TIMESPEC.unpack(notes[0][2])
        self.asked_ns.append(seconds * 1_000_000_000 + nanoseconds)
        registers = self.answer()
        connection.send(_REPLY.pack(transaction, 0, 3 + len(registers), unit, function, len(registers)) + registers)

    def answer(self) -> bytes:
        """The 80 registers as they are now; the next call finds them changed a little."""
        self._energy_wh += self._random.randrange(12, 18)
        self._values = [
            value + 0.05 * (usual - value) + usual * self._random.uniform(-2e-3, 2e-3)
            for value, usual in zip(self._values, self._usual, strict=True)
        ]
        return _VALUES.pack(self._energy_wh, *self._values)


async def main(meters: int) -> list[list[int]]:
    """Serve until SIGTERM; returns when each meter was asked."""
    plant = [Meter(number) for number in range(meters)]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    serving = [asyncio.create_task(meter.serve(), name=f"meter-{meter.port}") for meter in plant]
    print(json.dumps([meter.port for meter in plant]), flush=True)
    await stop.wait()
    for task in serving:
        task.cancel()
    return [meter.asked_ns for meter in plant]


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(asyncio.run(main(int(sys.argv[1])))))
