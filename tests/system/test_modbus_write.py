"""The one kind of write there is, against a real Modbus server: a setting the profile names, allowed by the operator."""

import asyncio

import pytest

from drivers.base import DeviceSilent
from drivers.modbus import catalogue
from drivers.modbus.bus import ModbusTcpBus
from drivers.modbus.pdu import Refused
from drivers.modbus.tcp import TcpLink
from metering.faults import Fault
from support.modbus_server import modbus_server
from support.register_image import register_image
from wattline.clock import SystemClock
from wattline.events import EventLog

PROFILE = catalogue.load("carlo-gavazzi-em24-e1")
APPLICATION = PROFILE.points["cfg_application"].address


def sweeps(*, allowed: bool) -> list[object]:
    """Of an EM24_E1 in another application: the voltage in two connections, or why there is none."""

    async def main() -> list[object]:
        image = register_image("carlogavazzi_em24_e1")
        async with modbus_server(unit=1, holding={**image.holding, APPLICATION: 1}, input=image.input) as port:
            bus = ModbusTcpBus("test", "127.0.0.1", port, clock=SystemClock())
            device = bus.add_device("meter", 1, PROFILE, ["voltage_l1_n", "cfg_application"])
            device.allow_writes = allowed
            reader = device.reader(["voltage_l1_n", "cfg_application"])
            told: list[object] = []
            for _ in range(2):
                async with bus.connection():
                    try:
                        told.append((await reader.read()).values["cfg_application"])
                    except DeviceSilent as err:
                        told.append(err.fault)
            return told

    return asyncio.run(main())


def test_the_application_is_written_and_then_the_meter_is_read() -> None:
    assert sweeps(allowed=True) == [7, 7]


def test_without_leave_the_meter_stays_as_it_is_and_no_value_counts() -> None:
    assert sweeps(allowed=False) == [Fault.WRONG_SETUP, Fault.WRONG_SETUP]


def test_a_link_writes_one_register_and_several_and_tells_a_refusal() -> None:
    async def main() -> None:
        async with modbus_server(unit=1) as port:
            link = TcpLink("127.0.0.1", port, 2.0, EventLog())
            await link.open()
            try:
                await link.write(1, 10, b"\x12\x34")
                await link.write(1, 20, b"\1\2\3\4")
                assert await link.read(1, 3, 10, 1) == b"\x12\x34"
                assert await link.read(1, 3, 20, 2) == b"\1\2\3\4"
                with pytest.raises((Refused, DeviceSilent)):
                    await link.write(9, 10, b"\0\1")  # no such unit
            finally:
                await link.close()

    asyncio.run(main())
