"""What must be set in a meter before it is read: looked at in each connection, written only where that is allowed."""

import asyncio
from dataclasses import dataclass, field

import pytest

from drivers.base import DeviceSilent
from drivers.modbus.bus import ModbusBus, ModbusDevice
from drivers.modbus.pdu import BadReply, Refused, check_written, registers_of, write_request
from drivers.modbus.profile import Profile
from drivers.modbus.profile_file import build_profile
from metering.faults import Fault
from wattline.clock import SystemClock
from wattline.errors import ConfigError
from wattline.events import capture_events
from wattline.strict_yaml import load_text

TEXT = """
id: model-x
manufacturer: Maker
model: X
medium: electricity
manual: {title: manual}
SECTION
points:
  voltage_l1_n: {address: 0, type: u16, unit: V}
  cfg_application: {address: 40960, type: u16, on_request: true}
  cfg_wide: {address: 100, type: u32, word_order: little, on_request: true}
  cfg_scaled: {address: 102, type: u16, scale: 10, on_request: true}
  cfg_input: {address: 9, type: u16, table: input, on_request: true}
"""
WRITES, REQUIRES = "before_reading: {cfg_application: 7}", "requires: {cfg_application: 7}"


def profile(section: str) -> Profile:
    return build_profile(load_text(TEXT.replace("SECTION", section), "model-x.yaml"))


@dataclass
class Meter:
    """A link with one meter behind it, which takes writes unless it is `stubborn`."""

    registers: dict[int, int]
    stubborn: bool = False
    refuses: bool = False
    reads: list[int] = field(default_factory=list)
    writes: list[tuple[int, int, bytes]] = field(default_factory=list)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def read(self, unit: int, function: int, address: int, count: int) -> bytes:
        if self.refuses and address == 40960:
            raise Refused("exception 2", 2)
        self.reads.append(address)
        return b"".join(self.registers.get(address + n, 0).to_bytes(2, "big") for n in range(count))

    async def write(self, unit: int, address: int, registers: bytes) -> None:
        self.writes.append((unit, address, registers))
        if not self.stubborn:
            for n in range(len(registers) // 2):
                self.registers[address + n] = int.from_bytes(registers[2 * n : 2 * n + 2], "big")


def device_of(meter: Meter, section: str, *, allowed: bool) -> tuple[ModbusBus, ModbusDevice]:
    bus = ModbusBus("b", meter, SystemClock())
    device = bus.add_device("m", 5, profile(section))
    device.allow_writes = allowed
    return bus, device


def read(meter: Meter, section: str, *, allowed: bool, connections: int = 1) -> list[dict[str, object]]:
    """The values of two sweeps in each connection."""

    async def main() -> list[dict[str, object]]:
        bus, device = device_of(meter, section, allowed=allowed)
        reader = device.reader(["voltage_l1_n"])
        told: list[dict[str, object]] = []
        for _ in range(connections):
            async with bus.connection():
                told += [{**(await reader.read()).values} for _ in range(2)]
        return told

    return asyncio.run(main())


def test_a_setting_is_written_before_the_first_read_when_it_differs_and_the_operator_allows_it() -> None:
    meter = Meter({0: 230, 40960: 3})
    with capture_events() as events:
        assert read(meter, WRITES, allowed=True) == [{"voltage_l1_n": 230}] * 2
    assert meter.writes == [(5, 40960, b"\0\x07")]
    assert meter.reads == [40960, 40960, 0, 0]
    (event,) = [event for event in events if event["event"] == "device.setting_written"]
    assert (event["device"], event["point"], event["before"], event["value"]) == ("m", "cfg_application", 3, 7)


def test_nothing_is_written_when_the_setting_is_as_it_must_be() -> None:
    meter = Meter({0: 230, 40960: 7})
    assert read(meter, WRITES, allowed=True, connections=3) == [{"voltage_l1_n": 230}] * 6
    assert meter.writes == []
    assert meter.reads == [40960, 0, 0] * 3  # looked at once in each connection


@pytest.mark.parametrize(("section", "allowed"), [(WRITES, False), (REQUIRES, False), (REQUIRES, True)])
def test_without_leave_nothing_is_written_and_no_value_counts(section: str, allowed: bool) -> None:
    meter = Meter({0: 230, 40960: 3})
    with pytest.raises(DeviceSilent, match="cfg_application reads 3, and must be 7") as caught:
        read(meter, section, allowed=allowed)
    assert caught.value.fault is Fault.WRONG_SETUP
    assert (meter.writes, meter.reads) == ([], [40960])


def test_a_meter_that_does_not_keep_what_is_written_gives_no_value() -> None:
    meter = Meter({0: 230, 40960: 3}, stubborn=True)
    with pytest.raises(DeviceSilent, match="reads 3, and must be 7"):
        read(meter, WRITES, allowed=True)
    assert len(meter.writes) == 1


def test_a_refused_setting_is_no_refusal_of_the_block_that_was_to_be_read() -> None:
    with pytest.raises(DeviceSilent, match="cfg_application, which must be 7: exception 2") as caught:
        read(Meter({0: 230}, refuses=True), REQUIRES, allowed=False)
    assert caught.value.fault is Fault.EXCEPTION_2


def test_a_wide_setting_is_written_in_its_word_order() -> None:
    meter = Meter({0: 230})
    assert read(meter, "before_reading: {cfg_wide: 65538}", allowed=True)[0] == {"voltage_l1_n": 230}
    assert meter.writes == [(5, 100, b"\0\2\0\1")]


def test_a_profile_without_settings_reads_nothing_more() -> None:
    meter = Meter({0: 230})
    read(meter, "", allowed=True)
    assert (meter.reads, meter.writes) == ([0, 0], [])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("requires: {cfg_aplication: 1}", "requires.cfg_aplication: is no point of this file; near it: cfg_app"),
        ("before_reading: {voltage_l1_n: 1}", "must be a state in whole numbers"),
        ("requires: {cfg_scaled: 1}", "must be a state in whole numbers"),
        ("before_reading: {cfg_input: 1}", "only as an unsigned number in holding registers"),
        ("before_reading: {cfg_application: 65536}", "65536 does not fit a u16"),
    ],
)
def test_a_setting_that_cannot_be_is_a_mistake_in_the_profile(section: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"model-x.yaml:7: ") as caught:
        profile(section)
    assert message in str(caught.value)


def test_one_register_is_written_with_function_6_and_more_with_16_as_the_standard_shows() -> None:
    assert write_request(1, b"\0\3") == bytes.fromhex("06 0001 0003")  # V1.1b3, 6.6
    assert write_request(1, b"\0\x0a\1\2") == bytes.fromhex("10 0001 0002 04 000A 0102")  # 6.12
    for address, registers in ((0, b""), (0, b"\0"), (-1, b"\0\0"), (0xFFFF, b"\0" * 4), (0, b"\0" * 10)):
        with pytest.raises(ValueError, match="no write of"):
            write_request(address, registers)


def test_the_echo_of_a_write_must_be_that_of_the_request() -> None:
    one, two = write_request(1, b"\0\3"), write_request(1, b"\0\x0a\1\2")
    check_written(one, one)
    check_written(bytes.fromhex("10 0001 0002"), two)
    with pytest.raises(Refused) as refused:
        check_written(b"\x86\x02", one)
    assert refused.value.code == 2
    for request, reply, fault in (
        (one, bytes.fromhex("06 0001 0004"), Fault.REPLY_LENGTH),
        (one, bytes.fromhex("06 0002 0003"), Fault.REPLY_LENGTH),
        (one, b"", Fault.REPLY_FUNCTION),
        (one, bytes.fromhex("03 02 0003"), Fault.REPLY_FUNCTION),
        (two, two, Fault.REPLY_LENGTH),
        (two, bytes.fromhex("10 0001 0003"), Fault.REPLY_LENGTH),
    ):
        with pytest.raises(BadReply) as bad:
            check_written(reply, request)
        assert bad.value.fault is fault
    assert registers_of(b"\x03\x02\0\x01", 3, 1) == b"\0\x01"
