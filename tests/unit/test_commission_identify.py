"""identify: SunSpec by its marker, probes, siblings told apart by what only one of them has, and how little is asked."""

import asyncio
import struct

from drivers.base import DeviceSilent
from drivers.commission.identify import Match, identify
from drivers.modbus import catalogue
from drivers.modbus.pdu import Refused
from drivers.modbus.plan import Block
from drivers.modbus.profile import Profile, Table
from metering.faults import Fault

ALL = tuple(catalogue.load(name) for name in catalogue.names())


class Meter:
    """Holding registers by address; what is missing is refused, or met with silence."""

    def __init__(self, words: dict[int, int], *, silent: bool = False) -> None:
        self.words = words
        self.silent = silent
        self.asked: list[str] = []

    async def ask(self, block: Block) -> bytes:
        self.asked.append(str(block))
        wanted = range(block.address, block.address + block.count)
        if block.table is Table.HOLDING and all(address in self.words for address in wanted):
            return b"".join(struct.pack(">H", self.words[address]) for address in wanted)
        if self.silent:
            raise DeviceSilent("no answer", Fault.TIMEOUT)
        raise Refused("exception 2", 2)


def identified(meter: Meter, profiles: tuple[Profile, ...] = ALL) -> tuple[Match, ...]:
    return asyncio.run(identify(meter.ask, profiles))


def sunspec(base: int, model: int, length: int) -> dict[int, int]:
    head = [0x5375, 0x6E53, 1, 66, *[0] * 66, model, length, *[0] * length, 0xFFFF, 0]
    return dict(enumerate(head, base))


def test_a_sunspec_meter_is_known_by_its_marker_wherever_it_stands() -> None:
    for base in (40000, 50000, 0):
        meter = Meter(sunspec(base, 203, 105))
        best = identified(meter)[0]
        assert (best.profile.id, best.sure) == ("sunspec-meter", True)
        assert "SunSpec marker" in best.evidence
        assert 1 <= len(meter.asked) < 16


def test_a_sunspec_device_of_a_model_nobody_describes_is_known_as_such() -> None:
    assert [match.profile.id for match in identified(Meter(sunspec(40000, 64000, 10)))] == ["sunspec-common"]


def test_probes_make_sure_and_nothing_else_is_asked() -> None:
    code = dict(enumerate(struct.unpack(">2H", struct.pack(">I", 1110585632)), 0x8960))
    meter = Meter(code)
    (match,) = identified(meter)
    assert (match.profile.id, match.sure) == ("abb-b23", True)
    assert len(meter.asked) < 16


def test_a_meter_that_keeps_silent_where_it_should_refuse_is_not_asked_for_ever() -> None:
    meter = Meter({}, silent=True)
    assert identified(meter) == ()
    assert len(meter.asked) <= 10


def test_a_model_whose_probe_does_not_fit_is_out_whatever_its_voltages_say() -> None:
    profile = catalogue.load("abb-b23")
    assert identified(Meter(dict.fromkeys(range(0x5000, 0x9000), 2300)), (profile,)) == ()
