"""Traces out of a statement: the steps of its figures, term by term, down to the intervals of each meter."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Final

from centre.accounting.coal_equivalent import net
from centre.accounting.emissions import CERTIFIED
from centre.accounting.factor_choice import Choice
from centre.accounting.intervals import Interval
from centre.accounting.terms import RATIO, ZERO, Input, Term, Total
from centre.accounting.zones import NS, local_day, local_time
from centre.carriers import Carrier, Flow
from centre.day import Place
from centre.membership import UNDATED, Membership
from centre.period import Period
from centre.plant import Node, Plant
from centre.records import MeterRecord, Records
from centre.statement import Statement
from centre.statement_figures import SOLD, NodeFigures
from centre.statement_lines import meter_input
from centre.statement_year import in_month
from centre.trace import Part, Rounding, Rule, Step

STOCK: Final = "purchased + stock at the beginning - stock at the end - sold"
_CARBON: Final = "carbon_content_per_heat"


@dataclass(slots=True)
class Builder:
    """Collects the steps of figures of one statement; `meters` tells which meters' registers they rest on.

    `reactive` energy stands by the place of the meter of the electricity that it came with.
    """

    plant: Plant
    made: Statement
    records: Records
    steps: dict[str, Step] = field(default_factory=dict[str, Step])
    meters: dict[str, MeterRecord] = field(default_factory=dict[str, MeterRecord])
    membership: Membership = UNDATED
    reactive: Records = field(default_factory=dict[Place, MeterRecord])

    def within(self, month: Period) -> "Builder":
        """One that adds the steps of a month of the year."""
        return replace(
            self, made=replace(self.made, period=month), records=in_month(self.records, month, self.plant.zone),
            membership=self.membership.within(month), reactive=in_month(self.reactive, month, self.plant.zone),
        )  # fmt: skip

    def add(self, step: Step) -> Part:
        """Keep a step once; the part that stands for it."""
        self.steps.setdefault(step.id, step)
        return Part(step.id)

    def sum(self, id_: str, words: str, value: Input | Total | Term, parts: Sequence[Part], *,
            rounding: Rounding = Rounding.EXACT) -> Part:  # fmt: skip
        """A step that adds up `parts` to a value that is known already."""
        reason = ", ".join(value.missing) if isinstance(value, Total) else value.reason
        return self.add(
            Step(
                id=id_, rule=Rule.SUM, words=words, value=value.value, unit=value.unit, parts=tuple(parts),
                rounding=rounding, reason=reason if value.value is None else None,
            )
        )  # fmt: skip

    # --- totals and terms

    def total(self, id_: str, found: Total, node: NodeFigures) -> str:
        """A total of a node with everything below it; the id of its step."""
        parts = [self._term(f"{id_}#{place}-{term.label}", term, node) for place, term in enumerate(found.terms, 1)]
        return self.sum(id_, "the sum of its lines", found, parts, rounding=Rounding.NINE).id

    def _term(self, id_: str, found: Term, node: NodeFigures) -> Part:
        if not found.choices:
            inputs = tuple(self.input(item, node) for item in found.inputs)
            words = "certified: counts nothing" if found.reason == CERTIFIED else found.reason or found.label
            reason = found.reason if found.value is None else None
            return self.add(
                Step(id=id_, rule=Rule.GIVEN, words=words, value=found.value, unit=found.unit, parts=inputs,
                     reason=reason)
            )  # fmt: skip
        return self.multiplied(id_, found, self._amount(id_, found, node))

    def multiplied(self, id_: str, found: Term, amount: Part) -> Part:
        """A term with factors: `amount` times each of them."""
        factors = [self._factor(choice) for choice in found.choices]
        carbon = any(choice.row is not None and choice.row.metric == _CARBON for choice in found.choices)
        words = "amount x " + " x ".join(part.id.removeprefix("factor:") for part in factors)
        return self.add(
            Step(
                id=id_,
                rule=Rule.PRODUCT,
                words=f"{words} x 44/12 (CO2 of carbon)" if carbon else words,
                value=found.value,
                unit=found.unit,
                parts=(amount, *factors),
                rounding=Rounding.NINE,
                ratio="44/12" if carbon else "1",
                into="tC" if carbon else None,
                reason=found.reason if found.value is None else None,
            )
        )

    def _amount(self, id_: str, found: Term, node: NodeFigures) -> Part:
        """What the factors were multiplied with: the one input, or purchase + stock - stock - sold."""
        if len(found.inputs) == 1:
            return self.input(found.inputs[0], node)
        counted = found.inputs[:4]
        parts = [self.input(item, node)._replace(sign=sign) for item, sign in zip(counted, (1, 1, -1, -1), strict=True)]
        lost = next((item for item in counted if item.value is None), None)
        value = None
        if lost is None:
            value = sum((part.sign * (item.value or ZERO) for part, item in zip(parts, counted, strict=True)), ZERO)
        reason = None if lost is None else f"{lost.id}: {lost.reason}"
        unit = found.inputs[0].unit
        whole = Input(id=f"{id_}/amount", value=value, unit=unit, reason=reason)
        part = self.sum(whole.id, STOCK, whole, parts)
        if found.label != Carrier.FRESH_WATER.value or unit != "m3":
            return part
        tonne = Step(
            id="rule:water-density", rule=Rule.FACTOR, words="1 m3 of water is 1 t", value=Decimal(1), unit="t/m3"
        )
        return self.add(
            Step(
                id=f"{id_}/mass", rule=Rule.PRODUCT, words="1 m3 of water is taken as 1 t", value=value, unit="t",
                parts=(part, self.add(tonne)), reason=reason,
            )
        )  # fmt: skip

    def _factor(self, choice: Choice) -> Part:
        row = choice.row
        if row is None:
            return self.add(
                Step(id=f"factor:none/{choice.policy}/{choice.reason}", rule=Rule.FACTOR, words="no row", value=None,
                     unit=RATIO, reason=choice.reason)
            )  # fmt: skip
        return self.add(
            Step(
                id=f"factor:{row.id}",
                rule=Rule.FACTOR,
                words=f"{row.metric} of {row.carrier}, {row.region}, set {row.factor_set}",
                value=row.value,
                unit=row.value_unit,
                factor=row,
                why=f"{choice.policy}: {choice.reason}; publications up to {choice.known_on}",
            )
        )

    # --- quantities

    def input(self, item: Input, node: NodeFigures) -> Part:
        """The step of an input: a flow of the node, a sum or difference of such, or what the settings declare."""
        for line in node.lines:
            for flow, found in line.flows.items():
                if found.id == item.id:
                    return self._flow(node, line.carrier, flow, item)
        fuel = next((line for line in node.fuels if net(line).id == item.id), None)
        if fuel is not None:
            counted = (fuel.purchased, fuel.stock_begin, fuel.stock_end, fuel.sold)
            parts = [
                self.input(one, node)._replace(sign=sign) for one, sign in zip(counted, (1, 1, -1, -1), strict=True)
            ]
            return self.sum(f"net:{item.id}", STOCK, item, parts)
        if item.id.startswith(SOLD):
            return self._sold(item, node)
        if " - " in item.id:
            inputs = [found for line in node.lines for found in line.flows.values()]
            inputs += [found for term in node.energy.calorific.terms for found in term.inputs]
            inputs += [found for part in node.scope2.market.terms for found in part.inputs if found.id != item.id]
            known = {found.id: found for found in inputs}
            first, *less = item.id.split(" - ")
            parts = [
                self.input(known.get(name) or Input(id=name, value=ZERO, unit=item.unit), node)._replace(sign=sign)
                for name, sign in [(first, 1), *((name, -1) for name in less)]
            ]
            return self.sum(f"net:{item.id}", "bought less resold and less certified", item, parts)
        known_flow = next(
            (found for line in node.lines for found in line.flows.values() if item.id.endswith(found.id)), None
        )
        if known_flow is not None:  # such as `fresh: interval:...`
            return self.input(known_flow, node)
        return self.add(
            Step(id=f"{node.id}:{item.id}:{item.unit}", rule=Rule.GIVEN, words=item.id, value=item.value,
                 unit=item.unit, reason=item.reason)
        )  # fmt: skip

    def _sold(self, item: Input, node: NodeFigures) -> Part:
        """What was fed out less what was made, by the meters of the node as far as they are its own."""
        line = next(line for line in node.lines if f"/{line.carrier}/" in item.id)
        fed, made = (line.flows.get(flow) for flow in (Flow.EXPORT, Flow.GENERATION))
        parts = [] if fed is None or made is None else [self.input(fed, node), self.input(made, node)._replace(sign=-1)]
        words = "fed out less what was made inside"
        return self.add(
            Step(id=item.id, rule=Rule.SUM if parts else Rule.GIVEN, words=words, value=item.value, unit=item.unit,
                 parts=tuple(parts), reason=item.reason)
        )  # fmt: skip

    def _flow(self, node: NodeFigures, carrier: Carrier, flow: Flow, item: Input) -> Part:
        parts = [self.meter(one) for one in self.counted(node.id, carrier) if one.points.meter.flow is flow]
        return self.sum(item.id, f"the meters of {node.id} that count {carrier} {flow}", item, parts)

    def counted(self, node: str, carrier: Carrier) -> list[MeterRecord]:
        """What the meters of a node counted while they were part of it."""
        found = self.membership.counted(self.node(node), carrier, self.made.period, self.records, self.plant.zone)
        return found[0]

    def node(self, id_: str) -> Node:
        """The node of the tree."""
        return next(node for node in self.plant.tree.walk() if node.id == id_)

    def meter(self, record: MeterRecord) -> Part:
        """A meter's period: the sum of its days, each the sum of its quarters of an hour."""
        counted = meter_input(record, self.made.site, self.made.period)
        self.meters[counted.id] = record
        inside: dict[date, list[Interval]] = {}
        for bucket in record.quarters:
            inside.setdefault(local_day(bucket.interval.start, self.plant.zone), []).append(bucket.interval)
        parts = [
            self._day(record, day.interval, inside.get(local_day(day.interval.start, self.plant.zone), []))
            for day in record.days
            if day.interval.amount is not None
        ]
        words = f"the days of {record.points.meter.device}"
        words += f", computed: {record.formula}" if record.formula is not None else ""
        return self.add(
            Step(
                id=counted.id, rule=Rule.SUM, words=words, value=counted.value,
                unit=counted.unit, parts=tuple(parts), reason=counted.reason, flags=dict(counted.shares),
            )
        )  # fmt: skip

    def _day(self, record: MeterRecord, day: Interval, quarters: Sequence[Interval]) -> Part:
        name = self.series(record)
        at = local_day(day.start, self.plant.zone)
        unit = record.points.unit
        parts = [self.quarter(record, found) for found in quarters if found.amount is not None]
        rule, words = (Rule.SUM, "its quarters of an hour") if parts else (Rule.GIVEN, "as accounted")
        return self.add(
            Step(id=f"day:{name}/{at}", rule=rule, words=words, value=day.amount, unit=unit, parts=tuple(parts))
        )

    def quarter(self, record: MeterRecord, found: Interval) -> Part:
        """One quarter of an hour of a meter."""
        return self.add(
            Step(
                id=f"quarter:{self.series(record)}@{self.clock(found.start)}",
                rule=Rule.GIVEN,
                words=f"accounted, quality {found.flag}",
                value=found.amount,
                unit=record.points.unit,
                at_ns=found.start,
                reason=None if found.amount is not None else "no_data",
            )
        )

    def series(self, record: MeterRecord) -> str:
        counter = record.counter
        return f"{self.made.site}/{record.points.meter.device}/{'' if counter is None else counter.point}"

    def clock(self, at: int) -> str:
        """A time as the plant's clock shows it, such as 2026-10-01T00:00:00+08:00, with the fraction it has."""
        told = local_time(at, self.plant.zone).isoformat()
        rest = f"{at % NS:09d}".rstrip("0")
        return f"{told[:19]}.{rest}{told[19:]}" if rest else told
