"""The footprint of products as a record for a customer: each input with factor and share, what was cut off, the sum.

A node that makes one product has its meters for an allocation; several share by sub-meter, mass or value (rule F16).
"""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from centre.accounting.allocation import Shares
from centre.accounting.factor_choice import FactorBook
from centre.accounting.product import Flow, Footprint, Study, footprint
from centre.accounting.terms import Input, Term
from centre.accounting.zones import local_time
from centre.plant import Plant
from centre.product_shares import Sharing
from centre.product_study import BOUNDARY, BatchStudy, period_study
from centre.production import Production
from centre.records import Rules
from centre.report.document import (
    Cell,
    Document,
    Table,
    Word,
    carrier_name,
    choices_of,
    document,
    factor_table,
    name_of,
    reason_of,
    short,
    value_of,
    yes,
)
from centre.statement import Statement

Records = Sequence[tuple[Production, Footprint]]

_ALONE: Final = "alone"


def footprint_book(made: Statement, plant: Plant, rules: Rules) -> FactorBook:
    """The factors that footprints of a plant are made with."""
    return FactorBook(rows=rules.factors, policy=rules.terms.product.policy, dates=made.dates, region=plant.region)


def footprints(sharing: Sharing, book: FactorBook) -> Document:
    """The report `footprint` of a period, a record for each product of each node."""
    made = sharing.made
    found = [(item, period_study(item, node, sharing)) for item in sharing.production
             for node in [made.node(item.node)] if node is not None]  # fmt: skip
    return _document(made, _made(found, book), () if found else ("note_no_production",))


def batch_footprints(made: Statement, batches: Sequence[BatchStudy], book: FactorBook) -> Document:
    """The report `footprint` of one batch, a record for each of its rows."""
    return _document(made, _made([(batch.item, batch.study) for batch in batches], book), ("note_batch",))


def _made(studies: Sequence[tuple[Production, Study]], book: FactorBook) -> Records:
    return [(item, footprint(study, book)) for item, study in studies]


def _document(made: Statement, records: Records, notes: Sequence[str]) -> Document:
    columns = ("product", "name", "node", "per_unit", "unit", "total", "output", "output_unit", "scrap", "boundary",
               "policy", "primary_share", "confirmed", "remarks", "reason")  # fmt: skip
    left_out = tuple(
        (item.product, Word(f"cut_{cut.label}"), cut.why) for item, found in records for cut in found.study.cut_offs
    )
    return document(
        "footprint",
        made,
        (
            Table(key="footprints", columns=columns, rows=tuple(_record(item, found) for item, found in records)),
            _inputs(records),
            shares_table([(item, flow.label, flow.shares) for item, found in records for flow in found.study.flows]),
            production_table([item for item, _ in records], ZoneInfo(made.zone)),
            Table(key="cut_offs", columns=("product", "left_out", "reason"), rows=left_out),
            factor_table((made.period, choice) for choice in choices_of(found.total for _, found in records)),
        ),
        notes,
    )


def _record(item: Production, found: Footprint) -> tuple[Cell, ...]:
    each, output = found.per_unit, found.study.output
    return (
        item.product, name_of(item.name), item.node, None if each.value is None else short(each.value), each.unit,
        value_of(found.total), value_of(output), output.unit, value_of(item.scrap), Word(BOUNDARY), found.policy,
        found.primary, yes(not found.total.unverified), ", ".join(found.notes), each.reason,
    )  # fmt: skip


def _inputs(records: Records) -> Table:
    """Each flow: what was taken in, the share of it and how that was found, the factors, what it makes."""
    rows = [
        _input(item, flow, term, found.study.product)
        for item, found in records
        for flow, term in zip(found.study.flows, found.total.terms, strict=True)
    ]
    columns = ("product", "carrier", "input", "quantity", "shared_by", "share", "activity", "unit", "factor",
               "emission", "emission_unit", "confirmed", "reason")  # fmt: skip
    return Table(key="footprint_inputs", columns=columns, rows=tuple(rows))


def _input(item: Production, flow: Flow, term: Term, name: str) -> tuple[Cell, ...]:
    part = flow.amount if flow.shares is None else term.inputs[1]
    factors = " x ".join(choice.row.id for choice in term.choices if choice.row is not None)
    return (
        item.product, carrier_name(flow.label), flow.amount.id, value_of(flow.amount), shared_by(flow.shares),
        Decimal(1) if flow.shares is None else flow.shares.of.get(name), value_of(part), part.unit, factors,
        value_of(term), term.unit, yes(not term.unverified), reason_of(term),
    )  # fmt: skip


def shared_by(found: Shares | None) -> Cell:
    """How a share was found."""
    if found is None:
        return Word(f"shared_{_ALONE}")
    return None if found.keys is None else Word(f"shared_{found.keys.basis}")


def shares_table(found: Sequence[tuple[Production, str, Shares | None]]) -> Table:
    """The key and the share of every product that has a part in something, and the better bases that were wanting."""
    rows: dict[tuple[str, str, str], tuple[Cell, ...]] = {}
    for item, label, split in found:
        if split is None:
            continue
        wanting = "; ".join(f"{basis}: {why}" for basis, why in split.passed_over)
        keys: Mapping[str, Input | None] = {item.product: None} if split.keys is None else split.keys.of
        for name, key in keys.items():
            rows[item.node, f"{label} {sorted(keys)}", name] = (
                item.node, carrier_name(label), name, shared_by(split), None if key is None else key.id,
                None if key is None else value_of(key), None if key is None else key.unit, split.of.get(name), wanting,
                split.reason,
            )  # fmt: skip
    columns = ("node", "carrier", "product", "shared_by", "key", "value", "unit", "share", "passed_over", "reason")
    return Table(key="shares", columns=columns, rows=tuple(rows.values()))


def production_table(production: Sequence[Production], zone: tzinfo) -> Table:
    """Every row of what was made."""

    def clock(at: int | None) -> str | None:
        return None if at is None else local_time(at, zone).isoformat()

    rows = tuple(
        (
            item.product, item.node, row.batch, clock(row.begin), clock(row.end), value_of(row.output), row.output.unit,
            value_of(row.scrap), value_of(row.mass), value_of(row.value), row.id,
        )
        for item in production
        for row in item.rows
    )  # fmt: skip
    columns = ("product", "node", "batch", "from", "to", "output", "output_unit", "scrap", "mass_kg", "value_cny",
               "source")  # fmt: skip
    return Table(key="production_rows", columns=columns, rows=rows)
