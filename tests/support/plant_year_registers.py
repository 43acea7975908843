"""What flowed and what the registers of the simulated plant showed: whole numbers, to the millisecond of each poll."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from centre.accounting.registers import Replacement
from centre.carriers import CARRIERS
from metering.faults import Fault
from metering.quantities import IDENTITY
from metering.sweep import Sweep, Value
from support.plant_year import DAY, LEAD, Change, Year
from support.plant_year_meters import Spec, cumulated, loads
from wattline.clock import NS

_HOUR_MS: Final = 3_600_000
_MINUTE_MS: Final = 60_000
_NO_FAULTS: Final[dict[str, Fault]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A register from `first` (minute) on: it showed `initial` when `energy` (thousandths an hour, ms) had flowed."""

    first: int
    last: int
    energy: int
    initial: int
    factor: int


class Register:
    """One meter in its place: truth, what it shows, and which of its readings reach the centre."""

    def __init__(self, year: Year, place: int, rates: "array[int]") -> None:
        self.spec: Spec = year.specs[place]
        self.event = year.events.get(self.spec.device)
        self.point = CARRIERS[self.spec.carrier].counters[0]
        self._year, self._salt = year, place * 104_729 + year.seed * 31
        if self.event is not None:
            rates[self.event.out : self.event.back] = array("q", [0] * (self.event.back - self.event.out))
        self._flown = cumulated(rates)
        self.modulus = year.modulus[self.spec.device]
        self.lives = self._lives()
        self._told = frozenset(self._serial_polls())

    def _lives(self) -> tuple[Life, ...]:
        begun = self._year.begins[self.spec.device]
        if self.event is None:
            return (Life(first=0, last=len(self._flown), energy=0, initial=begun, factor=1),)
        return (
            Life(first=0, last=self.event.out, energy=0, initial=begun, factor=1),
            Life(
                first=self.event.back, last=len(self._flown), energy=self._flown[self.event.back] * _MINUTE_MS,
                initial=self.event.initial, factor=self.event.factor,
            ),
        )  # fmt: skip

    def flowed(self, start: int, end: int) -> int:
        """The truth: thousandths times 60 between two minutes."""
        return self._flown[end] - self._flown[start]

    def jitter_ms(self, minute: int) -> int:
        """After the due time the reply was there."""
        return 5 + (minute * 7919 + self._salt) % 116

    def counted(self, life: Life, minute: int, ms: int) -> int:
        """What the register has counted up to, its rollovers not taken off."""
        flown, after = self._flown[minute], self._flown[minute + 1] if minute + 1 < len(self._flown) else 0
        energy = flown * _MINUTE_MS + (after - flown) * ms if ms else flown * _MINUTE_MS
        shown = life.initial + (energy - life.energy) // (_HOUR_MS * life.factor)
        return shown - shown % self.spec.step

    def at_poll(self, life: Life, minute: int) -> int:
        """`counted` when the poll of this minute was answered."""
        return self.counted(life, minute, self.jitter_ms(minute))

    def _serial_polls(self) -> Iterator[int]:
        """The serial number is asked for once a day: of a new meter hours after its first reading."""
        for life in self.lives:
            for first in range(-(-life.first // DAY) * DAY, life.last, DAY):
                found = next(self._year.polls(self.spec, first, min(first + DAY, life.last)), None)
                if found is not None:
                    yield found

    def sweeps(self, first: int, last: int) -> Iterator[Sweep]:
        """The readings of [first, last) that come, some day."""
        device, point, step, modulus = self.spec.device, self.point, self.spec.step, self.modulus
        flown, salt, misreads, told = self._flown, self._salt, self._year.misreads, self._told
        for life in self.lives:
            per, initial, energy = _HOUR_MS * life.factor, life.initial, life.energy
            for minute in self._year.polls(self.spec, max(first, life.first), min(last, life.last)):
                # as `at_poll`, written out: this runs ten million times
                ms, before = 5 + (minute * 7919 + salt) % 116, flown[minute]
                shown = initial + (before * _MINUTE_MS + (flown[minute + 1] - before) * ms - energy) // per
                shown = misreads.get((device, minute), (shown - shown % step) % modulus)
                values: dict[str, Value] = {point: shown / 1000}
                if minute in told:
                    values[IDENTITY] = self._serial(life)
                at = self._year.at(minute) + ms * 1_000_000
                yield Sweep(device=device, taken_at=at, values=values, faults=_NO_FAULTS)

    def _serial(self, life: Life) -> str:
        swapped = self.event is not None and self.event.change is not Change.RESET and life is not self.lives[0]
        return f"{self._salt % 9973:06}{'B' if swapped else 'A'}"

    def replaced(self) -> tuple[Replacement, ...]:
        """What somebody wrote down of a swap."""
        if self.event is None or self.event.change not in {Change.WRITTEN, Change.FACTOR}:
            return ()
        final = self.counted(self.lives[0], self.event.out, 0) % self.modulus
        return (
            Replacement(
                at=self._year.at((self.event.out + self.event.back) // 2), final=Decimal(final) / 1000,
                initial=Decimal(self.event.initial) / 1000, factor=Decimal(self.event.factor),
            ),
        )  # fmt: skip

    def conserved(self) -> int:
        """Thousandths that must be accounted in all: differences of the register, and the arithmetic of its swap."""
        ends = [self._ends(life) for life in self.lives]
        total = sum((b - a) * life.factor for life, (a, b) in zip(self.lives, ends, strict=True))
        if self.event is None or self.event.change is Change.SERIAL:
            return total
        old, new = self.lives
        if self.event.change is Change.RESET:
            return total + ends[1][0]
        final = self.counted(old, self.event.out, 0)
        return total + final - ends[0][1] + (ends[1][0] - new.initial) * new.factor

    def _ends(self, life: Life) -> tuple[int, int]:
        """What was told first and last of a register."""
        polls = self._year.polls
        last_minute = min(life.last, self._year.size.minutes + 1)
        first = next(polls(self.spec, life.first, last_minute))
        back = 1
        while not (found := list(polls(self.spec, max(last_minute - back * 60, life.first), last_minute))):
            back *= 2
        return self.at_poll(life, first), self.at_poll(life, found[-1])


def registers(year: Year) -> tuple[Register, ...]:
    """All meters of the plan."""
    weekday = year.size.first.weekday()
    rates = loads(year.specs, year.seed, year.size.days, weekday, LEAD)
    return tuple(Register(year, place, rates.pop(spec.device)) for place, spec in enumerate(year.specs))


def steps_per(found: Sequence[Register]) -> dict[str, int]:
    """Device -> the most that a register's own step may hide, thousandths."""
    return {one.spec.device: one.spec.step * max(life.factor for life in one.lives) for one in found}


def minute_of(year: Year, at: int) -> int:
    """The minute of a UTC time on the grid."""
    return (at - year.begin_ns) // (60 * NS)
