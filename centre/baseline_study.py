"""A year against an energy baseline: the model of each version, every month's saving, and the running sum (rule F12).

A month takes part when it is over and its energy and all its drivers are known; the others stand there with a reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from centre.accounting.baseline import Baseline, FitRule, Observation, Performance, fit_model, performance, revise
from centre.accounting.calendar import Month
from centre.accounting.regression import NoFit
from centre.accounting.terms import NO_QUANTITY, Input
from centre.carriers import Carrier
from centre.energy_baselines import Driver, EnergyBaseline, Fitted
from centre.manual_figures import produced
from centre.period import Period
from centre.plant import Node
from centre.statement import NOTHING
from centre.statement_lines import carrier_line
from centre.statement_told import Told
from centre.statement_year import in_month
from centre.statements import Basis, Statements

NO_METER: Final = "no_meter"
TOO_LITTLE: Final = "too_little_known"
NO_BASELINE: Final = "no_baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A month that is over: its energy, and its drivers by name."""

    month: Period
    energy: Input
    drivers: Mapping[str, Input]

    @property
    def reason(self) -> str | None:
        """What is missing."""
        lost = next((part for part in (self.energy, *self.drivers.values()) if part.value is None), None)
        return None if lost is None else f"{lost.id}: {lost.reason or NO_QUANTITY}"

    @property
    def observation(self) -> Observation:
        drivers = {name: part.value or Decimal(0) for name, part in self.drivers.items()}
        return Observation(day=self.month.last, energy=self.energy.value or Decimal(0), drivers=drivers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version with what was fitted, or the reason why nothing could be."""

    fitted: Fitted
    baseline: Baseline | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """`months` of the year asked for, each with its performance or a reason; the running sum began with the version."""

    of: EnergyBaseline
    versions: tuple[Version, ...]
    months: tuple[tuple[Seen, Performance | None, str | None], ...]


async def studies(service: Statements, site: str, year: Period) -> tuple[Study, ...]:
    """Every baseline of a plant in a year; raises FigureError or StoreError."""
    rules = service.rules[site]
    asked = rules.terms.baselines
    years: dict[int, tuple[Basis, Told]] = {}
    for number in sorted({number for one in asked for number in _years(one, year.year)}):
        period = Period(year=number, metering_day=year.metering_day)
        told = NOTHING if service.books is None else await service.books.told(site, period)
        years[number] = (await service.basis(site, period), told)
    run_on = service.dates(site).run_on
    found: list[Study] = []
    for one in asked:
        seen = [
            month_seen(basis, told, one, month, rules.management(month.last).budget_least_known)
            for basis, told in years.values()
            for month in basis.period.months()
            if month.last < run_on
        ]
        fitting = [rules.management(version.valid_from).baseline for version in one.versions]
        found.append(study(one, seen, year, fitting))
    return tuple(found)


def _years(one: EnergyBaseline, last: int) -> Iterator[int]:
    """From the first month it is fitted to, up to the year asked for, or the last it is fitted to."""
    first = min(version.first.year for version in one.versions)
    yield from range(first, max(last, *(version.last.year for version in one.versions)) + 1)


def month_seen(basis: Basis, told: Told, of: EnergyBaseline, month: Period, least_known: Decimal) -> Seen:
    """What is known of a month; of meters that know a smaller share of it than `least_known`, nothing."""
    nodes = {node.id: node for node in basis.plant.tree.walk()}

    def metered(node: Node | None, carrier: Carrier, name: str) -> Input:
        records = in_month(basis.records, month, basis.plant.zone)
        membership = basis.membership.within(month)
        line = None if node is None else carrier_line(
            basis.plant, node, carrier, month, records, membership=membership
        )  # fmt: skip
        if line is None:
            return Input(id=name, value=None, unit="", reason=NO_METER)
        reason = TOO_LITTLE if line.known < least_known else None
        return Input(id=name, value=None if reason else line.net.value, unit=line.unit, reason=reason)

    def driver(one: Driver) -> Input:
        node = nodes.get(one.node)
        if one.carrier is not None:
            return metered(node, one.carrier, one.name)
        months = [Month(month.year, month.month or 1)]
        made = {} if node is None else produced(told.of("production"), basis.plant.site, node, months)
        found = made.get(one.product or "")
        return found or Input(id=one.name, value=None, unit="", reason=NO_QUANTITY)

    return Seen(
        month=month,
        energy=metered(nodes.get(of.node), of.carrier, f"{of.node}/{of.carrier}"),
        drivers={one.name: driver(one) for one in of.drivers},
    )


def study(of: EnergyBaseline, seen: Sequence[Seen], year: Period, rules: Sequence[FitRule]) -> Study:
    """Fits every version (by the rule that counts for it) and holds the months against it; pure."""
    names = [one.name for one in of.drivers]
    known = [one for one in seen if one.reason is None]
    baselines: tuple[Baseline, ...] = ()
    versions: list[Version] = []
    for fitted, rule in zip(of.versions, rules, strict=True):
        inside = [one.observation for one in known if str(fitted.first) <= one.month.label <= str(fitted.last)]
        try:
            model = fit_model(inside, names, rule)
        except NoFit as err:
            versions.append(Version(fitted=fitted, baseline=None, reason=str(err)))
            continue
        baselines = revise(baselines, model, indicator=of.id, reason=fitted.reason, valid_from=fitted.valid_from)
        versions.append(Version(fitted=fitted, baseline=baselines[-1], reason=None))
    done: dict[str, Performance] = {}
    for version in versions:
        mine = [one.observation for one in known if _counting(versions, one) is version]
        if version.baseline is not None:
            done |= {f"{one.day}": one for one in performance((version.baseline,), mine)}
    months: list[tuple[Seen, Performance | None, str | None]] = []
    for one in seen:
        if one.month.year == year.year:
            counting = _counting(versions, one)
            reason = one.reason or (NO_BASELINE if counting is None else counting.reason)
            months.append((one, done.get(f"{one.month.last}"), reason))
    return Study(of=of, versions=tuple(versions), months=tuple(months))


def _counting(versions: Sequence[Version], seen: Seen) -> Version | None:
    """The version that counts on the last day of a month."""
    return next((one for one in reversed(versions) if one.fitted.valid_from <= seen.month.last), None)
