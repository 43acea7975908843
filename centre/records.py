"""What a statement is made of: what is accounted of each meter in a period, and the rules figures are made by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from centre.accounting.completeness import Count
from centre.accounting.factors import FactorRow
from centre.accounting.intervals import Interval
from centre.accounting.management_file import Management, in_force
from centre.accounting.power_factor import PowerFactorTable
from centre.accounting.registers import Register
from centre.accounting.terms import ZERO
from centre.day import NO_DATA, NO_METER, Place
from centre.manual_meters import ManualMeter
from centre.plant_terms import PlantTerms
from centre.points import MeterPoints
from centre.store.base import Bucket, Grain, SeriesKey


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRecord:
    """What is accounted of one meter in a period: its days, its quarters of an hour where asked for, its readings.

    `running` are the latest steps, and the step of the register, while hardly a quarter of a running month is whole.
    `bounds` (UTC ns) and `part` tell the days of the period it counts for a node, where these are not all; `formula`
    is that of a virtual meter, `manual` are the readings by hand of the days that the wire tells nothing of.
    """

    points: MeterPoints
    days: tuple[Bucket, ...]
    quarters: tuple[Bucket, ...]
    count: Count
    running: tuple[Register, Decimal | None] | None = None
    bounds: tuple[int, int] | None = None
    part: str = ""
    formula: str | None = None
    manual: ManualMeter | None = None

    @property
    def counter(self) -> SeriesKey | None:
        """The register that counts, read by wire or by hand."""
        return (
            self.points.counter
            if self.points.counter is not None or self.manual is None
            else self.manual.points.counter
        )

    def with_manual(self, manual: ManualMeter, days: Sequence[Interval]) -> "MeterRecord":
        """The record with the days that its readings by hand tell of."""
        every = {day.interval.start: day for day in self.days}
        every |= {day.start: Bucket(grain=Grain.DAY, interval=day) for day in days}
        return replace(self, manual=manual, days=tuple(every[at] for at in sorted(every)))

    @property
    def manual_days(self) -> tuple[Bucket, ...]:
        """The days that count by readings by hand."""
        return tuple(day for day in self.days if self.manual is not None and self.manual.counts(day.interval))

    @property
    def wire_days(self) -> tuple[Bucket, ...]:
        """The others."""
        return tuple(day for day in self.days if self.manual is None or not self.manual.counts(day.interval))

    def said(self, at: int) -> str:
        """Who told the reading by hand of a time (UTC ns); empty of one by wire."""
        return "" if self.manual is None else self.manual.told.get(at, "")

    @property
    def days_only(self) -> bool:
        """Whether something is known of its days and nothing of any quarter of an hour."""
        return self.amount is not None and all(part.interval.amount is None for part in self.quarters)

    @property
    def amount(self) -> Decimal | None:
        """The sum of the days that are known; None when none is."""
        known = [day.interval.amount for day in self.days if day.interval.amount is not None]
        return sum(known, ZERO) if known else None

    @property
    def reason(self) -> str | None:
        if self.counter is None and self.formula is None:
            return NO_METER
        return NO_DATA if self.amount is None else None

    @property
    def known_ns(self) -> int:
        return sum(day.interval.known_ns for day in self.days)


Records = Mapping[Place, MeterRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What figures are made by: the factor table, the dated limits, the power-factor tables, the plant's own terms."""

    factors: Sequence[FactorRow]
    managements: Sequence[Management]
    power_factors: Mapping[Decimal, PowerFactorTable]
    terms: PlantTerms

    def management(self, day: date) -> Management:
        """The limits that count on a day."""
        return in_force(self.managements, day)
