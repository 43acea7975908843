"""A closed month stays to the byte; what comes later stands beside it with its cause; all of it is audited."""

import asyncio
import json
import random
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from centre.accounting.calendar import Month, month_bounds
from centre.accounting.certificates import Issue, Retire, Transfer
from centre.accounting.corrections import Cause, MeterMonth, changes, lacking
from centre.api_closing import closing_routes
from centre.books import certificates
from centre.books.audit import first_broken
from centre.books.audit import rows as audit_rows
from centre.books.closings import reopen
from centre.books.file import Books
from centre.closing import Closings
from centre.closing_content import Counted, Figures, canonical, correction_of, other
from centre.closing_figures import StatementFigures
from centre.closing_rules import load_closing_rules
from centre.errors import BadQuestion, FigureError
from centre.ledger import Ledger
from centre.period import Period
from centre.points import Directory
from centre.statement_books import StatementBooks
from centre.statement_told import Told
from centre.store.base import Grain, SeriesKey, StoreError
from centre.store.sqlite import SqliteStore
from centre.web_closing import sign_off
from centre.web_i18n import load_words
from metering.sweep import Sweep
from support.books_plant import FIRST, filled, statements
from support.books_plant import setup as demo_setup
from support.centre_plant import PLANT, inventory
from support.standing_clock import StandingClock
from support.store_contract import PRESS, parcel, status
from wattline.clock import NS
from wattline.resources import config_dir

D = Decimal
QUARTER = 900 * NS
MARCH = Month(2026, 3)
ONE = replace(PLANT, tree=replace(PLANT.tree, meters=PLANT.tree.meters[:1], children=()))
SERIES = SeriesKey("works", "incomer", "energy_active_import_total")
START, END = month_bounds(MARCH, ONE.zone)
QUARTERS = (END - START) // QUARTER


class Maker:
    """Figures of one headline: the energy of the month."""

    def __init__(self, store: SqliteStore, directory: Directory) -> None:
        self.store, self.directory = store, directory
        self.tree = {"works/electricity": ["incomer import"]}
        self.outlets: dict[str, tuple[Decimal | None, str]] = {"stack/nox/mass": (D("12.5"), "kg")}
        self.books: StatementBooks | None = None
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def counted(self, site: str, month: Month) -> Counted:
        told = Told() if self.books is None else await self.books.told(site, Period(year=month.year, month=month.month))
        used = {place: list(ids) for (place, _), ids in told.certificates.items()}
        return Counted(points=await self.directory.points(ONE), tree=self.tree, outlets=self.outlets, certificates=used)

    async def figures(self, site: str, month: Month) -> Figures:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        (bucket,) = await self.store.read_rollup(SERIES, Grain.MONTH, *month_bounds(month, ONE.zone))
        value = bucket.interval.amount
        return Figures(
            content={"note": "电"},
            headline={"electricity": (value, "kWh")},
            machines={"press-1/2026-03-01/energy": (value, "kWh")},
            factors=["f2", "f1", "f2"],
            tariffs=["t/1"],
        )


class Office:
    def __init__(self, store: SqliteStore, books: Books, clock: StandingClock) -> None:
        directory = Directory(store, clock)
        self.store, self.books, self.clock = store, books, clock
        self.ledger = Ledger(store=store, clock=clock, plants=[ONE], directory=directory)
        self.maker = Maker(store, directory)
        self.closings = Closings(
            store=store, books=books, clock=clock, plants={"works": ONE}, maker=self.maker, limit=D("0.95")
        )
        self._seq = 0

    async def add(self, quarters: range | list[int], kwh: int = 10) -> None:
        self._seq += 1
        sweeps = [
            Sweep(device="incomer", taken_at=START + at * QUARTER, values={SERIES.point: float(at * kwh)}, faults={})
            for at in quarters
        ]
        await self.store.write([parcel(self._seq, *sweeps)], received_at=self.clock.now)
        await self.ledger.cycle()


def in_office(check: Callable[[Office], Awaitable[None]]) -> None:
    async def main(folder: Path) -> None:
        clock = StandingClock(END + 3600 * NS)
        async with (
            SqliteStore(folder / "centre.db", inline=True) as store,
            Books(folder / "books.db", clock, inline=True) as books,
        ):
            await store.write_status(PRESS, status(devices=inventory(900)), received_at=clock.now)
            await check(Office(store, books, clock))

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


def test_a_closed_month_is_signed_with_its_inputs_program_factors_and_tariffs() -> None:
    async def check(office: Office) -> None:
        await office.add(range(QUARTERS + 1))
        row = await office.closings.close("works", MARCH, author="Li")
        assert (row.version, row.author, row.reason, row.completeness) == (1, "Li", "the month is over", "1.0000")
        closed = await office.closings.closed("works", MARCH)
        (meter,) = closed.signed["meters"]
        assert (meter["device"], meter["amount"], meter["shares"]) == ("incomer", "29760", {"M": "1.0000"})
        assert (closed.signed["factors"], closed.signed["tariffs"]) == (["f1", "f2"], ["t/1"])
        assert closed.signed["software"] == row.software
        assert closed.corrections == ()
        assert await office.closings.review("works") == 0
        (entry,) = await office.books.read(lambda connection: audit_rows(connection, subject="closing:works/2026-03"))
        assert (entry.author, entry.before, entry.after["figures"]) == ("Li", None, row.figures)

    in_office(check)


def test_v5_a_late_batch_in_a_closed_month_is_a_correction_beside_it_and_never_a_silent_change() -> None:
    async def check(office: Office) -> None:
        await office.add([*range(100), *range(200, QUARTERS - 19)])
        row = await office.closings.close("works", MARCH, author="Li", reason="the meter was silent for a day")
        signed = (await office.closings.closed("works", MARCH)).signed
        await office.add(range(100, 200))
        await office.add(range(QUARTERS - 19, QUARTERS + 1))
        assert await office.closings.review("works") == 1
        assert await office.closings.review("works") == 0
        closed = await office.closings.closed("works", MARCH)
        assert (closed.signed, closed.closing) == (signed, row)
        (entry,) = closed.corrections
        (change,) = entry.meters
        before, after = D(10 * (QUARTERS - 20)), D(10 * QUARTERS)
        assert [D(change[key]) for key in ("before", "after", "difference")] == [before, after, after - before]
        assert (change["cause"], change["readings"]) == ("late_readings", 119)
        assert "E" in change["shares_before"]
        assert change["shares_after"] == {"M": "1.0000"}
        (headline,) = entry.headline
        assert (headline["name"], D(headline["difference"])) == ("electricity", D(200))
        audited = await office.books.read(lambda connection: audit_rows(connection, subject="correction:works/2026-03"))
        assert [found.author for found in audited] == ["wattline centre"]
        assert await office.books.read(first_broken) is None

    in_office(check)


def test_a_closed_month_signs_its_ledgers_and_late_readings_of_an_outlet_are_a_correction() -> None:
    async def check(office: Office) -> None:
        await office.add(range(QUARTERS + 1))
        await office.closings.close("works", MARCH, author="Li")
        signed = (await office.closings.closed("works", MARCH)).signed
        assert signed["outlets"] == {"stack/nox/mass": {"value": "12.5", "unit": "kg"}}
        assert signed["machines"] == {"press-1/2026-03-01/energy": {"value": "29760.0", "unit": "kWh"}}
        office.maker.outlets = {"stack/nox/mass": (D("13.5"), "kg")}
        assert [await office.closings.review("works") for _ in range(2)] == [1, 0]
        closed = await office.closings.closed("works", MARCH)
        (entry,) = closed.corrections
        (change,) = entry.outlets
        assert (change["name"], change["before"], change["after"]) == ("stack/nox/mass", "12.5", "13.5")
        assert (entry.meters, entry.headline, entry.machines, entry.tree) == ([], [], [], [])
        assert closed.signed == signed
        (row,) = sign_off(closed, ONE.zone, load_words()["en"]).corrections
        assert row.changed == (("stack, nitrogen oxides, mass", "12.5\u202fkg", "13.5\u202fkg"),)
        books = StatementBooks(books=office.books)
        told = await books.signed("works", Period(year=2026, month=3))
        assert told is not None
        assert [figure["name"] for _, figures in told.corrections for figure in figures] == ["stack/nox/mass"]

    in_office(check)


def test_a_month_signed_before_ledgers_were_is_corrected_for_what_it_tells_only() -> None:
    counted = Counted(points=(), tree={}, outlets={"stack/nox/mass": (D(1), "kg")})
    last: dict[str, Any] = {"meters": [], "tree": {}, "headline": {}, "nodes": {}}
    assert other(last, counted) == ()
    told = correction_of(last, (), counted, Figures(content=None, headline={}, machines={"a/b/c": (D(1), "h")}))
    assert (told["outlets"], told["machines"]) == ((), ())


async def retire(office: Office) -> None:
    """A certificate is used for what the plant bought in March."""
    made = Issue(entry="i", ids=("GEC-1",), holder="works", plant="wind", generated=date(2026, 2, 1))
    used = Retire(entry="r", ids=("GEC-1",), holder="works", node="works/plant", month=date(2026, 3, 1))
    for entry in (made, used):
        await office.books.change("Li", "bought", lambda to, entry=entry: certificates.enter(to, entry))  # type: ignore[misc]


class Untouched:
    def take(self) -> list[tuple[str, Month | None]]:
        return []


def test_a_certificate_that_is_used_for_a_closed_month_is_a_correction_beside_it() -> None:
    async def nap(_due_ns: int) -> None:
        await asyncio.sleep(0.01)

    async def check(office: Office) -> None:
        office.clock.sleep_until = nap  # type: ignore[method-assign]
        office.maker.books = StatementBooks(books=office.books)
        await office.add(range(QUARTERS + 1))
        await office.closings.close("works", MARCH, author="Li")
        watching = asyncio.create_task(office.closings.run(Untouched()))
        await asyncio.sleep(0.05)
        assert (await office.closings.closed("works", MARCH)).corrections == ()
        await retire(office)
        async with asyncio.timeout(20):
            while not (corrections := (await office.closings.closed("works", MARCH)).corrections):
                await asyncio.sleep(0.01)
        watching.cancel()
        (entry,) = corrections
        assert entry.certificates == [{"of": "works/plant", "before": [], "after": ["GEC-1"]}]
        assert await office.closings.review("works") == 0

    in_office(check)


def test_what_people_decide_while_a_month_is_signed_is_not_left_out_of_it() -> None:
    async def check(office: Office) -> None:
        await office.add(range(QUARTERS + 1))
        office.maker.meanwhile = lambda: retire(office)
        with pytest.raises(FigureError) as refused:
            await office.closings.close("works", MARCH, author="Li")
        assert (refused.value.code, refused.value.status) == ("not_accounted", 409)
        assert (await office.closings.close("works", MARCH, author="Li")).version == 1

    in_office(check)


def test_of_two_who_sign_at_once_the_second_is_told_so() -> None:
    async def check(office: Office) -> None:
        await office.add(range(QUARTERS + 1))
        office.maker.meanwhile = lambda: office.closings.close("works", MARCH, author="Wang")
        with pytest.raises(FigureError) as refused:
            await office.closings.close("works", MARCH, author="Li")
        assert (refused.value.code, refused.value.status) == ("closed_already", 409)
        assert (await office.closings.closed("works", MARCH)).closing.author == "Wang"

    in_office(check)


def test_of_two_who_open_a_month_at_once_the_second_is_told_so_and_no_audit_says_otherwise() -> None:
    async def check(office: Office) -> None:
        await office.add(range(QUARTERS + 1))
        row = await office.closings.close("works", MARCH, author="Li")
        assert (await office.closings.reopen("works", MARCH, author="Wang", reason="first")).reopened_by == "Wang"
        with pytest.raises(FigureError, match="is not closed"):
            await office.books.change(
                "Zhao", "second", lambda to: reopen(to, row, at=END, author="Zhao", reason="second")
            )
        audited = await office.books.read(lambda of: audit_rows(of, subject="closing:works/2026-03"))
        assert [found.author for found in audited] == ["Wang", "Li"]

    in_office(check)


def test_an_incomplete_month_needs_a_reason_and_one_that_is_not_over_cannot_be_closed() -> None:
    async def check(office: Office) -> None:
        await office.add([*range(100), *range(500, QUARTERS + 1)])
        with pytest.raises(FigureError, match="less than 95 % is known of incomer"):
            await office.closings.close("works", MARCH, author="Li", reason="  ")
        with pytest.raises(BadQuestion, match="author"):
            await office.closings.close("works", MARCH, author=" ", reason="told so")
        with pytest.raises(FigureError, match="2026-04 is not over"):
            await office.closings.close("works", Month(2026, 4), author="Li", reason="told so")
        row = await office.closings.close("works", MARCH, author="Li", reason="the meter was out for repair")
        assert D(row.completeness) < D("0.95")
        with pytest.raises(FigureError, match="closed already"):
            await office.closings.close("works", MARCH, author="Li", reason="again")

    in_office(check)


def test_a_month_is_not_closed_while_its_readings_are_being_accounted() -> None:
    async def check(office: Office) -> None:
        await office.add(range(QUARTERS + 1))
        await office.store.write(
            [parcel(9, Sweep(device="incomer", taken_at=START + 5, values={SERIES.point: 0.0}, faults={}))],
            received_at=office.clock.now,
        )
        with pytest.raises(FigureError, match="still being accounted"):
            await office.closings.close("works", MARCH, author="Li")
        await office.ledger.cycle()
        await office.closings.close("works", MARCH, author="Li")
        await office.store.write(
            [parcel(10, Sweep(device="incomer", taken_at=START + 6, values={SERIES.point: 0.0}, faults={}))],
            received_at=office.clock.now,
        )
        assert await office.closings.review("works") is None

    in_office(check)


def test_a_month_opened_again_keeps_what_was_signed_and_may_be_closed_anew() -> None:
    async def check(office: Office) -> None:
        await office.add(range(QUARTERS + 1))
        first = await office.closings.close("works", MARCH, author="Li")
        with pytest.raises(BadQuestion, match="needs its reason"):
            await office.closings.reopen("works", MARCH, author="Wang", reason=" ")
        ended = await office.closings.reopen("works", MARCH, author="Wang", reason="a factor was wrong")
        assert (ended.reopened_by, ended.reopened_why) == ("Wang", "a factor was wrong")
        with pytest.raises(FigureError, match="not closed"):
            await office.closings.closed("works", MARCH)
        second = await office.closings.close("works", MARCH, author="Li")
        assert (second.version, second.figures, second.inputs) == (2, first.figures, first.inputs)
        assert [row.version for row in await office.closings.closings("works")] == [2, 1]

    in_office(check)


@settings(max_examples=3, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(min_value=1, max_value=5))
def test_the_same_readings_in_any_order_sign_the_same_bytes(dice: random.Random, portions: int) -> None:
    found: list[str] = []

    async def check(office: Office) -> None:
        quarters = [*range(0, 300, 3), *range(300, QUARTERS + 1, 7), QUARTERS, QUARTERS + 1]
        quarters = sorted(set(quarters))
        if found:
            dice.shuffle(quarters)
        for place in range(portions if found else 1):
            await office.add(quarters[place :: portions if found else 1])
        row = await office.closings.close("works", MARCH, author="Li", reason="few readings")
        found.append(row.figures)

    in_office(check)
    in_office(check)
    assert found[0] == found[1]


def test_the_books_refuse_to_change_or_remove_what_was_signed() -> None:
    async def check(office: Office) -> None:
        await office.add(range(QUARTERS + 1))
        await office.closings.close("works", MARCH, author="Li")
        for statement in (
            "UPDATE closing SET figures = 'x'",
            "DELETE FROM closing",
            "UPDATE closing SET content = x''",
        ):
            with pytest.raises(StoreError, match="closed month is never"):
                await office.books.keep(lambda connection, sql=statement: connection.execute(sql))  # type: ignore[misc]

    in_office(check)


def test_the_api_closes_lists_corrects_and_opens_again() -> None:
    async def check(office: Office) -> None:
        await office.add([*range(100), *range(400, QUARTERS + 1)])
        site = Starlette(routes=closing_routes(office.closings))
        where = "/api/v1/plants/works/closings"
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=site), base_url="http://centre") as http:
            assert (await http.get(where)).json() == {"closings": []}
            assert (await http.get(f"{where}/2026-03")).status_code == 404
            for body, status_code in (
                ({"author": "Li"}, 409), ({"author": "", "reason": "x"}, 400), ({"reason": "x"}, 400),
                ({"author": "Li", "reason": "silent", "more": 1}, 400), ({"author": "Li", "reason": "silent"}, 200),
            ):  # fmt: skip
                answer = await http.post(f"{where}/2026-03", json=body)
                assert answer.status_code == status_code, answer.text
            await office.add(range(100, 400))
            assert await office.closings.review("works") == 1
            told = (await http.get(f"{where}/2026-03/corrections")).json()
            assert [change["cause"] for entry in told["corrections"] for change in entry["meters"]] == ["late_readings"]
            assert (await http.get(f"{where}/2026-3")).status_code == 400
            assert (await http.get("/api/v1/plants/nowhere/closings")).status_code == 404
            answer = await http.post(f"{where}/2026-03/reopen", json={"author": "Wang", "reason": "late data"})
            assert answer.json()["reopened_by"] == "Wang"
            (row,) = (await http.get(where)).json()["closings"]
            assert row["reopened_why"] == "late data"

    in_office(check)


def test_the_statement_of_the_demo_plant_is_signed_with_its_main_figures_and_the_rows_they_rest_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def main() -> None:
        found = demo_setup()
        async with await filled(tmp_path_factory) as store:
            maker = StatementFigures(statements(store, found))
            month = Month(FIRST.year, FIRST.month)
            site = found.plants[0].site
            once, again = [await maker.figures(site, month) for _ in range(2)]
            folder = tmp_path_factory.mktemp("books")
            async with Books(folder / "books.db", StandingClock(END), inline=True) as books:
                first = date(FIRST.year, FIRST.month, 1)
                for entry in (
                    Issue(entry="i", ids=("A", "B"), holder=site, plant=f"{site}/pv-roof", generated=first),
                    Issue(entry="j", ids=("C",), holder="other", plant="other", generated=first),
                    Transfer(entry="t", ids=("B",), holder=site, to="buyer"),
                    Retire(entry="r", ids=("A",), holder=site, node=f"{site}/plant", month=first),
                    Retire(entry="s", ids=("C",), holder="other", node=f"{site}0/plant", month=first),
                ):
                    await books.change("Li", "r", lambda to, entry=entry: certificates.enter(to, entry))  # type: ignore[misc]
                told = replace(statements(store, found), books=StatementBooks(books=books))
                counted = await StatementFigures(told).counted(site, month)
            assert counted.certificates == {
                f"used {site}/plant": ["A"], f"claimed elsewhere {site}/pv-roof": ["A", "B"],
            }  # fmt: skip
        assert canonical(once.content) == canonical(again.content)
        assert {"energy_calorific", "scope1", "scope2_location", "cost", "electricity"} <= set(once.headline)
        assert once.headline["scope1"][0] is not None
        assert set(once.factors) <= {row.id for row in found.factors}
        assert once.factors
        assert once.tariffs

    asyncio.run(main())


def test_the_shipped_limit_names_its_source() -> None:
    rules = load_closing_rules(config_dir() / "closing.yaml")
    assert (rules.completeness, rules.confirmed) == (D("0.95"), False)
    assert rules.source


meters = st.builds(
    MeterMonth,
    device=st.sampled_from("abcd"), carrier=st.just("electricity"), flow=st.sampled_from(["import", "export"]),
    point=st.just("p"), unit=st.just("kWh"), amount=st.decimals(0, 1000, places=2) , shares=st.just({"M": D(1)}),
    completeness=st.decimals(0, 1, places=2), readings=st.integers(0, 3), inputs=st.sampled_from("xyz"),
)  # fmt: skip
months = st.lists(meters, max_size=6, unique_by=lambda meter: meter.place)


@settings(deadline=None, max_examples=60)
@given(months, months, st.randoms(use_true_random=False))
def test_corrections_sum_up_to_what_is_known_now_in_whatever_order_meters_come(
    before: list[MeterMonth], after: list[MeterMonth], dice: random.Random
) -> None:
    found = changes(before, after)
    difference = sum((change.difference or D(0) for change in found), D(0))
    assert sum((m.amount or D(0) for m in before), D(0)) + difference == sum((m.amount or D(0) for m in after), D(0))
    assert changes(dice.sample(before, len(before)), dice.sample(after, len(after))) == found
    assert changes(after, after) == ()
    assert {m.device for m in after if m.completeness < D("0.5")} == set(lacking(after, D("0.5")))


def test_what_a_correction_is_due_to_is_told() -> None:
    one = MeterMonth(
        device="a", carrier="electricity", flow="import", point="p", unit="kWh", amount=D(1), shares={},
        completeness=D(1), readings=5, inputs="x",
    )  # fmt: skip
    for old, new, cause in (
        ([one], [replace(one, readings=6)], Cause.LATE_READINGS),
        ([one], [replace(one, inputs="y")], Cause.ACCOUNTED_ANEW),
        ([], [one], Cause.METER_ADDED),
        ([one], [], Cause.METER_GONE),
    ):
        assert [change.cause for change in changes(old, new)] == [cause]
    (unknown,) = changes([replace(one, amount=None)], [one])
    assert unknown.difference is None


def test_canonical_json_is_one_form_only() -> None:
    assert canonical({"b": D("1.50"), "a": [None, "电"]}) == '{"a":[null,"电"],"b":"1.50"}'.encode()
    assert json.loads(canonical({"zone": ZoneInfo("Asia/Shanghai").key})) == {"zone": "Asia/Shanghai"}
