"""The trace of what left by an outlet: a month's mass by its hours, and a mean down to its readings and its limit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Context, Decimal
from typing import Final

from centre.accounting.factors import FactorRow
from centre.accounting.pollutants import AIR_OXYGEN, KG, Day, Hour, Limit, Medium
from centre.accounting.terms import RATIO
from centre.accounting.zones import local_day
from centre.emitted import Emitted, Known, beside, limit_on, rule_on, source_of
from centre.errors import FigureError
from centre.gauge_hours import Source
from centre.statement_ledgers import emissions_of, emitted_in
from centre.statements import Basis, Statements
from centre.trace import Part, Rounding, Rule, Step
from centre.trace_build import Builder
from centre.trace_gauges import FLOW_UNIT, sums, with_readings

EMITTED: Final = "emitted/"
_HOUR: Final = len("2026-11-03T14")
_OXYGEN: Final = "%"
_WIDE: Final = Context(prec=200)


async def emitted(build: Builder, statements: Statements, basis: Basis, figure: str) -> str:
    """The step of `OUTLET/POLLUTANT`, a mass; or, in a month, of `OUTLET/POLLUTANT/2026-11-03`, or `...T14`, a mean."""
    outlet, _, rest = figure.partition("/")
    name, _, when = rest.partition("/")
    found = await _found(statements, basis, outlet, name)
    if found is None or (when and basis.period.month is None):
        message = f"{figure[:64]!r} is of no outlet; a mean is that of a day or hour in a month such as 2026-11"
        raise FigureError("unknown_figure", message, 404)
    if basis.period.month is None:
        return await _year(build, statements, basis, found)
    steps = await _steps(build, statements, found)
    emissions = emissions_of(statements)
    if not when:
        return steps.mass()
    day = next((one for one in found.days if one.day.isoformat() == when), None)
    if day is not None:
        return steps.day(day)
    asked = next((one for one in found.hours if build.clock(one.start)[:_HOUR] == when), None)
    if asked is None:
        raise FigureError(
            "unknown_figure", f"{when[:32]!r} is no day or hour that is over in {basis.period.label}", 404
        )
    made = steps.hour(asked)
    for source, unit in steps.measured(asked):
        await with_readings(build, emissions.gauges, source, unit, asked.start)
    return made.id


async def _found(statements: Statements, basis: Basis, outlet: str, name: str) -> Emitted | None:
    every = await emitted_in(statements, basis)
    return next((one for one in every if (one.outlet.id, one.measured.pollutant) == (outlet, name)), None)


async def _steps(build: Builder, statements: Statements, found: Emitted) -> "_Steps":
    hours: dict[date, list[int]] = {}
    for hour in found.hours:
        hours.setdefault(local_day(hour.start, build.plant.zone), []).append(hour.start)
    known = await emissions_of(statements).sums(build.plant.site, found.outlet, hours)
    return _Steps(build=build, found=found, known=known)


async def _year(build: Builder, statements: Statements, basis: Basis, whole: Emitted) -> str:
    """The mass of a year by its months."""
    parts: list[Part] = []
    for month in basis.period.months():
        found = await _found(statements, replace(basis, period=month), whole.outlet.id, whole.measured.pollutant)
        if found is not None and found.whole.mass_kg is not None:
            parts.append(Part((await _steps(build.within(month), statements, found)).mass()))
    return _Steps(build=build, found=whole, known={}).mass(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steps:
    build: Builder
    found: Emitted
    known: Known

    @property
    def _name(self) -> str:
        return f"{self.build.made.site}/{self.found.outlet.id}/{self.found.measured.pollutant}"

    def mass(self, months: Sequence[Part] = ()) -> str:
        """Of the hours in which it is known; of a year, by its `months`."""
        whole = self.found.whole
        parts = tuple(months) or tuple(self._mass(hour) for hour in self.found.hours if hour.mass_kg is not None)
        return self.build.add(
            Step(
                id=f"mass:{self._name}/{self.build.made.period.label}", rule=Rule.SUM, value=whole.mass_kg, unit="kg",
                words="the hours in which it is known; nothing is put in place of the others", parts=parts,
                reason=whole.reason, why=f"{whole.mass_hours} h of {whole.hours} h",
            )
        ).id  # fmt: skip

    def _mass(self, hour: Hour) -> Part:
        source, flow, _ = self._sources(hour)
        assert flow is not None
        through, per = self._sums(flow, FLOW_UNIT, hour)
        parts, ratio = [through, per], "1"
        if hour.volume_m3 is not None and self.known[flow][hour.start].total:
            value, weight = self._sums(source, self.found.limit.unit, hour)
            parts, ratio = [value, through, weight, per], str(KG[self.found.limit.unit])
        return self.build.add(
            Step(
                id=f"mass:{self._name}@{self.build.clock(hour.start)}", rule=Rule.FRACTION, value=hour.mass_kg,
                unit="kg", words="mean concentration x volume", parts=tuple(parts), ratio=ratio,
                rounding=Rounding.NINE_UP,
            )
        )  # fmt: skip

    def hour(self, hour: Hour) -> Part:
        """The mean of an hour beside its limit."""
        source, _, oxygen = self._sources(hour)
        limit = self._limit_on(hour)
        parts = [*self._sums(source, limit.unit, hour)]
        words, ratio, why = "sum of value x weight / sum of weights", "1", None
        if limit.oxygen is not None and oxygen is not None:
            parts += [*self._deficit(oxygen, hour)]
            words = "mean x (21 - reference) / (21 - oxygen)"
            ratio, why = str(AIR_OXYGEN - limit.oxygen), f"O2 {limit.oxygen} %"
        return self._mean(
            f"mean:{self._name}@{self.build.clock(hour.start)}", words, hour.mean, hour.reason,
            parts=parts, beside=self._limit(limit, hour.limit, "hour"), ratio=ratio, why=why,
        )  # fmt: skip

    def day(self, day: Day) -> str:
        """The mean of a day beside its limit: of air its hours count the same, of water by what flowed."""
        zone = self.build.plant.zone
        known = [
            one
            for one in self.found.hours
            if local_day(one.start, zone) == day.day and one.valid and one.mean is not None
        ]
        by_flow = self.found.outlet.medium is Medium.WATER and all(one.volume_m3 is not None for one in known)
        unit, name = self.found.limit.unit, f"{self._name}@{day.day}"
        parts = [self._moved(one) if by_flow else self.hour(one) for one in known]
        volumes = tuple(self._volume(one) for one in known) if by_flow else ()
        above = Step(id=f"sum:{name}", rule=Rule.SUM, words="of its valid hours", value=self._total(parts),
                     unit=f"{unit} x m3" if by_flow else unit, parts=tuple(parts))  # fmt: skip
        below = Step(id=f"weight:{name}", rule=Rule.SUM if by_flow else Rule.GIVEN, words="of its valid hours",
                     value=self._total(volumes) if by_flow else Decimal(len(known)),
                     unit="m3" if by_flow else RATIO, parts=volumes)  # fmt: skip
        fraction = [self.build.add(above), self.build.add(below)._replace(sign=-1)]
        limit = limit_on(self.found.outlet, self.found.measured, day.day)
        return self._mean(
            f"mean:{name}", "sum of its hours / sum of their weights", day.mean, day.reason, parts=fraction,
            beside=self._limit(limit, day.limit, "day"),
        ).id  # fmt: skip

    def _moved(self, hour: Hour) -> Part:
        volume, mean = self._volume(hour), self.hour(hour)
        return self.build.add(
            Step(
                id=f"moved:{self._name}@{self.build.clock(hour.start)}", rule=Rule.FRACTION, words="mean x volume",
                value=_WIDE.multiply(hour.mean or Decimal(0), hour.volume_m3 or Decimal(0)),
                unit=f"{self.found.limit.unit} x m3", parts=(mean, volume),
            )
        )  # fmt: skip

    def _volume(self, hour: Hour) -> Part:
        _, flow, _ = self._sources(hour)
        assert flow is not None
        return self.build.add(
            Step(
                id=f"volume:{self._name}@{self.build.clock(hour.start)}", rule=Rule.FRACTION, value=hour.volume_m3,
                unit="m3", words="mean flow x 1 h", parts=self._sums(flow, FLOW_UNIT, hour), rounding=Rounding.SIX,
            )
        )  # fmt: skip

    def _total(self, parts: Sequence[Part]) -> Decimal:
        total = Decimal(0)
        for part in parts:
            total = _WIDE.add(total, self.build.steps[part.id].value or Decimal(0))
        return total

    def _mean(
        self, name: str, words: str, value: Decimal | None, reason: str | None, *, parts: Sequence[Part],
        beside: Part | None, ratio: str = "1", why: str | None = None,
    ) -> Part:  # fmt: skip
        counted = parts if value is not None else [part._replace(sign=0) for part in parts]
        return self.build.add(
            Step(
                id=name, rule=Rule.FRACTION, words=words, value=value, unit=self.found.limit.unit,
                parts=(*counted, *(() if beside is None else (beside,))), ratio=ratio, rounding=Rounding.SIX,
                reason=reason if value is None else None, why=why,
            )
        )  # fmt: skip

    def measured(self, hour: Hour) -> list[tuple[Source, str]]:
        """What the mean of an hour is made of, in its units."""
        source, _, oxygen = self._sources(hour)
        limit = self._limit_on(hour)
        corrected = [] if limit.oxygen is None or oxygen is None else [(oxygen, _OXYGEN)]
        return [(source, limit.unit), *corrected]

    # --- sums of an hour

    def _sources(self, hour: Hour) -> tuple[Source, Source | None, Source | None]:
        rule = rule_on(self.found.outlet, local_day(hour.start, self.build.plant.zone))
        return source_of(self.found.outlet, self.found.measured, rule), *beside(self.found.outlet, rule)

    def _limit_on(self, hour: Hour) -> Limit:
        return limit_on(self.found.outlet, self.found.measured, local_day(hour.start, self.build.plant.zone))

    def _sums(self, source: Source, unit: str, hour: Hour) -> tuple[Part, Part]:
        return sums(self.build, source, unit, hour.start, self.known[source][hour.start])

    def _deficit(self, oxygen: Source, hour: Hour) -> tuple[Part, Part]:
        """What multiplies and what divides: what is known of the oxygen, and how far it is below that of air."""
        total, weight = self._sums(oxygen, _OXYGEN, hour)
        found, clock = self.known[oxygen][hour.start], self.build.clock(hour.start)
        unit, known = f"{_OXYGEN} x ns", weight._replace(sign=1)
        air = Step(id=f"air:{self._name}@{clock}", rule=Rule.FRACTION, words="21 % of the time known", unit=unit,
                   value=_WIDE.multiply(found.weight, AIR_OXYGEN), parts=(known,), ratio=str(AIR_OXYGEN))  # fmt: skip
        below = Step(
            id=f"deficit:{self._name}@{clock}", rule=Rule.SUM, words="21 % - oxygen", unit=unit,
            value=_WIDE.subtract(_WIDE.multiply(found.weight, AIR_OXYGEN), found.total),
            parts=(self.build.add(air), total._replace(sign=-1)),
        )  # fmt: skip
        return known, self.build.add(below)._replace(sign=-1)

    def _limit(self, limit: Limit, value: Decimal | None, span: str) -> Part | None:
        if value is None:
            return None
        row = FactorRow(
            id=limit.id, carrier=self.found.measured.pollutant, metric=f"limit/{span}", value=value,
            value_unit=limit.unit, region="", valid_from=None, valid_to=None, published_on=None,
            factor_set=self.found.measured.standard or "", source=limit.source, confirmed=limit.confirmed,
        )  # fmt: skip
        return self.build.add(
            Step(id=f"limit:{limit.id}/{span}", rule=Rule.FACTOR, words="limit", value=value, unit=limit.unit,
                 factor=row)
        )._replace(sign=0)  # fmt: skip
