"""The silence before a request: never shorter than 3.5 characters, and hardly longer, however a port's sleep ends."""

from collections.abc import Iterator

import pytest
from fuzz.rtu_port import LINE, SimulatedPort, truth

from drivers.modbus.rtu_frame import sealed
from drivers.modbus.rtu_line import RtuLine
from wattline.events import EventLog

_LOOK_S = 0.000005  # what a look at the port takes


class _Port(SimulatedPort):
    """Sleeps end `early_s` too early, every look at the port takes its time; knows when each request was written."""

    def __init__(self, early_s: float, unasked: Iterator[float]) -> None:
        super().__init__(self._answered, paced=True)
        self._early_s = early_s
        self._unasked = unasked
        self.asked_at: list[float] = []
        self.heard_at: list[float] = []

    def _answered(self, request: bytes, now: float) -> list[tuple[float, bytes]]:
        begun = now + LINE.silence_s
        reply = sealed(request[:2] + b"\x04" + truth(request[0], request[1], 0, 2))
        whole_at = begun + len(reply) * LINE.character_s
        noise_at = whole_at + next(self._unasked) * LINE.silence_s
        return [(whole_at, reply), (noise_at, b"\xff")] if noise_at > whole_at else [(whole_at, reply)]

    def write(self, data: bytes) -> None:
        self.asked_at.append(self.now())
        super().write(data)

    def doze(self, seconds: float) -> None:
        self.sleep(max(0.0, seconds - self._early_s))

    def read(self) -> bytes:
        data = super().read()
        if data:
            self.heard_at.append(self.now())
        self.sleep(_LOOK_S)
        return data


@pytest.mark.parametrize("early_s", [0.0, 0.00005, 0.01])
def test_a_sleep_that_ends_early_neither_breaks_nor_stretches_the_silence(early_s: float) -> None:
    """A byte that nobody asked for, at the begin of the silence or shortly before its end, makes it begin anew."""
    port = _Port(early_s, iter([0.0, 0.0, 0.1, 0.9, 0.0] * 4))
    line = RtuLine(port, LINE, EventLog(), turnaround_s=0.1, slow={})
    for _ in range(20):
        assert line.read(1, 3, 0, 2, lambda: False) == truth(1, 3, 0, 2)
    for asked_at in port.asked_at[2:]:  # behind the first reply a second meter is listened for
        last = max(at for at in port.heard_at if at <= asked_at)
        assert LINE.silence_s - 1e-9 <= asked_at - last <= LINE.silence_s + 4 * _LOOK_S
