"""A month of a plant as people read it: figures with the way to their trace, carriers, bill, balances. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from centre.accounting.balance import Balance
from centre.accounting.bill import Bill, Line, LineKind
from centre.accounting.registers import Flag
from centre.accounting.running_balance import RunningBalance
from centre.accounting.terms import Total
from centre.carriers import Carrier
from centre.period import Period
from centre.statement import NodeStatement, Statement
from centre.statement_lines import CarrierLine
from centre.web_format import ABSENT, NOTHING, Shown, digits, local, moment, percent, plain, scale, show
from centre.web_i18n import Words
from centre.web_reasons import reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure as it is shown; `why` is its name in centre.why, "" where there is no trace. `note`: why no value."""

    label: str
    value: Shown
    why: str
    note: str = ""
    unverified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierRow:
    """`quality`: what the quantity is made of; `complete`: share of the promised readings that arrived."""

    id: str
    quantity: Figure
    parts: tuple[str, ...]
    quality: str
    complete: str
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BillRow:
    """One line of a bill."""

    name: str
    quantity: str
    price: str
    amount: str
    note: str
    unverified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRow:
    """`verdict`: within, loss, fault, or none with a note why; the note of a provisional one says of what."""

    node: str
    carrier: str
    available: str
    unmetered: Figure
    share: str
    verdict: str
    word: str
    covered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """A part of the plant with its main figures."""

    name: str
    depth: int
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthChoice:
    """A month to choose; without `label` in the address it is still to come."""

    number: int
    label: str
    closed: bool
    shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthView:
    """Everything of the month but its sign-off."""

    carriers: tuple[CarrierRow, ...]
    figures: tuple[Figure, ...]
    parts: tuple[PartRow, ...]
    bill: tuple[BillRow, ...]
    bill_unverified: bool
    demands: tuple[str, ...]
    cost: Figure
    balances: tuple[BalanceRow, ...]


def month_view(made: Statement, words: Words) -> MonthView:
    """The statement of a month, in the reader's language."""
    plant = made.nodes[0]
    unverified = any(not bill.confirmed for bill in made.bills)
    note = "" if made.cost_reason is None else words.get(f"reason.{made.cost_reason}", made.cost_reason)
    cost = Figure(
        label=words("books.cost"), value=money(made.cost.value, made.cost.unit), why="cost", note=note,
        unverified=unverified,
    )  # fmt: skip
    return MonthView(
        carriers=tuple(_carrier(line, words) for line in plant.lines),
        figures=(*_main(plant, words), cost),
        parts=tuple(_part(node, words) for node in made.nodes),
        bill=tuple(_bill_row(line, bill, words) for bill in made.bills for line in bill.lines),
        bill_unverified=unverified,
        demands=tuple(
            words(
                "books.demand",
                kw=f"{digits(found.kw)}\u202fkW",
                at=moment(found.end, ZoneInfo(made.zone)),
                kind=words(f"books.demand_kind.{found.kind}"),
            )
            for bill in made.bills
            for found in (bill.demand, bill.beside)
            if found is not None
        ),
        cost=cost,
        balances=tuple(
            _balance(node, carrier, found, ZoneInfo(made.zone), words)
            for node in made.nodes
            for carrier, found in node.balances.items()
        ),
    )


def month_choices(year: int, shown: Period, current: Period, closed: Collection[str]) -> tuple[MonthChoice, ...]:
    """The twelve months of a year."""
    labels = [f"{year:04d}-{month:02d}" for month in range(1, 13)]
    return tuple(
        MonthChoice(
            number=number, label=label if label <= current.label else "", closed=label in closed,
            shown=label == shown.label,
        )
        for number, label in enumerate(labels, 1)
    )  # fmt: skip


def money(value: Decimal | None, unit: str) -> Shown:
    """An amount to the cent."""
    return NOTHING if value is None else Shown(f"{value:,.2f}".replace("-", "\u2212"), unit)


def total_figure(label: str, found: Total, why: str, words: Words) -> Figure:
    """A total, or a dash with what is missing of it."""
    note = ""
    if found.value is None:
        lost = [term for term in found.terms if term.value is None]
        named = tuple(
            f"{words.get(f'carrier.{term.label}', term.label)}: {reason(term.reason, words)}" for term in lost
        )
        note = words("books.without", items=words.listed(named))
    return Figure(
        label=label, value=show(found.value, found.unit), why=why, note=note, unverified=bool(found.unverified)
    )  # fmt: skip


def _main(node: NodeStatement, words: Words, prefix: str = "") -> tuple[Figure, ...]:
    totals = (
        ("scope1", node.scope1, "scope1"),
        ("scope2_location", node.scope2.location, "scope2/location"),
        ("scope2_market", node.scope2.market, "scope2/market"),
        ("energy_calorific", node.energy.calorific, "tce/calorific"),
        ("energy_equal_value", node.energy.equal_value, "tce/equal_value"),
    )
    return tuple(total_figure(words(f"books.{key}"), found, f"{prefix}{why}", words) for key, found, why in totals)


def _part(node: NodeStatement, words: Words) -> PartRow:
    return PartRow(name=words.named(node.name), depth=node.depth, figures=_main(node, words, f"{node.id}:"))


def _carrier(line: CarrierLine, words: Words) -> CarrierRow:
    name = words(f"carrier.{line.carrier}")
    flows = [
        f"{words(f'books.flow.{flow}')} {show(found.value, found.unit)}"
        for flow, found in line.flows.items()
        if len(line.flows) > 1
    ]
    shares = [(flag, line.shares.get(flag, Decimal(0))) for flag in Flag]
    quality = words("list.comma").join(
        f"{words(f'books.flag.{flag}')} {percent(share)}" for flag, share in shares if share
    )
    return CarrierRow(
        id=line.carrier.value,
        quantity=total_figure(name, line.net, f"quantity/{line.carrier}", words),
        parts=tuple(flows),
        quality=quality or ABSENT,
        complete=percent(line.completeness),
        whole=line.completeness == 1,
    )


def _bill_row(line: Line, bill: Bill, words: Words) -> BillRow:
    several = words("books.by_band" if line.kind is LineKind.ENERGY else "books.several")
    price = several if line.parts else ABSENT
    return BillRow(
        name=words.named(line.name),
        quantity=ABSENT if line.quantity is None else f"{digits(line.quantity)}\u202f{line.unit}",
        price=price if line.price is None else plain(line.price),
        amount=str(money(line.amount, bill.currency)),
        note=reason(line.reason, words),
        unverified=not line.confirmed,
    )


def _running(row: BalanceRow, found: RunningBalance, unit: str, zone: ZoneInfo, words: Words) -> BalanceRow:
    """The row of a balance that waits for a whole quarter, with what is known meanwhile."""
    start, end = (f"{local(at, zone):%H:%M:%S}" for at in (found.start, found.end))
    parts = [words("books.running", start=start, end=end)]
    if found.available is not None and found.unmetered is not None and found.band is not None:
        named, divisor = scale(found.available, unit)
        amounts = [
            str(Shown(digits(value / divisor), named)) for value in (found.unmetered, found.available, *found.band)
        ]
        parts.append(words("books.running_band", **dict(zip(("loss", "supply", "low", "high"), amounts, strict=True))))
    if found.reason is not None:
        parts.append(reason(found.reason, words))
    verdict = found.verdict or "none"
    unmetered = replace(row.unmetered, note=" · ".join(parts))
    return replace(row, unmetered=unmetered, verdict=verdict, word=words(f"books.verdict.{verdict}"))


def _balance(node: NodeStatement, carrier: Carrier, found: Balance, zone: ZoneInfo, words: Words) -> BalanceRow:
    line = node.line(carrier)
    unit = "" if line is None else line.unit
    shown = show(found.unmetered, unit)
    if found.unmetered is not None and found.uncertainty is not None:
        spread = digits(found.uncertainty / scale(found.unmetered, unit)[1])
        shown = Shown(f"{shown.number} ± {spread}", shown.unit)
    verdict = "none" if found.verdict is None else found.verdict.value
    row = BalanceRow(
        node=words.named(node.name),
        carrier=words(f"carrier.{carrier}"),
        available=str(show(found.available, unit)),
        unmetered=Figure(
            label=words("books.unmetered"), value=shown, why=f"{node.id}:balance/{carrier}",
            note=reason(found.reason, words),
        ),
        share=ABSENT if found.share_percent is None else f"{digits(found.share_percent)}\u202f%",
        verdict=verdict,
        word=words(f"books.verdict.{verdict}"),
        covered=percent(found.covered),
    )  # fmt: skip
    running = node.running.get(carrier)
    return row if running is None else _running(row, running, unit, zone, words)
