"""guess(words, later) -> Guess, ...: what the registers of an unknown meter may be, none over another. Pure.

A register read in a wrong way rarely looks like a mains voltage, and never three times in a row. So each type, word
order and usual scale is tried at each address, and what looks like physics is scored; three phases side by side count
most. A pair of float registers read in the wrong order, one register later, gives nearly the same value: of such two
the one is right whose way of reading makes sense of the whole block; and if both do, the one that starts first.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Final

from drivers.commission.interpret import NUMBERS, Reading, number_at, text_at
from drivers.modbus.profile import ValueType, WordOrder
from drivers.modbus.scaling import EXACT

LIKELY: Final = 3
_FLOAT: Final = ValueType.parse("f32")
_PHASES: Final = 3
_ALIKE: Final = 0.15  # phases of one mains differ by less
_SCALES: Final = (Decimal(1), Decimal("0.1"), Decimal("0.01"), Decimal("0.001"), Decimal("0.0001"))
_SHORT_TEXT: Final = 6  # so many characters are letters by chance now and then
_SLOW: Final = 1e-3  # what grows by more of itself between two reads is a gauge


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """`points` of `type` from `address` on, side by side. `score` of LIKELY and more is worth trying first."""

    points: tuple[str, ...]
    unit: str
    address: int
    type: ValueType
    word_order: WordOrder
    scale: Decimal
    values: tuple[str, ...]
    score: int
    why: str

    @property
    def end(self) -> int:
        return self.address + len(self.points) * self.type.registers

    @property
    def profile_lines(self) -> tuple[str, ...]:
        """Lines for the `points` of a profile (docs/add-a-meter.md), with addresses on the wire."""
        return tuple(map(self._line, range(len(self.points))))

    def _line(self, place: int) -> str:
        unit = f", unit: {self.unit}" if self.unit not in {"1", "code"} else ""
        scale = f", scale: {self.scale}" if self.scale != 1 else ""
        order = f", word_order: {self.word_order}" if self.word_order is WordOrder.LITTLE else ""
        address = self.address + place * self.type.registers
        return f"{self.points[place]}: {{address: {address}, type: {self.type}{unit}{scale}{order}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How a quantity looks: its windows, its points (of one value; of three side by side), what one hit is worth."""

    windows: tuple[tuple[float, float], ...]
    unit: str
    single: str
    three: tuple[str, ...]
    scales: tuple[Decimal, ...]
    of_float: int
    of_integer: int
    why: str


_LOOKS: Final = (
    _Look(
        windows=((85, 300),),
        unit="V",
        single="voltage_l1_n",
        three=("voltage_l1_n", "voltage_l2_n", "voltage_l3_n"),
        scales=_SCALES[:4],
        of_float=3,
        of_integer=1,
        why="a voltage between phase and neutral",
    ),
    _Look(
        windows=((300, 520),),
        unit="V",
        single="voltage_l1_l2",
        three=("voltage_l1_l2", "voltage_l2_l3", "voltage_l3_l1"),
        scales=_SCALES[:4],
        of_float=3,
        of_integer=1,
        why="a voltage between phases",
    ),
    _Look(
        windows=((49, 51), (59, 61)),
        unit="Hz",
        single="frequency",
        three=(),
        scales=_SCALES[1:4],
        of_float=4,
        of_integer=2,
        why="the mains frequency",
    ),
    _Look(
        windows=((0.5, 1.0), (-1.0, -0.5)),
        unit="1",
        single="power_factor_total",
        three=("power_factor_l1", "power_factor_l2", "power_factor_l3"),
        scales=_SCALES[2:],
        of_float=2,
        of_integer=1,
        why="a power factor",
    ),
)


def guess(words: Mapping[int, bytes], later: Mapping[int, bytes] | None = None) -> tuple[Guess, ...]:
    """What `words` (2 bytes by address on the wire) may be; `later` are the same registers some seconds later."""
    grids = _float_grids(words)
    found = [*_physics(words, grids), *_texts(words)]
    if later is not None:
        found += _counters(words, later)
    if sum(one.type.family == "f" and one.score >= LIKELY for one in found) >= _PHASES:
        # the meter speaks floats: a lone whole number that could be a voltage is the half of one
        found = [one for one in found if one.score > 1]
    taken: set[int] = set()
    chosen: list[Guess] = []
    for one in sorted(found, key=lambda g: (-g.score, g.address, g.type.registers, g.word_order)):
        registers = range(one.address, one.end)
        if taken.isdisjoint(registers):
            taken.update(registers)
            chosen.append(one)
    return tuple(sorted(chosen, key=lambda g: (g.score < LIKELY, g.address)))


def _float_grids(words: Mapping[int, bytes]) -> frozenset[tuple[WordOrder, int]]:
    """The word orders and parities (of the address) whose 32-bit floats make most sense over the whole block."""
    sense: dict[tuple[WordOrder, int], float] = {}
    for order in WordOrder:
        for parity in (0, 1):
            pairs = [at for at in words if at % 2 == parity and at + 1 in words]
            used = [at for at in pairs if any(words[at] + words[at + 1])]
            numbers = [number_at(words, at, _FLOAT, order) for at in used]
            sane = sum(number is not None and 1e-4 <= abs(number) < 1e10 for number in numbers)
            sense[order, parity] = sane / len(used) if used else 0.0
    best = max(sense.values())
    return frozenset(grid for grid, share in sense.items() if share >= best - 0.01)


def _physics(words: Mapping[int, bytes], grids: Collection[tuple[WordOrder, int]]) -> Iterator[Guess]:
    for value_type, order in NUMBERS:
        if value_type.is_integer and value_type.registers == 4:
            continue  # 64 bits are for counters
        readings = {at: number for at in words if (number := number_at(words, at, value_type, order)) is not None}
        for look in _LOOKS:
            scales = (Decimal(1),) if value_type.family == "f" else look.scales
            for scale in scales:
                fits = partial(_fits, look=look, scale=float(scale))
                hits = {at: number for at, number in readings.items() if fits(number)}
                for one in _hits(hits, look, value_type, order, scale):
                    off_grid = value_type == _FLOAT and (order, one.address % 2) not in grids
                    yield replace(one, score=one.score // 3) if off_grid else one


def _fits(number: Reading, look: _Look, scale: float) -> bool:
    value = number * scale
    return any(low <= value <= high for low, high in look.windows)


def _hits(
    hits: Mapping[int, Reading], look: _Look, value_type: ValueType, order: WordOrder, scale: Decimal
) -> Iterator[Guess]:
    worth = look.of_float if value_type.family == "f" else look.of_integer
    make = partial(Guess, unit=look.unit, type=value_type, word_order=order, scale=scale)
    for at, number in hits.items():
        yield make(points=(look.single,), address=at, values=(_text(number, scale),), score=worth, why=look.why)
        side = [hits.get(at + n * value_type.registers) for n in range(_PHASES)]
        phases = [number for number in side if number is not None]
        if look.three and len(phases) == _PHASES and _alike(phases):
            yield make(
                points=look.three,
                address=at,
                values=tuple(_text(phase, scale) for phase in phases),
                score=_PHASES * worth + 4,
                why=f"{look.why}, three phases side by side",
            )


def _alike(phases: Iterable[Reading]) -> bool:
    low, high = min(phases), max(phases)
    return high - low <= _ALIKE * max(abs(low), abs(high))


def _text(number: Reading, scale: Decimal) -> str:
    return f"{number:.6g}" if isinstance(number, float) else f"{number * scale:f}"


def _counters(words: Mapping[int, bytes], later: Mapping[int, bytes]) -> Iterator[Guess]:
    """What has grown a little: 32 bits are likelier than 16, and 64 only when their upper half is in use."""
    for value_type, order in NUMBERS:
        if value_type.family == "i":
            continue
        for at in words:
            first, second = number_at(words, at, value_type, order), number_at(later, at, value_type, order)
            if first is None or second is None or not 0 < first < second <= first * (1 + _SLOW) < EXACT:
                continue
            if value_type.family == "f":
                score = 2 if first >= 1 else 0
            else:
                score = {1: 1, 2: 3, 4: 4 if 1 << 32 <= first < 10**13 else 1}[value_type.registers]
            if score:
                yield Guess(
                    points=("energy_active_import_total",),
                    unit="kWh",
                    address=at,
                    type=value_type,
                    word_order=order,
                    scale=Decimal(1),
                    values=(_text(first, Decimal(1)),),
                    score=score,
                    why=f"a counter: it grew by {_text(second - first, Decimal(1))}; see the display",
                )


def _texts(words: Mapping[int, bytes]) -> Iterator[Guess]:
    at = min(words, default=0)
    while at <= max(words, default=-1):
        text = text_at(words, at)
        said = text.strip("\0 ")
        if said:
            yield Guess(
                points=("serial_number",),
                unit="code",
                address=at,
                type=ValueType.parse(f"ascii{len(text) // 2}"),
                word_order=WordOrder.BIG,
                scale=Decimal(1),
                values=(said,),
                score=4 if len(said) > _SHORT_TEXT and sum(map(str.isalnum, said)) > len(said) * 3 // 4 else 1,
                why="text: a model, serial number or version",
            )
        at += max(len(text) // 2, 1)
