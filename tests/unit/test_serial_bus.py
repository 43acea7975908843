"""A serial bus learns from its meters' own pace which gap of registers is worth crossing, and seldom changes its mind."""

import asyncio
from pathlib import Path

import pytest

from drivers.modbus.plan import plan
from drivers.modbus.rtu import RtuLink
from drivers.modbus.serial_bus import ModbusRtuBus
from drivers.modbus.serial_line import SerialLine
from drivers.round_trips import WINDOW
from support.points import make_point, make_profile
from support.virtual_time import VirtualClock, run

LINE = SerialLine.parse("9600 8N1")
POINTS = (make_point("cfg_0", 0), make_point("cfg_1", 50))


def test_the_worthwhile_gap_follows_the_measured_turnaround(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = [0.005]

    async def read(self: RtuLink, unit: int, function: int, address: int, count: int) -> bytes:
        await asyncio.sleep(LINE.read_s(count) + pace[0])
        return bytes(2 * count)

    monkeypatch.setattr(RtuLink, "read", read)

    async def main(clock: VirtualClock) -> None:
        bus = ModbusRtuBus("rs485-1", Path("tty"), LINE, clock=clock)
        meter = bus.add_device("line-1", 1, make_profile(*POINTS, max_gap=125))
        assert bus.worthwhile_gap == 19, "until it is measured a turnaround of 20 ms is assumed"
        (block,) = plan(POINTS[:1], meter.profile.limits)
        seen = [bus.worthwhile_gap]

        async def ask(times: int) -> None:
            for _ in range(times):
                await bus.ask(meter, block)
                if bus.worthwhile_gap != seen[-1]:
                    assert bus.worthwhile_gap is not None
                    seen.append(bus.worthwhile_gap)

        await ask(4 * WINDOW)
        reader = meter.reader(["cfg_0", "cfg_1"])
        assert len(reader.requests) == 2
        pace[0] = 0.150
        await ask(4 * WINDOW)
        assert bus.worthwhile_gap == 82
        await reader.read()
        assert [request.what for request in reader.requests] == ["holding 0+51"]
        pace[0] = 0.155
        await ask(4 * WINDOW)
        assert seen == [19, 82], "12 and 84 are no great change"

    run(main)
