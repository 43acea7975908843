"""The ledgers of a month as people read them: machines, and pollutants against their limits. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from centre.emitted import Emitted
from centre.equipment_ledger import LedgerRow
from centre.web_format import ABSENT, digits, local, percent, plain, show
from centre.web_i18n import Words
from centre.web_reasons import reason


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRow:
    """A machine in a month. `plate`: rating, class, grade, year; `specific` has a note where there is none."""

    name: str
    plate: str
    eliminated: bool
    running: str
    idle: str
    unknown: str
    load: str
    energy: str
    specific: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """The highest mean and its name in centre.why; `over`: how often it was above its limit, None without one."""

    highest: str
    why: str
    limit: str
    over: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PollutantRow:
    """A pollutant of an outlet in a month; `why` is the name of its mass in centre.why."""

    outlet: str
    why: str
    pollutant: str
    hours: LimitRow
    days: LimitRow
    bad: bool
    unverified: bool
    mass: str
    valid: str
    note: str


def machine_rows(found: Sequence[LedgerRow], words: Words) -> tuple[MachineRow, ...]:
    """The equipment ledger, in the reader's language."""
    return tuple(_machine(row, words) for row in found)


def _machine(row: LedgerRow, words: Words) -> MachineRow:
    entry, done, each = row.entry, row.operation, row.specific
    plate = [str(show(entry.rated_kw, "kW")), entry.efficiency_class or ""]
    if entry.grade is not None:
        plate.append(words("books.machine.grade", grade=entry.grade))
    if entry.made is not None:
        plate.append(str(entry.made))
    if each is not None and each.value is not None:
        specific = f"{plain(each.value.quantize(Decimal('0.0001')))}\u202f{each.unit}"
    else:
        specific = ABSENT
    return MachineRow(
        name=words.named(row.name),
        plate=words("list.comma").join(part for part in plate if part),
        eliminated=entry.eliminated,
        running=str(show(done.running_h, "h")),
        idle=str(show(done.idle_h, "h")),
        unknown="" if not done.unknown_h else str(show(done.unknown_h, "h")),
        load=percent(done.load_rate),
        energy=str(show(done.energy_kwh, "kWh")),
        specific=specific,
        note=reason(row.reason, words),
    )


def pollutant_rows(found: Sequence[Emitted], zone: ZoneInfo, words: Words) -> tuple[PollutantRow, ...]:
    """Pollutants by outlet, in the reader's language."""
    return tuple(_pollutant(one, zone, words) for one in found)


def _pollutant(one: Emitted, zone: ZoneInfo, words: Words) -> PollutantRow:
    whole, why = one.whole, f"emitted/{one.outlet.id}/{one.measured.pollutant}"
    hour_means = [(hour.mean, f"{local(hour.start, zone):%Y-%m-%dT%H}") for hour in one.hours]
    hours = _against(hour_means, one.limit.hour, whole.hours_over, one.limit.unit, why)
    day_means = [(day.mean, day.day.isoformat()) for day in one.days]
    days = _against(day_means, one.limit.day, whole.days_over, one.limit.unit, why)
    return PollutantRow(
        outlet=words.named(one.outlet.name),
        why="" if whole.mass_kg is None else why,
        pollutant=words(f"books.pollutant.{one.measured.pollutant}"),
        hours=hours,
        days=days,
        bad=bool(whole.hours_over or whole.days_over),
        unverified=bool(one.limit.id) and not one.limit.confirmed,
        mass=str(show(whole.mass_kg, "kg")),
        valid=percent(whole.valid_share),
        note=reason(whole.reason, words),
    )


def _against(
    means: Sequence[tuple[Decimal | None, str]], limit: Decimal | None, over: int, unit: str, why: str
) -> LimitRow:
    highest, when = max(((mean, when) for mean, when in means if mean is not None), default=(None, ""))
    return LimitRow(
        highest=ABSENT if highest is None else digits(highest),
        why="" if highest is None else f"{why}/{when}",
        limit="" if limit is None else f"{plain(limit)}\u202f{unit}",
        over=None if limit is None else str(over),
    )
