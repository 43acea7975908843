"""Why a product's footprint is what it is: down to meters or intervals, rows of production, keys of shares, factors."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.allocation import Shares
from centre.accounting.factor_choice import FactorBook
from centre.accounting.intervals import Interval
from centre.accounting.product import Flow, Study, footprint
from centre.accounting.terms import RATIO, ZERO, Input, Term, rounded
from centre.errors import FigureError
from centre.product_figures import batches_of, sharing_of
from centre.product_study import Stretch, period_study
from centre.report.footprint import footprint_book
from centre.statement import NodeStatement
from centre.statements import Basis, Statements
from centre.trace import Part, Rounding, Rule, Step
from centre.trace_build import Builder

BATCH: Final = "/batch/"


async def product(build: Builder, statements: Statements, basis: Basis, node_id: str, asked: str) -> str:
    """The id of the figure of `PRODUCT`, or `PRODUCT/batch/BATCH`, of a node; raises FigureError."""
    name, _, batch = asked.partition(BATCH)
    book = footprint_book(build.made, basis.plant, statements.rules[build.made.site])
    node = build.made.node(node_id)
    if node is not None and batch:
        for found in await batches_of(statements, basis, batch):
            if (found.item.node, found.item.product) == (node_id, name):
                return _Steps(build, node, found.told, found.counted).figure(found.study, book)
    elif node is not None:
        sharing = await sharing_of(statements, basis, build.made)
        told = {whole.id: parts for item in sharing.production for whole, parts in item.sums()}
        for item in sharing.production:
            if (item.node, item.product) == (node_id, name):
                return _Steps(build, node, told, {}).figure(period_study(item, node, sharing), book)
    raise FigureError("unknown_figure", f"no approved row tells that {node_id[:64]!r} made {asked[:64]!r}", 404)


@dataclass(frozen=True, slots=True)
class _Steps:
    """Adds the steps of one footprint to what is built.

    `told`: the rows that a told quantity, by its id, is made of. `counted`: what a batch's amounts were counted from.
    """

    build: Builder
    node: NodeStatement
    told: Mapping[str, tuple[Input, ...]]
    counted: Mapping[str, tuple[Stretch, ...]]

    def figure(self, study: Study, book: FactorBook) -> str:
        """The footprint per unit: the total over the good output."""
        found = footprint(study, book)
        name = f"{self.build.made.site}/{self.node.id}/footprint/{study.product}/{self.build.made.period.label}"
        flows = zip(study.flows, found.total.terms, strict=True)
        parts = [
            self.build.multiplied(f"{name}#{place}-{flow.label}", term, self._amount(flow, term, study.product))
            for place, (flow, term) in enumerate(flows, 1)
        ]
        words = "the sum of its inputs"
        whole = self.build.sum(f"{name}/total", words, found.total, parts, rounding=Rounding.NINE)
        each = found.per_unit
        known = each.value is not None or found.total.value is None or study.output.value is None
        over = [whole, self._told(study.output)]
        return self.build.add(
            Step(
                id=name, rule=Rule.QUOTIENT, words="emissions / good output", value=each.value, unit=each.unit,
                parts=tuple(part if known else part._replace(sign=0) for part in over), rounding=Rounding.NINE,
                reason=each.reason,
            )
        ).id  # fmt: skip

    # --- amounts, and what of them is the product's

    def _amount(self, flow: Flow, term: Term, product: str) -> Part:
        """What was multiplied by factors: all of a flow, or the product's share of it."""
        stretches = self.counted.get(flow.amount.id)
        whole = self.build.input(flow.amount, self.node) if stretches is None else self._window(flow.amount, stretches)
        if flow.shares is None or flow.amount.value is None:
            return whole
        return self._part(flow.amount, term.inputs[1], whole, flow.shares, product)

    def _part(self, amount: Input, part: Input, whole: Part, split: Shares, product: str) -> Part:
        """Amount x share; the product that has the remainder of rounding has what the others leave."""
        assert amount.value is not None
        parts = {name: rounded(Fraction(amount.value) * Fraction(share)) for name, share in split.of.items()}
        name = f"share:{product}:{amount.id}"
        if part.value is None:
            return self.build.add(
                Step(id=name, rule=Rule.GIVEN, words="its share", value=None, unit=part.unit, reason=part.reason,
                     parts=(whole._replace(sign=0),))
            )  # fmt: skip
        if parts[product] == part.value:
            return self._times(name, part.value, part.unit, whole, self._share(split, product))
        less = [
            self._times(f"share:{other}:{amount.id}", value, part.unit, whole, self._share(split, other))
            for other, value in parts.items()
            if other != product
        ]
        own = self._share(split, product)._replace(sign=0)
        return self.build.sum(
            name, "what the others leave of it", part, (whole, *(one._replace(sign=-1) for one in less), own)
        )

    def _times(self, name: str, value: Decimal, unit: str, whole: Part, share: Part) -> Part:
        return self.build.add(
            Step(id=name, rule=Rule.PRODUCT, words="amount x share", value=value, unit=unit, parts=(whole, share),
                 rounding=Rounding.NINE)
        )  # fmt: skip

    def _share(self, split: Shares, product: str) -> Part:
        """The key of a product over those of all; the one with the remainder of rounding has what the others leave."""
        assert split.keys is not None
        keys = {name: split.keys.of[name] for name in sorted(split.of)}
        every = sum((key.value or ZERO for key in keys.values()), ZERO)
        whole = Input(id=" + ".join(key.id for key in keys.values()), value=every, unit=keys[product].unit)
        own, value = keys[product], split.of[product]
        name = f"share:{own.id} of {whole.id}"
        words = "; ".join([f"by {split.keys.basis}", *(f"{basis}: {why}" for basis, why in split.passed_over)])
        if own.value is not None and rounded(Fraction(own.value) / Fraction(every)) == value:
            of_all = self.build.sum(f"keys:{whole.id}", "all keys", whole, [self._key(key) for key in keys.values()])
            return self.build.add(
                Step(id=name, rule=Rule.QUOTIENT, words=words, value=value, unit=RATIO,
                     parts=(self._key(own), of_all), rounding=Rounding.NINE)
            )  # fmt: skip
        others = [self._share(split, other)._replace(sign=-1) for other in keys if other != product]
        one = self.build.add(Step(id="rule:one", rule=Rule.GIVEN, words="all of it", value=Decimal(1), unit=RATIO))
        return self.build.add(
            Step(id=name, rule=Rule.SUM, words=f"{words}; what the others leave", value=value, unit=RATIO,
                 parts=(one, *others, self._key(own)._replace(sign=0)))
        )  # fmt: skip

    def _key(self, key: Input) -> Part:
        """The flow of a sub-meter, or what a row tells."""
        names = key.id.split(" + ")
        flows = {
            found.id: (found, node) for node in self.build.made.nodes for line in node.lines
            for found in line.flows.values()
        }  # fmt: skip
        if any(name not in flows for name in names):
            return self._told(key)
        parts = [self.build.input(*flows[name]) for name in names]
        return parts[0] if len(parts) == 1 else self.build.sum(key.id, "its sub-meters", key, parts)

    def _told(self, found: Input) -> Part:
        """What approved rows tell: one of them, the sum of several, or the part of one that falls into a time."""
        parts = self.told.get(found.id, ())
        below = tuple(self._told(part) for part in parts)
        lost = found.value is None and all(part.value is not None for part in parts)
        below = tuple(part._replace(sign=0) for part in below) if lost else below
        _, timed, part_of = found.id.partition(" x ")
        if parts and timed:
            return self.build.add(
                Step(id=found.id, rule=Rule.PRODUCT, words=f"made evenly: x {part_of}", value=found.value,
                     unit=found.unit, parts=below, ratio=part_of, rounding=Rounding.NINE, reason=found.reason)
            )  # fmt: skip
        rule, words = (Rule.SUM, "its rows") if parts else (Rule.GIVEN, "an approved row")
        return self.build.add(
            Step(id=found.id, rule=rule, words=words, value=found.value, unit=found.unit, parts=below,
                 rounding=Rounding.NINE, reason=found.reason, flags=dict(found.shares))
        )  # fmt: skip

    # --- the intervals of a batch

    def _window(self, amount: Input, stretches: tuple[Stretch, ...]) -> Part:
        """The quarters of an hour of every meter; the first and the last may be cut."""
        parts = [
            self._cut(stretch, quarter)
            for stretch in stretches
            for quarter in stretch.quarters()
            if quarter.amount is not None
        ]
        shown = parts if amount.value is not None else [part._replace(sign=0) for part in parts]
        return self.build.sum(amount.id, f"the meters of {self.node.id} in this time", amount, shown)

    def _cut(self, stretch: Stretch, quarter: Interval) -> Part:
        """A quarter, or what of it lies in the stretch: up to its end less up to its start."""
        whole = self.build.quarter(stretch.record, quarter)
        start, end = max(stretch.start, quarter.start), min(stretch.end, quarter.end)
        if (start, end) == (quarter.start, quarter.end):
            return whole
        assert quarter.amount is not None
        ends: list[tuple[Part, Decimal]] = []
        for at, sign in ((end, 1), (start, -1)):
            share = Fraction(at - quarter.start, quarter.end - quarter.start)
            value = rounded(Fraction(quarter.amount) * share)
            name = f"until:{whole.id}/{self.build.clock(at)}"
            part = self.build.add(
                Step(id=name, rule=Rule.PRODUCT, words=f"by time: x {share}", value=value, parts=(whole,),
                     unit=stretch.record.points.unit, ratio=str(share), rounding=Rounding.NINE)
            )  # fmt: skip
            ends.append((part._replace(sign=sign), sign * value))
        return self.build.add(
            Step(id=f"cut:{whole.id}/{self.build.clock(start)}..{self.build.clock(end)}", rule=Rule.SUM,
                 words="what of it lies in this time", value=sum((value for _, value in ends), ZERO),
                 unit=stretch.record.points.unit, parts=tuple(part for part, _ in ends))
        )  # fmt: skip
