"""A supplier's bill against ours, line by line, and a month as it might have been: rules, books, API, page, command."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from centre import api_bills, bills_cli, cli
from centre.accounting.bill import Usage
from centre.accounting.billing import bill
from centre.accounting.metered import Amount
from centre.accounting.rate_tables_file import load_power_factors
from centre.accounting.reconcile import Cause, Match, reconcile
from centre.accounting.stated_bill import COLUMNS, Stated, stated_of
from centre.accounting.tariff_file import load_tariff
from centre.accounting.time_of_use import energy_by_band, pieces
from centre.accounting.what_if import Shift, shifted, what_if
from centre.accounting.zones import day_bounds
from centre.bills import Bills
from centre.books import audit
from centre.books.file import Books
from centre.settings import Setup
from centre.statement_books import StatementBooks
from centre.web_bill import stated_view
from centre.web_i18n import load_words
from support.books_plant import CLOCK, filled, filled_file, setup, statements
from support.page_figures import DAY, ZONE
from wattline.clock import NS
from wattline.errors import ConfigError
from wattline.resources import config_dir

SITE, MONTH = "jiangjin-1", "2026-11"
TARIFF = load_tariff(config_dir() / "tariffs" / "chongqing-industry-example.yaml")
TABLES = load_power_factors(config_dir() / "power-factor.yaml")
QUARTER = 900 * NS
START = day_bounds(DAY, ZONE)[0]
WIDE = ",".join(COLUMNS)


def usage(amounts: list[Decimal | None]) -> Usage:
    """Quarters of an hour from the first of a day on, in kWh."""
    quarters = [
        Amount(start=START + n * QUARTER, end=START + (n + 1) * QUARTER, amount=amount)
        for n, amount in enumerate(amounts)
    ]
    return Usage(zone=ZONE, start=START, end=START + 2 * 96 * QUARTER, intervals=quarters)


OURS = bill(usage([Decimal("25.0004")] * 192), TARIFF, TABLES)


@pytest.mark.parametrize(
    ("quantity", "price", "amount", "cause"),
    [
        ("1600", "0.64", "1024.03", Cause.ROUNDING),
        ("1600", "0.64", "1024.50", Cause.AMOUNT),
        ("1700", "0.64", "1088.00", Cause.QUANTITY),
        ("1600", "0.65", "1040.00", Cause.PRICE),
        ("1700", "0.65", "1105.00", Cause.QUANTITY_AND_PRICE),
        ("", "", "1024.50", Cause.AMOUNT),
    ],
)
def test_a_difference_has_its_likely_cause(quantity: str, price: str, amount: str, cause: Cause) -> None:
    theirs = stated_of([WIDE, f"agency_purchase,peak,,{quantity},{price},{amount}"], "b.csv")
    line = next(line for line in reconcile(OURS, theirs).lines if line.item == "agency_purchase.peak")
    assert (line.match, line.cause) == (Match.DIFFERS, cause)


def test_a_line_that_one_side_lacks_is_told_as_such() -> None:
    found = {line.item: line for line in reconcile(OURS, stated_of([WIDE, "late_fee,,,,,10"], "b.csv")).lines}
    assert {line.cause for line in found.values()} == {Cause.MISSING_LINE}
    assert (found["late_fee"].match, found["line_loss"].match) == (Match.ONLY_THEIRS, Match.ONLY_OURS)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a,,March,1,2,3", "b.csv:2: section: must be its first day"),
        ("a,\x07,,1,2,3", "b.csv:2: band: at most"),
        ("a,,,1,2,1e99", "b.csv:2: amount: must be a plain number"),
        ("a,,,1,2,1_0", "b.csv:2: amount: must be a plain number"),
        ("a,,,1,2,１２", "b.csv:2: amount: must be a plain number"),
        ("a,,,1,2,1e-99", "b.csv:2: amount: must be a plain number"),
    ],
)
def test_a_line_that_is_none_is_refused_with_its_place(line: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        stated_of([WIDE, line], "b.csv")
    assert says in str(refused.value)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.none() | st.decimals(0, 900, places=3), min_size=192, max_size=192),
    st.decimals("0.01", 1, places=2),
    st.sampled_from([("peak", "valley"), ("flat", "peak"), ("valley", "flat")]),
)
def test_moved_load_is_neither_lost_nor_made_and_stays_on_its_day(
    amounts: list[Decimal | None], share: Decimal, bands: tuple[str, str]
) -> None:
    before = usage(amounts)
    after, moved = shifted(before, TARIFF, Shift(share=share, source=bands[0], target=bands[1]))
    assert [one.amount is None for one in after.intervals] == [amount is None for amount in amounts]
    for first in (0, 96):
        kept = [one.amount for one in after.intervals[first : first + 96] if one.amount is not None]
        assert sum(kept) == sum(amount for amount in amounts[first : first + 96] if amount is not None)
        assert all(amount >= 0 for amount in kept)
    cut = pieces(TARIFF, ZONE, before.start, before.end)
    change: dict[str, Decimal] = {}
    for sign, one in ((-1, before), (1, after)):
        for band in energy_by_band(one.intervals, cut):
            change[band.band] = change.get(band.band, Decimal(0)) + sign * band.amount
    assert change.pop(bands[0]) == -moved
    assert change.pop(bands[1]) == moved
    assert not any(change.values())
    found = what_if(bill(before, TARIFF, TABLES), bill(after, TARIFF, TABLES))
    if found.saving is not None:
        assert sum(line.difference for line in found.lines if line.difference is not None) == -found.saving


def with_bills(
    factory: pytest.TempPathFactory, work: Callable[[Bills, Books, httpx.AsyncClient], Awaitable[None]]
) -> None:
    """Run `work` on three days of the demo plant, with books of its own."""

    async def main() -> None:
        folder = factory.mktemp("bills")
        async with await filled(factory) as store, Books(folder / "books.db", CLOCK) as books:
            service = statements(store, setup())
            service.books = StatementBooks(books=books)
            found = Bills(statements=service)
            transport = httpx.ASGITransport(app=Starlette(routes=api_bills.routes(found)))
            async with httpx.AsyncClient(transport=transport, base_url="http://centre/api/v1") as client:
                await work(found, books, client)

    asyncio.run(main())


async def ours(found: Bills) -> list[dict[str, str]]:
    """Our bill as a supplier would write it."""
    lines = (await found.against(SITE, MONTH, [Stated(item="x", quantity=None, price=None, amount=Decimal(0))])).lines
    return [
        {"item": line.item, "amount": str(line.ours.amount)}
        | ({} if line.ours.quantity is None else {"quantity": str(line.ours.quantity)})
        for line in lines
        if line.ours is not None and line.ours.amount is not None
    ]


def test_a_bill_is_given_in_kept_with_who_did_it_and_set_against_ours(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = f"/plants/{SITE}/bills/{MONTH}"

    async def work(found: Bills, books: Books, api: httpx.AsyncClient) -> None:
        assert (await api.get(path)).json()["error"]["code"] == "no_stated_bill"
        lines = await ours(found)
        said = {"author": "Li", "reason": "invoice 4711"}
        first = await api.post(path, json=said | {"lines": lines})
        assert (first.status_code, first.json()["version"]) == (200, 1), first.text
        assert [line["match"] for line in first.json()["lines"] if line["theirs"]] == ["agrees"] * len(lines)
        assert (await api.post(path, json=said | {"lines": lines})).json()["version"] == 1
        rows = [f"{line['item']},,,,,{Decimal(line['amount']) + place}" for place, line in enumerate(lines)]
        text = "\ufeff" + "\n".join([WIDE, *rows])
        query = "?author=Wang&reason=scan"
        again = await api.post(path + query, content=text.encode(), headers={"Content-Type": "text/csv"})
        assert (again.status_code, again.json()["version"]) == (200, 2), again.text
        shown = (await api.get(path)).json()
        assert shown == again.json()
        assert [line["difference"]["amount"] for line in shown["lines"] if line["theirs"]] == [
            f"{place}.00" for place in range(len(lines))
        ]
        told = [row for row in await books.read(audit.rows) if row.subject == f"bill:{SITE}/{MONTH}"]
        assert [(row.author, row.reason) for row in told] == [("Wang", "scan"), ("Li", "invoice 4711")]
        kept = await found.stated(SITE, MONTH)
        made = await found.statements.statement(SITE, found.statements.period(SITE, MONTH))
        assert kept is not None
        for words in load_words().values():
            view = stated_view(made.bills[0], kept, ZONE, words)
            assert (view.author, view.agrees, len(view.rows)) == ("Wang", False, len(shown["lines"]))

    with_bills(tmp_path_factory, work)


NO_BILLS: list[tuple[dict[str, Any], str]] = [
    ({"author": "", "lines": [{"item": "a", "amount": "1"}]}, "author"),
    ({"lines": []}, "lines"),
    ({"lines": [{"item": "", "amount": "1"}]}, "lines.0: item: is missing"),
    ({"lines": [{"item": "a", "amount": "x"}]}, "lines.0: amount"),
    ({"lines": [{"item": "a", "amount": True}]}, "lines.0.amount"),
    ({"lines": [{"item": "a", "amount": "1"}, {"item": "a", "amount": 2}]}, "a second time"),
    ({"lines": [{"item": "a", "amount": "1", "vat": "2"}]}, "vat"),
    ({"lines": [{"item": "a", "amount": "1", "section": 0}]}, "lines.0.section"),
]


def test_a_bill_that_is_none_changes_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    async def work(found: Bills, _books: Books, api: httpx.AsyncClient) -> None:
        for told, says in NO_BILLS:
            body = {"author": "a", "reason": "r"} | told
            answer = await api.post(f"/plants/{SITE}/bills/{MONTH}", json=body)
            assert (answer.status_code, says in answer.json()["error"]["message"]) == (400, True), answer.text
        csv = "item,band,section,quantity,price,amount\n电费,,,,,1\n".encode("gbk")
        answer = await api.post(f"/plants/{SITE}/bills/{MONTH}", content=csv, headers={"Content-Type": "text/csv"})
        assert answer.json()["error"]["message"].startswith("bill:2:1: is not UTF-8: save it as")
        assert await found.stated(SITE, MONTH) is None
        good = {"author": "a", "reason": "r", "lines": [{"item": "a", "amount": 1}]}
        assert (await api.post(f"/plants/{SITE}/bills/2026", json=good)).json()["error"]["code"] == "bad_parameter"
        assert (await api.post(f"/plants/{SITE}/bills/2026-02", json=good)).json()["error"]["code"] == "no_energy"
        assert await found.stated(SITE, "2026-02") is None

    with_bills(tmp_path_factory, work)


def test_what_if_answers_by_item_and_changes_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = f"/plants/{SITE}/bills/{MONTH}/what-if"

    async def work(_found: Bills, books: Books, api: httpx.AsyncClient) -> None:
        moved = (await api.get(f"{path}?shift=20&from=peak&to=valley")).json()
        assert Decimal(moved["moved_kwh"]) > 0
        by_item = {line["item"]: line["difference"] for line in moved["lines"]}
        assert Decimal(by_item["agency_purchase"]) < 0
        same = (await api.get(f"{path}?tariff=chongqing-industry-example")).json()
        assert (same["difference"], {line["difference"] for line in same["lines"]}) == ("0.00", {"0.00"})
        other = (await api.get(f"{path}?method=capacity&capacity_kva=2000")).json()
        [basic] = [line for line in other["lines"] if line["item"] == "basic_charge"]
        assert basic["other"] != basic["base"]
        for query, says in (
            ("", "say what would be otherwise"),
            ("shift=20&from=peak", "stand together"),
            ("shift=101&from=peak&to=valley", "at most 100"),
            ("shift=1e-99&from=peak&to=valley", "must be a number above 0"),
            ("shift=20&from=noon&to=valley", "there is no band 'noon'"),
            ("tariff=../centre", "there is no tariff"),
            ("capacity_kva=10", "does not count by"),
            ("method=none", "method must be one of"),
        ):
            answer = await api.get(f"{path}?{query}")
            assert (answer.status_code, says in answer.json()["error"]["message"]) == (400, True), answer.text
        assert await books.read(audit.rows) == ()

    with_bills(tmp_path_factory, work)


def test_the_commands_tell_line_by_line_and_by_their_exit_status(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = asyncio.run(filled_file(tmp_path_factory))

    def load(_path: object) -> Setup:
        return replace(setup(), store=store)

    monkeypatch.setattr(bills_cli, "load_setup", load)
    lines: list[dict[str, str]] = []

    async def work(found: Bills, _books: Books, _api: httpx.AsyncClient) -> None:
        lines.extend(await ours(found))

    with_bills(tmp_path_factory, work)
    file = tmp_path_factory.mktemp("given") / "bill.csv"

    def compare(changed: Decimal) -> int:
        rows = [f"{line['item']},,,{Decimal(line['amount']) + changed}" for line in lines]
        file.write_text("\n".join(["item,quantity,price,amount", *rows]))
        return cli.main(["reconcile", "centre.yaml", SITE, MONTH, str(file)])

    assert compare(Decimal(0)) == 0, capsys.readouterr().out
    assert "all lines agree" in capsys.readouterr().out
    assert compare(Decimal(7)) == 1
    assert f"{len(lines)} of {len(lines)} lines differ" in capsys.readouterr().out
    shift = ["--shift", "20", "--from", "peak", "--to", "valley"]
    assert cli.main(["what-if", "centre.yaml", SITE, MONTH, *shift]) == 0
    assert "moved: " in capsys.readouterr().out
    assert cli.main(["what-if", "centre.yaml", SITE, MONTH]) == 1
    assert "say what would be otherwise" in capsys.readouterr().err
