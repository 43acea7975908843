"""The plant of the measurement: many meters of 40 points behind Modbus TCP, and the instant each was asked.

    python bench/plant.py METERS STAMPS.json

Prints the ports as a JSON list once it listens, one port a meter. On SIGTERM it writes, for each meter, the UTC
nanoseconds at which its requests arrived. The process does as little as it can: it must never be what is measured.
"""

import asyncio
import json
import random
import signal
import struct
import sys
import time
from pathlib import Path
from typing import cast

_REQUEST = struct.Struct(">HHHBBHH")
_REPLY = struct.Struct(">HHHBBB")
_REGISTERS = 80
_TYPICAL = (
    *(231.2, 229.8, 230.5, 399.1, 400.3, 400.9),  # volts
    *(81.3, 77.9, 84.2, 6.1),  # amperes
    *(17420.0, 16820.0, 18110.0, 52350.0, 4210.0, 4020.0, 4480.0, 12710.0),  # watts, vars
    *(17921.0, 17294.0, 18656.0, 53871.0, 0.972, 0.9726, 0.9707, 0.9718, 50.01),
    *(1.9, 2.1, 1.8, 6.2, 5.9, 6.8),  # distortion
    *(52110.0, 98340.0, 53640.0, 80.7, 0.31, 4.1),
)
_VALUES = struct.Struct(f">I{len(_TYPICAL)}f")


class Meter(asyncio.Protocol):
    """One meter: an energy register in Wh that only grows, and 39 float32 that wander."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)
        self._energy_wh = number * 1_000_000
        self._values = [value * self._random.uniform(0.9, 1.1) for value in _TYPICAL]
        self._transport: asyncio.Transport | None = None
        self.asked_ns: list[int] = []

    def itself(self) -> "Meter":
        """The factory of protocols that `create_server` wants."""
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        now = time.time_ns()
        transaction, _, _, unit, function, address, count = _REQUEST.unpack(data)
        if (function, address, count) != (3, 0, _REGISTERS):
            raise SystemExit(
                f"the plan changed: function {function}, {address}+{count}; one request of 80 was expected"
            )
        self.asked_ns.append(now)
        registers = self.answer()
        assert self._transport is not None
        self._transport.write(
            _REPLY.pack(transaction, 0, 3 + len(registers), unit, function, len(registers)) + registers
        )

    def answer(self) -> bytes:
        """The 80 registers as they are now; the next call finds them changed a little."""
        self._energy_wh += self._random.randrange(12, 18)
        self._values = [value * (1 + self._random.uniform(-2e-3, 2e-3)) for value in self._values]
        return _VALUES.pack(self._energy_wh, *self._values)


async def main(meters: int) -> list[list[int]]:
    """Serve until SIGTERM; returns when each meter was asked."""
    loop = asyncio.get_running_loop()
    plant = [Meter(number) for number in range(meters)]
    # the agent holds one connection to a meter, so the meter itself can be the protocol
    servers = [await loop.create_server(meter.itself, "127.0.0.1", 0) for meter in plant]
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await stop.wait()
    return [meter.asked_ns for meter in plant]


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(asyncio.run(main(int(sys.argv[1])))))
