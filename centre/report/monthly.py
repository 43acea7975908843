"""The statement of a month or a year: quantities, energy, carbon, water, balances and the bill, node by node."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from centre.accounting.chp import Method
from centre.accounting.registers import Flag
from centre.accounting.storage import own_use
from centre.accounting.terms import Input, Total
from centre.accounting.zones import local_time
from centre.carriers import Carrier, Flow
from centre.emitted import Emitted
from centre.report.document import (
    Cell,
    Document,
    Table,
    Word,
    document,
    factor_table,
    name_of,
    reason_of,
    reasons_of,
    sections_table,
    short,
    tariff_table,
    uses_of,
    value_of,
    yes,
)
from centre.report.pollutants import pollutant_table
from centre.report.told import told_tables
from centre.statement import NodeStatement, Statement
from centre.statement_figures import NodeFigures
from centre.statement_lines import CarrierLine, declared

_FLAGS = tuple(Flag)
_METHODS = {
    Method.ENERGY: "chp_energy_method",
    Method.REFERENCE_BOILER: "chp_reference_boiler",
    Method.EXERGY: "chp_exergy",
}


def monthly(made: Statement, emitted: Sequence[Emitted] = (), beside: Sequence[Table] = ()) -> Document:
    """The report `statement`, with the tables that stand `beside` the bill."""
    outlets = (pollutant_table(emitted),) if emitted else ()
    months = (_months(made),) if made.period.month is None else ()
    running = _running(made)
    sections = sections_table(made)
    tables = (
        _quantities(made), *_own_use(made), _energy(made), _carbon(made), *_chp(made), *months, _water(made), *outlets,
        _balances(made), *((running,) if running.rows else ()), tariff_table(made),
        *((sections,) if sections.rows else ()), *beside,
    )  # fmt: skip
    return document("statement", made, (*tables, *told_tables(made), factor_table(uses_of(made.nodes, _totals))))


def _totals(node: NodeFigures) -> tuple[Total, ...]:
    return (node.energy.calorific, node.energy.equal_value, node.scope1, node.scope2.location, node.scope2.market)


def _months(made: Statement) -> Table:
    """The months whose sum a year is."""
    rows = tuple(
        (
            month.period.label, node.id, name_of(node.name), *(value_of(total) for total in _totals(month)),
            reasons_of(*_totals(month)),
        )
        for node in made.nodes
        for month in node.months
    )  # fmt: skip
    columns = ("period", "node", "name", "calorific", "equal_value", "scope1", "scope2_location", "scope2_market",
               "reason")  # fmt: skip
    return Table(key="months", columns=columns, rows=rows)


def _quantities(made: Statement) -> Table:
    columns = ("node", "name", "carrier", "flow_import", "flow_generation", "flow_export", "net", "unit",
               *(f"flag_{flag}" for flag in _FLAGS), "completeness", "known", "reason")  # fmt: skip
    rows = tuple(_quantity(node, line) for node in made.nodes for line in node.lines)
    return Table(key="quantities", columns=columns, rows=rows)


def _quantity(node: NodeStatement, line: CarrierLine) -> tuple[Cell, ...]:
    flows = (line.flows.get(flow) for flow in (Flow.IMPORT, Flow.GENERATION, Flow.EXPORT))
    amounts = (None if found is None or found.value is None else short(found.value) for found in flows)
    shares: Iterator[Decimal | None] = (line.shares.get(flag) for flag in _FLAGS)
    return (
        node.id, name_of(node.name), Word(f"carrier_{line.carrier}"), *amounts, value_of(line.net), line.unit,
        *shares, line.completeness, line.known, reason_of(line.net),
    )  # fmt: skip


def _own_use(made: Statement) -> tuple[Table, ...]:
    """Of what parts generate themselves: how much they use, and how much of their load that is (rule F20)."""
    rows: list[tuple[Cell, ...]] = []
    for node in made.nodes:
        line = node.line(Carrier.ELECTRICITY)
        generated = None if line is None else line.flows.get(Flow.GENERATION)
        if line is None or generated is None:
            continue
        exported = line.flows.get(Flow.EXPORT) or declared("no_export", line.unit)
        load = Input(id=f"load:{node.id}", value=line.net.value, unit=line.unit, reason=reason_of(line.net))
        found = own_use(generated, exported, load)
        amounts = (generated.value, exported.value, found.used.value, load.value, found.self_use.value,
                   found.self_sufficiency.value)  # fmt: skip
        rows.append(
            (
                node.id, name_of(node.name), *(None if amount is None else short(amount) for amount in amounts), "kWh",
                found.self_use.reason or found.self_sufficiency.reason,
            )
        )  # fmt: skip
    columns = ("node", "name", "flow_generation", "flow_export", "own_used", "load", "self_use", "self_sufficiency",
               "unit", "reason")  # fmt: skip
    return (Table(key="own_use", columns=columns, rows=tuple(rows)),) if rows else ()


def _energy(made: Statement) -> Table:
    rows = tuple(
        (
            node.id, name_of(node.name), value_of(node.energy.calorific), value_of(node.energy.equal_value), "tce",
            yes(not node.energy.calorific.unverified and not node.energy.equal_value.unverified),
            reasons_of(node.energy.calorific, node.energy.equal_value),
        )
        for node in made.nodes
    )  # fmt: skip
    columns = ("node", "name", "calorific", "equal_value", "unit", "confirmed", "reason")
    return Table(key="energy", columns=columns, rows=rows)


def _carbon(made: Statement) -> Table:
    rows = tuple(
        (
            node.id, name_of(node.name), value_of(node.scope1), value_of(node.scope2.location),
            value_of(node.scope2.market), "tCO2e",
            yes(not any(found.unverified for found in (node.scope1, node.scope2.location, node.scope2.market))),
            reasons_of(node.scope1, node.scope2.location, node.scope2.market),
        )
        for node in made.nodes
    )  # fmt: skip
    columns = ("node", "name", "scope1", "scope2_location", "scope2_market", "unit", "confirmed", "reason")
    return Table(key="carbon", columns=columns, rows=rows)


def _chp(made: Statement) -> tuple[Table, ...]:
    """What of the fuel of a CHP plant, and of what follows from it, goes to heat and what to power (rule F19)."""
    rows: list[tuple[Cell, ...]] = []
    for one in made.chps:
        for of, found in one.splits.items():
            parts = (found.split.value, found.heat, found.power)
            rows.append(
                (
                    one.plant.id, name_of(one.plant.name), Word(_METHODS[found.method]), Word(f"chp_{of}"),
                    *(None if part is None else short(part) for part in parts), found.split.unit, found.share,
                    yes(one.confirmed), found.reason,
                )
            )  # fmt: skip
    columns = ("chp", "name", "chp_method", "chp_of", "chp_whole", "to_heat", "to_power", "unit", "heat_share",
               "confirmed", "reason")  # fmt: skip
    return (Table(key="chp_split", columns=columns, rows=tuple(rows)),) if rows else ()


def _water(made: Statement) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for node in made.nodes:
        water = node.water
        if water.fresh.value:
            parts = (water.fresh, water.reused, water.discharged, water.consumed)
            amounts = (value_of(part) for part in parts)
            rows.append((node.id, name_of(node.name), *amounts, water.reuse.value, "m3", water.reuse.reason))
    columns = ("node", "name", "fresh", "reused", "discharged", "consumed", "reuse", "unit", "reason")
    return Table(key="water", columns=columns, rows=tuple(rows))


def _balances(made: Statement) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for node in made.nodes:
        for carrier, found in node.balances.items():
            line = node.line(carrier)
            rows.append(
                (
                    node.id, name_of(node.name), Word(f"carrier_{carrier}"), found.available, found.unmetered,
                    found.uncertainty, "" if line is None else line.unit, found.share_percent, found.covered,
                    None if found.verdict is None else Word(f"verdict_{found.verdict}"), found.reason,
                )
            )  # fmt: skip
    columns = ("node", "name", "carrier", "available", "unmetered", "uncertainty", "unit", "share_percent", "covered",
               "verdict", "reason")  # fmt: skip
    return Table(key="balances", columns=columns, rows=tuple(rows))


def _running(made: Statement) -> Table:
    """Provisional balances, over the stretch named, with the band of two standard deviations."""
    zone = ZoneInfo(made.zone)
    rows: list[tuple[Cell, ...]] = []
    for node in made.nodes:
        for carrier, found in node.running.items():
            line = node.line(carrier)
            low, high = found.band or (None, None)
            ends = (local_time(at, zone).isoformat() for at in (found.start, found.end))
            rows.append(
                (
                    node.id, name_of(node.name), Word(f"carrier_{carrier}"), *ends, found.available, found.unmetered,
                    low, high, "" if line is None else line.unit, found.share_percent,
                    None if found.verdict is None else Word(f"verdict_{found.verdict}"), found.reason,
                )
            )  # fmt: skip
    columns = ("node", "name", "carrier", "from", "to", "available", "unmetered", "band_low", "band_high", "unit",
               "share_percent", "verdict", "reason")  # fmt: skip
    return Table(key="running_balances", columns=columns, rows=tuple(rows))
