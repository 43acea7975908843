"""What decoding costs: the compiled decoders of the measured profile and of shipped ones, on one core, best of nine."""

import struct
import time
from pathlib import Path

from plant import Meter

from drivers.modbus import catalogue
from drivers.modbus.decode import compile_block
from drivers.modbus.plan import Block, plan
from drivers.modbus.profile import Family, Point
from metering.faults import Fault
from metering.sweep import Value

SHIPPED = ("schneider-pm5100", "abb-b23", "siemens-pac3200")
_ROUNDS = 2000
_BEST_OF = 9


def decode_ns_per_value() -> dict[str, float]:
    """Nanoseconds for one value, by profile."""
    own = catalogue.load("bench-meter", Path(__file__).parent / "profiles")
    costs = {own.id: _cost(plan(own.standard_points, own.limits), Meter(1).answer())}
    for name in SHIPPED:
        profile = catalogue.load(name)
        points = [point for point in profile.standard_points if not point.multiply_by]
        costs[name] = _cost(plan(points, profile.limits))
    return costs


def _cost(blocks: tuple[Block, ...], data: bytes | None = None) -> float:
    work = [
        (compile_block(b.address, b.count, b.points), data or _plausible(b.address, b.count, b.points)) for b in blocks
    ]
    best = float("inf")
    values: dict[str, Value] = {}
    faults: dict[str, Fault] = {}
    for _ in range(_BEST_OF):
        began = time.perf_counter_ns()
        for _ in range(_ROUNDS):
            values, faults = {}, {}
            for decode, registers in work:
                decode(registers, values, faults)
        best = min(best, (time.perf_counter_ns() - began) / _ROUNDS / len(values))
        assert not faults
    return best


def _plausible(address: int, count: int, points: tuple[Point, ...]) -> bytes:
    """Registers in which every point holds a small good value."""
    raw = bytearray(2 * count)
    for point in points:
        size = 2 * point.type.registers
        at = 2 * (point.address - address)
        if point.type.family is Family.FLOAT:
            text = struct.pack(">f" if size == 4 else ">d", 1.25)
        else:
            text = (1).to_bytes(size, "big")
        if point.word_order.value == "little":
            text = b"".join(text[i : i + 2] for i in range(size - 2, -1, -2))
        raw[at : at + size] = text
    return bytes(raw)
