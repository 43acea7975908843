"""A move in mid-month splits the month at midnight of that day; a virtual meter is the source of what has no other."""

import asyncio
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import pytest

from centre.accounting.zones import day_bounds
from centre.books.entities import put
from centre.books.file import Books
from centre.carriers import Carrier, Flow
from centre.entities import Entities, Membership, VirtualMeter, entities_of
from centre.period import Period
from centre.records import MeterRecord
from centre.statement import Statement
from centre.statement_books import StatementBooks
from centre.trace import Trace, check
from centre.why import why
from support.books_plant import CLOCK, filled, setup, statements
from support.page_figures import ZONE

SITE = "jiangjin-1"
MONTH = Period(year=2026, month=11)
MOVED = date(2026, 11, 3)
FORMULA = "[line-2] * 0.1"
BALANCE = "plant:balance/electricity"
FIGURES = tuple(f"{node}:quantity/electricity" for node in ("workshop-1", "workshop-2", "lighting-1"))


def changed(entities: Entities) -> Entities:
    """The workshops lose their own meters, line-1 moves to the other, the lighting is computed."""
    found = dict(entities.by_key)
    for name in ("workshop-1", "workshop-2"):
        found[f"{SITE}/{name}"] = replace(found[f"{SITE}/{name}"], meters=())
    one, two = (Membership(parent=f"{SITE}/workshop-{number}") for number in (1, 2))
    line = found[f"{SITE}/line-1"]
    found[line.key] = replace(line, memberships=(replace(one, until=MOVED), replace(two, since=MOVED)))
    light = found[f"{SITE}/lighting-1"]
    virtual = VirtualMeter(id="lights", carrier=Carrier.ELECTRICITY, flow=Flow.IMPORT, expression=FORMULA)
    found[light.key] = replace(light, meters=(), virtual=(virtual,))
    plant = found[f"{SITE}/plant"]
    found[plant.key] = replace(plant, virtual=())  # its formula refers to the meters that are gone
    return entities_of(tuple(found.values()))


@dataclass
class Made:
    before: Statement
    statement: Statement
    records: dict[str, MeterRecord]
    traces: dict[str, Trace]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    async def make() -> Made:
        found = setup()
        path = tmp_path_factory.mktemp("books") / "books.db"
        async with await filled(tmp_path_factory) as store, Books(path, CLOCK) as books:
            service = replace(statements(store, found), books=StatementBooks(books=books))
            before = await service.statement(SITE, MONTH)
            entities = changed(found.entities)
            await books.change("li", "moved", lambda pen: put(pen, entities, expected=None))
            basis = await service.basis(SITE, MONTH)
            return Made(
                before=before,
                statement=await service.statement(SITE, MONTH),
                records={device: record for (device, _, _), record in basis.records.items()},
                traces={figure: await why(service, SITE, MONTH, figure) for figure in (*FIGURES, BALANCE)},
            )

    return asyncio.run(make())


def amount(made: Made, device: str, first: date, last: date) -> Decimal:
    start, end = day_bounds(first, ZONE)[0], day_bounds(last, ZONE)[0]
    days = [day for day in made.records[device].days if start <= day.interval.start < end]
    return sum((day.interval.amount or Decimal(0) for day in days), Decimal(0))


def total(statement: Statement, node: str) -> Decimal:
    found = statement.node(node)
    assert found is not None
    line = found.line(Carrier.ELECTRICITY)
    assert line is not None
    assert line.net.value is not None
    return line.net.value


def test_a_move_in_mid_month_splits_the_month_exactly(made: Made) -> None:
    first, end = date(2026, 11, 1), date(2026, 12, 1)
    lines = sum((amount(made, device, first, end) for device in ("line-2", "line-3", "lights")), Decimal(0))
    assert total(made.statement, "workshop-1") == lines + amount(made, "line-1", first, MOVED)
    rest = sum(
        (amount(made, device, first, end) for device in ("press-1", "press-2", "furnace", "lighting-2")), Decimal(0)
    )
    assert total(made.statement, "workshop-2") == rest + amount(made, "line-1", MOVED, end)
    assert amount(made, "line-1", first, MOVED) > 0 < amount(made, "line-1", MOVED, end)
    whole = amount(made, "line-1", first, end)
    assert total(made.statement, "line-1") == whole == total(made.before, "line-1")


def test_a_virtual_meter_is_the_source_of_what_has_no_other(made: Made) -> None:
    assert total(made.statement, "lighting-1") == amount(made, "line-2", date(2026, 11, 1), date(2026, 12, 1)) / 10
    assert made.records["lights"].formula == FORMULA
    node = made.statement.node("lighting-1")
    assert node is not None
    assert node.lines[0].shares["C"] > Decimal("0.9")


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_over_a_move_adds_up(made: Made, figure: str) -> None:
    trace = made.traces[figure]
    assert check(trace) == ()
    parts = [step.id for step in trace.steps.values() if step.id.startswith("meter:")]
    assert any("line-1" in one and one.endswith("2026-11-01..2026-11-02") for one in parts) == ("workshop-1" in figure)
    assert any("line-1" in one and one.endswith("2026-11-03..2026-11-30") for one in parts) == ("workshop-2" in figure)


def test_a_balance_compares_the_days_since_the_last_move(made: Made) -> None:
    plant = made.statement.nodes[0]
    assert check(made.traces[BALANCE]) == ()
    before, after = made.before.nodes[0].balances[Carrier.ELECTRICITY], plant.balances[Carrier.ELECTRICITY]
    assert before.available is not None
    assert after.available is not None
    assert 0 < after.available < before.available


def test_without_entities_in_the_books_the_tree_of_the_settings_holds(made: Made) -> None:
    assert [node.id for node in made.before.nodes] == [node.id for node in setup().plants[0].tree.walk()]
