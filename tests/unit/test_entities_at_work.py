"""An edit of the entities acts at once on trees, intervals and statements; closed months get corrections beside them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from centre.accounting.calendar import Month
from centre.accounting.zones import day_bounds
from centre.books.entities import ChangedMeanwhile
from centre.books.file import Books
from centre.carriers import Carrier, Flow
from centre.closing import Closings
from centre.closing_content import Figures
from centre.closing_figures import StatementFigures
from centre.entities import Entity, Membership, MeterEpoch
from centre.entities_kept import BadEntities, EntityBook
from centre.errors import FigureError
from centre.forwarding_figures import ForwardedFigures
from centre.forwarding_touched import shared
from centre.ledger import Ledger
from centre.period import Period
from centre.plant import Node
from centre.points import Directory
from centre.statement import Statement
from centre.statement_books import StatementBooks
from centre.statements import Statements
from centre.store.base import Grain, SeriesKey
from centre.store.sqlite import SqliteStore
from support.books_plant import FIRST, StoppedClock, filled_copy, setup
from support.page_figures import ZONE
from wattline.events import EventLog

D = Decimal
SITE = "jiangjin-1"
NOVEMBER, MONTH = Month(2026, 11), Period(year=2026, month=11)
MOVED = FIRST.replace(day=2)
PRESS = SeriesKey(SITE, "press-2", "energy_active_import_total")
demo = cache(setup)


class Centre:
    """All that follows the entities, on one store and one file of books."""

    def __init__(self, store: SqliteStore, books: Books, clock: StoppedClock) -> None:
        self.store, self.books = store, books
        self.book = EntityBook(books, clock, demo().plants)
        directory = Directory(store, clock)
        self.ledger = Ledger(
            store=store, clock=clock, plants=self.book.ever.values(), directory=Directory(store, clock)
        )
        self.statements = Statements(
            store=store, clock=clock, plants=self.book.today, rules=demo().rules, directory=directory,
            books=StatementBooks(books=books),
        )  # fmt: skip
        self.closings = Closings(
            store=store, books=books, clock=clock, plants=self.book.today, maker=StatementFigures(self.statements),
            limit=D("0.95"), follows=partial(self.book.followed, self.ledger.follows),
        )  # fmt: skip
        self.forwarded = ForwardedFigures(
            store=store, clock=clock, plants=self.book.today, entities=StatementBooks(books=books).entities,
            grains=(Grain.DAY, Grain.MONTH),
        )  # fmt: skip

    async def start(self) -> None:
        await self.book.take_over(demo().entities, EventLog())
        await self.book.refresh()
        await self.ledger.cycle()

    async def entity(self, name: str) -> tuple[Entity, int]:
        kept = await self.book.kept()
        return kept.entities.by_key[f"{SITE}/{name}"], kept.version

    async def put(self, entity: Entity, expected: int) -> int:
        return await self.book.put(entity, author="li", reason="as built", expected=expected)

    async def move_press(self) -> None:
        """From workshop 2 to the utilities, which are counted by what they hold."""
        press, version = await self.entity("press-1")
        places = (
            Membership(parent=f"{SITE}/workshop-2", until=MOVED),
            Membership(parent=f"{SITE}/utilities", since=MOVED),
        )
        await self.put(replace(press, memberships=places), version)

    async def change_transformer(self, ratio: int = 2) -> None:
        """Since the second day press 2 is counted behind another transformer: 2 instead of 1."""
        press, version = await self.entity("press-2")
        since = day_bounds(MOVED, ZONE)[0]
        (last,) = await self.store.before(PRESS, since, 1)
        value = D(str(last.value))
        epochs = (MeterEpoch(since=since, ct=D(ratio), digits=7, unit="kWh", final=value, initial=value),)
        await self.put(replace(press, meters=(replace(press.meters[0], epochs=epochs),)), version)

    async def statement(self) -> Statement:
        return await self.statements.statement(SITE, MONTH)


def at_work(factory: pytest.TempPathFactory, check: Callable[[Centre, Callable[[], Awaitable[Centre]]], Any]) -> None:
    """`check` is given a centre, and what makes another one of the same files."""

    async def main() -> None:
        clock = StoppedClock(day_bounds(date(2027, 1, 6), ZONE)[0])
        path: Path = factory.mktemp("books") / "books.db"
        async with await filled_copy(factory) as store, Books(path, clock) as books:

            async def again() -> Centre:
                centre = Centre(store, books, clock)
                await centre.start()
                return centre

            await check(await again(), again)

    asyncio.run(main())


def amount(made: Statement, node: str) -> Decimal:
    (line,) = [line for line in made.node(node).lines if line.carrier is Carrier.ELECTRICITY]
    assert line.net.value is not None
    return line.net.value


def holds(tree: Node, node: str) -> set[str]:
    (found,) = [one for one in tree.walk() if one.id == node]
    return {one.id for one in found.walk()}


def test_a_move_is_seen_by_tree_statement_forwarding_and_beside_the_closed_month(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def check(centre: Centre, _again: object) -> None:
        before = await centre.statement()
        forwarded = await centre.forwarded.closed(SITE, NOVEMBER)
        touched = shared([centre.ledger, centre.book], 2)
        [one.take() for one in touched]
        await centre.closings.close(SITE, NOVEMBER, author="wang", reason="three days")
        signed = (await centre.closings.closed(SITE, NOVEMBER)).signed
        assert await centre.closings.review(SITE) == 0
        await centre.move_press()
        assert "press-1" in holds(centre.book.today[SITE].tree, "utilities")
        assert "press-1" not in holds(centre.book.today[SITE].tree, "workshop-2")
        assert [set(one.take()) for one in touched] == [{(SITE, None)}] * 2
        after = await centre.statement()
        days = await centre.store.read_rollup(PRESS._replace(device="press-1"), Grain.DAY, 0, 2**62)
        moved = sum(
            (day.interval.amount or D(0) for day in days if day.interval.start >= day_bounds(MOVED, ZONE)[0]), D(0)
        )
        assert moved > 0
        assert amount(after, "utilities") == amount(before, "utilities") + moved
        assert amount(after, "plant") == amount(before, "plant")
        assert await centre.closings.review(SITE) is None
        await centre.ledger.cycle()
        assert await centre.closings.review(SITE) == 1
        closed = await centre.closings.closed(SITE, NOVEMBER)
        assert closed.signed == signed
        (entry,) = closed.corrections
        assert [(one["of"], len(one["before"]), len(one["after"])) for one in entry.tree] == [
            ("utilities/electricity", 3, 4)
        ]
        assert [(one["name"], D(one["difference"])) for one in entry.nodes if one["name"].startswith("util")] == [
            ("utilities/electricity", moved)
        ]
        assert (entry.meters, entry.headline) == ([], [])
        assert await centre.closings.review(SITE) == 0
        now, _ = await centre.forwarded.closed(SITE, NOVEMBER)
        others = [one for one in now.intervals if one not in forwarded[0].intervals]
        assert {one.node for one in others} == {"utilities"}
        assert min(one.start for one in others) == day_bounds(MOVED, ZONE)[0]

    at_work(tmp_path_factory, check)


def test_another_transformer_counts_from_its_day_on_with_a_new_revision(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def check(centre: Centre, _again: object) -> None:
        before = await centre.store.read_rollup(PRESS, Grain.DAY, 0, 2**62)
        await centre.closings.close(SITE, NOVEMBER, author="wang", reason="three days")
        await centre.change_transformer()
        await centre.ledger.cycle()
        after = await centre.store.read_rollup(PRESS, Grain.DAY, 0, 2**62)
        since = day_bounds(MOVED, ZONE)[0]
        for old, new in zip(before, after, strict=True):
            assert old.interval.amount is not None
            assert new.interval.amount is not None
            if new.interval.start < since:
                # the step over midnight is the new meter's whole: that of five minutes
                assert abs(new.interval.amount - old.interval.amount) < 10
            else:
                assert abs(new.interval.amount - 2 * old.interval.amount) < 10
                assert new.revision == old.revision + (not old.interval.open)
        (month,) = await centre.store.read_rollup(PRESS, Grain.MONTH, *MONTH.bounds(ZONE))
        assert month.interval.amount == sum((day.interval.amount or D(0) for day in after), D(0)) - (
            after[0].interval.amount or D(0) if after[0].interval.start < MONTH.bounds(ZONE)[0] else D(0)
        )
        assert await centre.closings.review(SITE) == 1
        (entry,) = (await centre.closings.closed(SITE, NOVEMBER)).corrections
        assert [(one["device"], one["cause"]) for one in entry.meters] == [("press-2", "accounted_anew")]

    at_work(tmp_path_factory, check)


def test_an_edit_is_signed_or_corrected_as_a_whole_when_the_ledger_has_counted_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def check(centre: Centre, _again: object) -> None:
        async def sign() -> None:
            await centre.closings.close(SITE, NOVEMBER, author="wang", reason="three days")

        before = amount(await centre.statement(), "press-2")
        await centre.change_transformer()
        with pytest.raises(FigureError, match="an edit of the entities"):
            await sign()
        await centre.ledger.cycle()
        await sign()
        assert amount(await centre.statement(), "press-2") > before
        assert await centre.closings.review(SITE) == 0
        press, version = await centre.entity("press-2")
        moved = replace(press, memberships=(Membership(parent=f"{SITE}/utilities"),))
        await centre.put(replace(moved, meters=(replace(press.meters[0], epochs=()),)), version)
        assert await centre.closings.review(SITE) is None
        await centre.ledger.cycle()
        assert await centre.closings.review(SITE) == 1
        (entry,) = (await centre.closings.closed(SITE, NOVEMBER)).corrections
        assert entry.tree
        assert entry.meters
        assert await centre.closings.review(SITE) == 0

    at_work(tmp_path_factory, check)


def test_an_edit_that_came_while_the_figures_were_made_is_not_passed_over(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def check(centre: Centre, _again: object) -> None:
        made = centre.closings.maker.figures

        ratios = iter((2, 3))

        async def meanwhile(site: str, month: Month) -> Figures:
            found = await made(site, month)
            await centre.change_transformer(next(ratios))
            return found

        with (
            patch.object(StatementFigures, "figures", side_effect=meanwhile),
            pytest.raises(FigureError, match="try again"),
        ):
            await centre.closings.close(SITE, NOVEMBER, author="wang", reason="three days")
        assert await centre.closings.closings(SITE) == []
        await centre.ledger.cycle()
        await centre.closings.close(SITE, NOVEMBER, author="wang", reason="three days")
        await centre.move_press()
        await centre.ledger.cycle()
        with patch.object(StatementFigures, "figures", side_effect=meanwhile):
            assert await centre.closings.review(SITE) == 0
        await centre.ledger.cycle()
        assert await centre.closings.review(SITE) == 1
        (entry,) = (await centre.closings.closed(SITE, NOVEMBER)).corrections
        assert entry.tree
        assert entry.meters

    at_work(tmp_path_factory, check)


def test_what_was_killed_between_the_edit_and_its_figures_is_made_up_at_the_start(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def check(centre: Centre, again: Callable[[], Awaitable[Centre]]) -> None:
        await centre.closings.close(SITE, NOVEMBER, author="wang", reason="three days")
        before = amount(await centre.statement(), "press-2")
        await centre.change_transformer()
        await centre.move_press()  # and here it is killed: no ledger, no review saw either
        after = await again()
        assert amount(await after.statement(), "press-2") > before
        assert "press-1" in holds(after.book.today[SITE].tree, "utilities")
        assert await after.closings.review(SITE) == 1
        (entry,) = (await after.closings.closed(SITE, NOVEMBER)).corrections
        assert entry.tree
        assert entry.meters
        assert await (await again()).closings.review(SITE) == 0

    at_work(tmp_path_factory, check)


def test_a_wrong_edit_changes_nothing_and_of_two_at_once_one_is_told_so(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def check(centre: Centre, _again: object) -> None:
        press, version = await centre.entity("press-1")
        tree = centre.book.today[SITE]
        with pytest.raises(BadEntities, match=r"jiangjin-1/press-1: in\.0\.of: jiangjin-1/nowhere is no entity here"):
            await centre.put(replace(press, memberships=(Membership(parent=f"{SITE}/nowhere"),)), version)
        wrong = replace(press.meters[0], epochs=(MeterEpoch(ct=D(40), unit="m3"),), check="press-1")
        with pytest.raises(
            BadEntities, match=r"meters\.0\.epochs: m3 does not measure electricity\n.*meters\.0\.check"
        ):
            await centre.put(replace(press, meters=(wrong,)), version)
        assert await centre.entity("press-1") == (press, version)
        assert centre.book.today[SITE] is tree
        assert centre.book.take() == set()
        both = [replace(press, cost_centre=name) for name in ("1", "2")]
        found = await asyncio.gather(*[centre.put(one, version) for one in both], return_exceptions=True)
        assert sorted(type(one) is ChangedMeanwhile for one in found) == [False, True]
        assert (await centre.entity("press-1"))[1] == version + 1

    at_work(tmp_path_factory, check)


def test_a_check_meter_that_stands_nowhere_is_counted_and_a_meter_that_comes_back_is_whole(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def check(centre: Centre, _again: object) -> None:
        press, version = await centre.entity("press-2")
        whole = await centre.store.read_rollup(PRESS, Grain.DAY, 0, 2**62)
        version = await centre.put(replace(press, meters=(replace(press.meters[0], check="spare"),)), version)
        spare = [meter for meter in centre.book.ever[SITE].meters() if meter.device == "spare"]
        assert [(meter.carrier, meter.flow) for meter in spare] == [(Carrier.ELECTRICITY, Flow.IMPORT)]
        assert "spare" not in {meter.device for meter in centre.book.today[SITE].meters()}
        version = await centre.put(replace(press, meters=()), version)
        await centre.ledger.cycle()
        await centre.put(press, version)
        await centre.ledger.cycle()
        assert await centre.store.read_rollup(PRESS, Grain.DAY, 0, 2**62) == whole

    at_work(tmp_path_factory, check)
