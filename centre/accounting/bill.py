"""What a bill is: what goes into it, its lines with their parts, and the sum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from centre.accounting.basic_charge import BasicCharge, Contract
from centre.accounting.demand import Demand
from centre.accounting.metered import Metered
from centre.accounting.power_factor import Adjustment
from centre.accounting.surcharge import Surcharge


class LineKind(StrEnum):
    """What a line is made of."""

    ENERGY = "energy"
    BASIC = "basic"
    ADJUSTMENT = "adjustment"
    SURCHARGE = "surcharge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Whole days of a bill with the same meters and contract; `demand` is the highest of them.

    `beside`: the same found another way, as a check: of the meter's own register, or ours where that one is billed.
    """

    start: int
    end: int
    meters: tuple[str, ...] = ()
    contract: Contract | None = None
    demand: Demand | None = None
    beside: Demand | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What is billed in [start, end): 15-min energies in kWh, the highest demand, reactive energy, agreed terms.

    `sections`, where a meter or the contract changed: they follow each other and fill the bill. Their contracts stand
    in place of `contract` and `demand`.
    """

    zone: tzinfo
    start: int
    end: int
    intervals: Sequence[Metered]
    contract: Contract | None = None
    demand: Demand | None = None
    beside: Demand | None = None
    reactive_kvarh: Decimal | None = None
    surcharges: Sequence[Surcharge] = ()
    sections: Sequence[Section] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One band's (or price's) share of a line; its amount is exact, in lowest terms, and rounded nowhere.

    `since`: the first day of its section (2026-11-15) in a bill of several. `share`: of the month, by days, that a
    basic charge is for; the amount of such a share is rounded like a line of its own.
    """

    key: str
    version: str
    quantity: Decimal
    price: Decimal
    amount: Fraction
    since: str = ""
    share: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One item: `quantity` in `unit`, the price if there is one for all of it, the rounded amount or a reason."""

    id: str
    name: Mapping[str, str]
    kind: LineKind
    fund: bool
    quantity: Decimal | None
    unit: str
    price: Decimal | None
    amount: Decimal | None
    reason: str | None
    parts: tuple[Part, ...]
    sources: tuple[str, ...]
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The lines and their sum; `total` is None while a line has no amount. `versions` are those of the tariff.

    Amounts cover `energy_kwh`; `missing_ns` of the period have no energy, or no tariff, and are in no line. `sections`
    where it is split by date; `basic` is None where that is by contract, and the parts of the line say how.
    `demand` is the highest of the period, `beside` the highest found another way.
    """

    tariff: str
    currency: str
    start: int
    end: int
    lines: tuple[Line, ...]
    total: Decimal | None
    energy_kwh: Decimal
    estimated_kwh: Decimal
    split_kwh: Decimal
    missing_ns: int
    versions: tuple[str, ...]
    confirmed: bool
    basic: BasicCharge | None
    adjustment: Adjustment | None
    sections: tuple[Section, ...] = ()
    demand: Demand | None = None
    beside: Demand | None = None
