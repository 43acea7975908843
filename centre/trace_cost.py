"""The trace of a bill: its lines, their prices, the energy of each band, down to the quarters it was bought in."""

from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from typing import Final

from centre.accounting.bill import Bill, Line, LineKind
from centre.accounting.bill import Part as BillPart
from centre.accounting.demand import Demand
from centre.accounting.exact import rounded
from centre.accounting.metered import Amount
from centre.accounting.terms import RATIO
from centre.accounting.time_of_use import Piece, energy_by_band, pieces
from centre.accounting.zones import local_day
from centre.carriers import Carrier, Flow
from centre.day import place_of
from centre.period import Period
from centre.records import Rules
from centre.statement_cost import Stretch, bought_quarters, stretches
from centre.trace import Part, Rounding, Rule, Step
from centre.trace_build import Builder
from centre.trace_demand import demand
from centre.trace_power_factor import power_factor
from centre.trace_surcharge import surcharge

_WIDE: Final = Context(prec=60)


def cost(build: Builder, rules: Rules) -> str:
    """The id of the step of the cost of the statement's period, with all below it."""
    made = build.made
    parts = [_bill(build, rules, found) for found in made.bills]
    id_ = f"{made.site}/{made.nodes[0].id}/cost/{made.period.label}"
    return build.add(
        Step(
            id=id_, rule=Rule.SUM, words="the bills of its months", value=made.cost.value, unit=made.cost.unit,
            parts=tuple(parts), reason=made.cost_reason,
        )
    ).id  # fmt: skip


def _bill(build: Builder, rules: Rules, found: Bill) -> Part:
    month = _month(build, found)
    name = f"bill:{build.made.site}/{month.label}"
    bands = _Bands(build, rules, month)
    parts = [_line(build, name, line, found, bands) for line in found.lines]
    parts.append(bands.all(found.energy_kwh)._replace(sign=0))
    lost = ", ".join(f"{line.id}: {line.reason}" for line in found.lines if line.amount is None)
    return build.add(
        Step(
            id=name, rule=Rule.SUM, words=f"the lines of the bill by {', '.join(found.versions)}", value=found.total,
            unit=found.currency, parts=tuple(parts), reason=lost or None,
        )
    )  # fmt: skip


def _month(build: Builder, found: Bill) -> Period:
    return next(month for month in build.made.period.months() if month.bounds(build.plant.zone)[0] == found.start)


class _Bands:
    """The energy of each band of a month, as the sum of the shares of its quarters of an hour."""

    def __init__(self, build: Builder, rules: Rules, month: Period) -> None:
        self.build = build
        self.surcharges = rules.terms.surcharges
        self.month = month
        tariff = rules.terms.tariff
        assert tariff is not None
        start, end = month.bounds(build.plant.zone)
        self._parts = stretches(build.plant, month, build.membership, rules.terms)
        self._quarters = bought_quarters(build.plant, self._parts, build.records)
        self._shares: dict[tuple[str, str, str], list[tuple[Amount, Decimal]]] = {}
        for found, cut in _cut(self._quarters, pieces(tariff, build.plant.zone, start, end)):
            since = self._part(found).start.isoformat() if len(self._parts) > 1 else ""
            for band in energy_by_band([found], cut):
                if band.version and band.known_ns:
                    self._shares.setdefault((band.version, band.band, since), []).append((found, band.amount))

    def _part(self, found: Amount) -> Stretch:
        """The days of the bill that a quarter lies in."""
        day = local_day(found.start, self.build.plant.zone)
        return next(part for part in self._parts if part.start <= day < part.end)

    def energy(self, version: str, band: str, since: str) -> Part:
        """The step of a band's energy, in a bill that is split by date that since a day."""
        shares = self._shares.get((version, band, since), [])
        parts = tuple(self._share(found, amount, band) for found, amount in shares)
        value = sum((amount for _, amount in shares), Decimal(0))
        id_ = f"band:{self.build.made.site}/{self.month.label}/{version}/{band}{since and '@' + since}"
        words = f"bought in the hours of {band}"
        return self.build.add(Step(id=id_, rule=Rule.SUM, words=words, value=value, unit="kWh", parts=parts))

    def all(self, energy: Decimal) -> Part:
        """The energy of all bands, proved by the meters of the grid connection where every hour has a price."""
        build = self.build
        month = build if build.made.period == self.month else build.within(self.month)
        counted = month.counted(build.plant.tree.id, Carrier.ELECTRICITY)
        meters = [month.meter(record) for record in counted if record.points.meter.flow is Flow.IMPORT]
        known = energy == sum((build.steps[part.id].value or Decimal(0) for part in meters), Decimal(0))
        return build.add(
            Step(
                id=f"billed:{build.made.site}/{self.month.label}",
                rule=Rule.SUM,
                words="the energy of all bands",
                value=energy,
                unit="kWh",
                parts=tuple(self.energy(*key) for key in self._shares),
                proof=tuple(meters) if known else (),
            )
        )

    def _share(self, found: Amount, amount: Decimal, band: str) -> Part:
        whole = self._bought(found)
        if amount == found.amount:
            return whole
        words = "the share of a quarter of an hour that a band's boundary cuts, by time"
        return self.build.add(
            Step(id=f"{whole.id}/{band}", rule=Rule.GIVEN, words=words, value=amount, unit="kWh", parts=(whole,))
        )

    def _bought(self, found: Amount) -> Part:
        """What all meters of the grid connection counted in a quarter."""
        build = self.build
        parts: list[Part] = []
        for meter in self._part(found).meters:
            record = build.records[place_of(meter)]
            name = f"quarter:{build.series(record)}@{build.clock(found.start)}"
            parts.append(Part(name))
        if len(parts) == 1:
            return parts[0]
        id_ = f"bought:{build.made.site}@{build.clock(found.start)}"
        words = "the meters of the grid connection"
        return build.add(Step(id=id_, rule=Rule.SUM, words=words, value=found.amount, unit="kWh", parts=tuple(parts)))

    def peak(self, found: Demand | None) -> Part | None:
        """The step of a demand, from what was counted in its 15 minutes."""
        if found is None:
            return None
        quarter = next((one for one in self._quarters if one.start == found.start and one.amount is not None), None)
        return demand(self.build, found, None if quarter is None else lambda: self._bought(quarter))


def _cut(quarters: Sequence[Amount], cut: Sequence[Piece]) -> list[tuple[Amount, list[Piece]]]:
    """Each quarter with the pieces it reaches into."""
    found: list[tuple[Amount, list[Piece]]] = []
    place = 0
    for quarter in quarters:
        while place < len(cut) and cut[place].end <= quarter.start:
            place += 1
        reached = [piece for piece in cut[place : place + 16] if piece.start < quarter.end]
        if quarter.amount is not None:
            found.append((quarter, reached))
    return found


def _line(build: Builder, bill: str, line: Line, found: Bill, bands: _Bands) -> Part:
    name = f"{bill}/{line.id}"
    reason = line.reason if line.amount is None else None
    if line.kind is LineKind.ADJUSTMENT:
        return _adjustment(name, line, found, bill, bands)
    if line.kind is LineKind.SURCHARGE:
        return surcharge(build, name, line, bands.month, bands.surcharges, currency=found.currency)
    parts = [_priced(name, part, line, found, bands) for part in line.parts]
    return build.add(
        Step(
            id=name, rule=Rule.SUM if parts else Rule.GIVEN, words=f"{line.name['en']}: quantity x price",
            unit=found.currency, value=line.amount, parts=tuple(parts), rounding=Rounding.CENT, reason=reason,
        )
    )  # fmt: skip


def _priced(name: str, part: BillPart, line: Line, found: Bill, bands: _Bands) -> Part:
    build = bands.build
    since = part.since and f"@{part.since}"
    if line.kind is LineKind.ENERGY:
        quantity = bands.energy(part.version, part.key.rpartition(".")[2], part.since)
    else:
        shown = bands.peak(found.demand) if found.basic is not None and line.unit == "kW" else None
        quantity = build.add(
            Step(id=f"quantity:{name}/{part.key}{since}", rule=Rule.GIVEN, words="agreed, or the demand of the month",
                 value=part.quantity, unit=line.unit, parts=() if shown is None else (shown,))
        )  # fmt: skip
    price = build.add(
        Step(
            id=f"price:{part.version}/{part.key}", rule=Rule.FACTOR, words=f"price by {part.version}", value=part.price,
            unit=f"{found.currency}/{line.unit}",
        )
    )  # fmt: skip
    return build.add(
        Step(
            id=f"{name}/{part.key}@{part.version}{since}", rule=Rule.PRODUCT, unit=found.currency,
            words="quantity x price" if part.share == 1 else f"quantity x price x {part.share} of the month",
            value=_WIDE.multiply(part.quantity, part.price) if part.share == 1 else rounded(part.amount),
            parts=(quantity, price), ratio=str(part.share),
            rounding=Rounding.EXACT if part.share == 1 else Rounding.CENT,
        )
    )  # fmt: skip


def _adjustment(name: str, line: Line, found: Bill, bill: str, bands: _Bands) -> Part:
    """A percentage of the lines above that are no funds, for the power factor of the month."""
    build = bands.build
    adjusted = found.adjustment
    if adjusted is None or adjusted.percent is None:
        return build.add(
            Step(id=name, rule=Rule.GIVEN, words=line.name["en"], value=line.amount, unit=found.currency,
                 reason=line.reason)
        )  # fmt: skip
    based: Mapping[str, Line] = {
        other.id: other for other in found.lines if other.kind in {LineKind.ENERGY, LineKind.BASIC} and not other.fund
    }
    base = build.add(
        Step(
            id=f"{name}/base", rule=Rule.SUM, words="the lines that are no government funds", value=adjusted.base,
            unit=found.currency, parts=tuple(Part(f"{bill}/{key}") for key in based),
        )
    )  # fmt: skip
    cosphi = power_factor(build, name, adjusted, bands.month, bands.all(found.energy_kwh))
    percent = build.add(
        Step(
            id=f"{name}/percent", rule=Rule.FACTOR, value=adjusted.percent, unit=RATIO, why=adjusted.source,
            words=f"percent for power factor {adjusted.cosphi} against {adjusted.standard}",
            parts=(cosphi._replace(sign=0),),
        )
    )  # fmt: skip
    return build.add(
        Step(
            id=name, rule=Rule.PRODUCT, words="base x percent / 100", value=line.amount, unit=found.currency,
            parts=(base, percent), rounding=Rounding.CENT, ratio="1/100",
        )
    )  # fmt: skip
