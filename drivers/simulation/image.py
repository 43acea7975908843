"""The registers of a simulated meter: values written as its profile reads them, and reads answered as the meter would.

The inverse of decoding. What a meter lacks is its sentinel, or 0 when the profile knows none. Integer counters are cut
off, not rounded, as a meter does that has not reached the next step yet, and roll over where the profile says.
"""

import math
import struct
from collections.abc import Callable
from typing import Final, Protocol

from drivers.modbus.profile import Family, Limits, Point, Profile, Table, WordOrder
from drivers.simulation.moment import Moment
from metering.quantities import Kind

_FLOAT: Final = {2: struct.Struct(">f"), 4: struct.Struct(">d")}
_MAX_PLANS: Final = 256  # distinct reads remembered; an agent uses a handful

Encode = Callable[[float | None], bytes]


class ReadRefused(Exception):
    """The meter answers this read with a Modbus exception `code` (2 illegal address, 3 illegal count)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code = code


class Source(Protocol):
    """What an image needs of a meter; SimulatedMeter is one."""

    @property
    def profile(self) -> Profile: ...

    def moment(self, at_ns: int) -> Moment: ...

    def value(self, point: str, moment: Moment) -> float | None: ...


class Image:
    """Answers register reads of one meter."""

    def __init__(self, meter: Source) -> None:
        self._meter = meter
        self._limits = meter.profile.limits
        self._points = sorted(meter.profile.points.values(), key=lambda point: point.address)
        fixed = meter.moment(0)
        self._encoders = {point.name: encoder(point, multiplier(meter, point, fixed)) for point in self._points}
        self._plans: dict[tuple[Table, int, int], list[tuple[int, Point]]] = {}

    def read(self, table: Table, address: int, count: int, now_ns: Callable[[], int]) -> bytes:
        """`count` registers from `address`, 2 bytes each, all of one instant. Raises ReadRefused.

        `now_ns` tells the instant; it is asked once, when all that can be prepared is prepared.
        """
        key = (table, address, count)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plan(table, address, count)
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            self._plans[key] = plan
        moment = self._meter.moment(now_ns())
        before = max(0, -plan[0][0])  # a read may begin inside a value
        after = max(at + 2 * point.type.registers for at, point in plan)
        data = bytearray(before + max(after, 2 * count))
        for at, point in plan:
            encoded = self._encoders[point.name](self._meter.value(point.name, moment))
            data[before + at : before + at + len(encoded)] = encoded
        return bytes(data[before : before + 2 * count])

    def _plan(self, table: Table, address: int, count: int) -> list[tuple[int, Point]]:
        """The points inside the read, each with where its bytes begin. Raises ReadRefused as the meter would."""
        limits, after = self._limits, address + count
        if not 0 < count <= limits.max_registers:
            raise ReadRefused(3)
        points = [p for p in self._points if p.table is table and p.address < after and p.end > address]
        exact = sorted((p for p in points if (p.address, p.end) == (address, after)), key=lambda p: not p.alone)
        if exact:
            return [(0, exact[0])]
        points = [point for point in points if not point.alone]
        refused = (
            (limits.even_addresses and (address % 2 or count % 2))
            or any(first < after and address <= last for first, last in limits.forbidden)
            or not self._exists(table, address, after, limits)
        )
        if refused or not points:
            raise ReadRefused(2)
        return [(2 * (point.address - address), point) for point in points]

    def _exists(self, table: Table, address: int, after: int, limits: Limits) -> bool:
        """True when every register is a point's, in a gap a read may cross, in a block, or there for alignment."""
        known = [(p.address, p.end) for p in self._points if p.table is table and not p.alone]
        known += [(first, last + 1) for first, last in limits.blocks]
        reached = address
        for start, end in sorted(known):
            if end <= address or start >= after:
                continue
            inside = reached > address
            allowed = limits.max_gap if inside else int(limits.even_addresses)
            if start - reached > allowed:
                return False
            reached = max(reached, end)
        return after - reached <= int(limits.even_addresses)


def multiplier(meter: Source, point: Point, moment: Moment) -> float:
    """What the register is multiplied by to give the value: scale, and the ratios and exponents set in the meter."""
    factor = float(point.scale)
    for name in point.multiply_by:
        value = meter.value(name, moment)
        table = meter.profile.points[name].as_factor
        factor *= float(dict(table)[int(value or 0)]) if table else value or 1.0
    return factor


def step(point: Point, factor: float, value: float) -> float:
    """The distance from `value` to the next value its register can show, in the unit of the point."""
    if point.type.family is not Family.FLOAT:
        return abs(factor)
    bits = 24 if point.type.registers == 2 else 53
    exponent = math.frexp(value / factor)[1]
    return abs(factor) * 2.0 ** (exponent - bits)


def encoder(point: Point, factor: float) -> Encode:
    """The function from a value in the point's unit to its register bytes, in the order of the wire."""
    size = 2 * point.type.registers
    lacking = point.sentinels[0].bits.to_bytes(size, "big") if point.sentinels else bytes(size)
    plain = _plain(point, factor, size)
    swaps = point.word_order is WordOrder.LITTLE and point.type.family is not Family.ASCII
    rollover = float(point.rollover) if point.rollover is not None else None

    def encode(value: float | None) -> bytes:
        data = lacking if value is None else plain(value if rollover is None else math.fmod(value, rollover))
        return _swapped(data) if swaps else data

    return encode


def _swapped(data: bytes) -> bytes:
    return b"".join(data[at : at + 2] for at in range(len(data) - 2, -1, -2))


def _plain(point: Point, factor: float, size: int) -> Callable[[float], bytes]:
    """Most significant register first."""
    match point.type.family:
        case Family.FLOAT:
            pack = _FLOAT[size // 2].pack
            return lambda value: pack(value / factor)
        case Family.ASCII:
            return lambda value: f"{value:.0f}".encode().ljust(size)[:size]
        case Family.BCD:
            digits = 2 * size
            return lambda value: bytes.fromhex(f"{math.floor(value / factor + 1e-6) % 10**digits:0{digits}d}")
        case Family.UNSIGNED | Family.SIGNED:
            return _integer(point, factor, size)


def _integer(point: Point, factor: float, size: int) -> Callable[[float], bytes]:
    signed = point.type.family is Family.SIGNED
    low, high = (-(1 << (8 * size - 1)), (1 << (8 * size - 1)) - 1) if signed else (0, (1 << (8 * size)) - 1)
    # one below the largest pattern: the largest means "no data" in many meters
    top, bottom = high - 1, low + 1 if signed else 0
    if point.quantity.kind is Kind.COUNTER:
        return lambda value: (math.floor(value / factor + 1e-6) % (top + 1) if value >= 0 else bottom).to_bytes(
            size, "big", signed=signed
        )
    return lambda value: min(top, max(bottom, round(value / factor))).to_bytes(size, "big", signed=signed)
