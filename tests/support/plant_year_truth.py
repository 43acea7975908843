"""What the books of the simulated plant are held against: what flowed, and what its registers counted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

from centre.accounting.intervals import Interval
from centre.accounting.registers import Flag
from centre.accounting.zones import day_bounds, local_day
from centre.carriers import Carrier, Flow
from centre.store.base import Grain
from support.plant_year_books import Books
from support.plant_year_files import BANDS, NEW_GRID, OLD_GRID, PRICES, middle
from support.plant_year_meters import ZONE
from support.plant_year_registers import Register, minute_of, steps_per

LIMIT: Final = Fraction(1, 10_000)


@dataclass(slots=True, kw_only=True)
class Deviations:
    """Of the measured intervals of one grain: how many, the worst share off the truth, and beyond a register's step."""

    measured: int = 0
    worst: Fraction = Fraction(0)
    worst_beyond: Fraction = Fraction(0)
    strict: int = 0
    flags: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, off: Fraction, truth: Fraction, step: int) -> None:
        """All in thousandths."""
        self.measured += 1
        beyond = max(Fraction(0), off - step)
        if truth:
            self.worst = max(self.worst, off / truth) if off > 1 else self.worst
            self.worst_beyond = max(self.worst_beyond, beyond / truth)
            self.strict += off <= truth * LIMIT
        else:
            assert beyond == 0


async def deviations(books: Books, found: Sequence[Register]) -> dict[Grain, Deviations]:
    """Every interval that is measured and whole, against the truth."""
    steps, counters = steps_per(found), await books.counters()
    made = {grain: Deviations() for grain in Grain}
    for register in found:
        for grain, deviation in made.items():
            for part in await books.intervals(counters[register.spec.device], grain):
                deviation.flags[part.flag] = deviation.flags.get(part.flag, 0) + 1
                if part.flag is Flag.MEASURED and part.known_ns == part.end - part.start:
                    assert part.amount is not None
                    truth = Fraction(_truth(books, register, part.start, part.end), 60)
                    off = abs(Fraction(part.amount) * 1000 - truth)
                    deviation.add(off, truth, steps[register.spec.device])
    return made


def _truth(books: Books, register: Register, start: int, end: int) -> int:
    return register.flowed(minute_of(books.year, start), minute_of(books.year, end))


async def lost_or_made(books: Books, found: Sequence[Register]) -> list[str]:
    """Meters whose intervals do not sum up to what their registers say, at any grain."""
    counters = await books.counters()
    wrong: list[str] = []
    for register in found:
        expected = Decimal(register.conserved()) / 1000
        for grain in Grain:
            total = _sum(await books.intervals(counters[register.spec.device], grain))
            if total != expected:
                wrong.append(f"{register.spec.device} {grain}: {total} in the books, {expected} by the register")
    return wrong


def _sum(parts: Iterable[Interval]) -> Decimal:
    return sum((part.amount for part in parts if part.amount is not None), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A month's figure of a statement beside the truth."""

    month: str
    name: str
    measured: bool
    told: Decimal
    truth: Fraction

    @property
    def off(self) -> Fraction:
        return abs(Fraction(self.told) / self.truth - 1)


async def headlines(books: Books, found: Sequence[Register]) -> list[Headline]:
    """Electricity bought, its CO2 by the factor then published, and its cost by the tariff then valid."""
    incomer = next(register for register in found if register.spec.device == "incomer")
    parts = await books.intervals((await books.counters())["incomer"], Grain.MONTH)
    made: list[Headline] = []
    for month in books.months():
        start, end = month.bounds(ZONE)
        if start < books.year.begin_ns or end > books.year.at(books.year.size.minutes):
            continue
        statement = await books.statement(month)
        line = statement.nodes[0].line(Carrier.ELECTRICITY)
        assert line is not None
        bought, carbon = line.flows[Flow.IMPORT], statement.nodes[0].scope2.location.terms[0]
        measured = all(part.flag is Flag.MEASURED for part in parts if start <= part.start < end)
        kwh = Fraction(_truth(books, incomer, start, end), 60_000)
        grid = Fraction(NEW_GRID if statement.dates.made_on >= middle(books.year) else OLD_GRID)
        bill = statement.bills[0].lines[0]
        assert bought.value is not None
        assert carbon.value is not None
        assert bill.amount is not None
        told = {
            "kWh": (bought.value, kwh),
            "tCO2": (carbon.value, kwh * grid / 1000),
            "CNY": (bill.amount, _cost(books, incomer, start, end)),
        }
        made += [
            Headline(month=month.label, name=name, measured=measured, told=value, truth=truth)
            for name, (value, truth) in told.items()
        ]
    return made


def _cost(books: Books, incomer: Register, start: int, end: int) -> Fraction:
    """Every minute at its own price."""
    change = day_bounds(middle(books.year), ZONE)[0]
    edges, total = [*BANDS, 1440], Fraction(0)
    at = start
    while at < end:
        following = day_bounds(local_day(at, ZONE), ZONE)[1]
        prices, first = PRICES[at >= change], minute_of(books.year, at)
        for a, b in pairwise(edges):
            total += Fraction(incomer.flowed(first + a, first + b), 60_000) * Fraction(prices[BANDS[a]])
        at = following
    return total
