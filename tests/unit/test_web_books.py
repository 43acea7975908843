"""What the routes of the books answer, without a browser."""

import asyncio
import re
from collections.abc import Mapping
from decimal import Decimal

import httpx
import pytest

from centre.books.closings import ClosingRow
from centre.carriers import Carrier
from centre.closing import Closed, CorrectionView
from centre.period import Period
from centre.report.reports import REPORTS, YEARLY
from centre.store.base import SeriesKey
from centre.trace import Part, Rule, Step, Trace, check
from centre.web_closing import sign_off
from centre.web_i18n import load_words
from centre.web_month import month_choices
from centre.web_why import why_view
from centre.why import FIGURES, why
from metering.parcel import ParcelId, Received
from metering.sweep import Sweep, Value
from support.books_page import ALARM, CLOSED, SITE, centre
from support.books_plant import CLOCK, counter_of, filled_copy, setup, statements
from support.page_figures import ZONE
from wattline.clock import NS

WORDS = load_words()
ADDRESSES = {
    "month": "/books?lang=en",
    "closed": f"/books?lang=zh&month={CLOSED}",
    "before": "/books?lang=en&month=2026-07",
    "why": "/books/why?figure=scope2/location&lang=en",
    "cost": "/books/why?figure=cost&lang=zh",
    "part": "/books/why?figure=workshop-1:balance/electricity&lang=en",
    "product": "/books/why?figure=furnace:footprint/casting <1>/batch/B1&lang=zh",
    "year": "/books?month=2026&lang=en",
    "no month": "/books?month=soon&lang=zh",
    "no figure": "/books/why?figure=happiness&lang=en",
    "no site": "/books?site=nix&lang=en",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, httpx.Response]:
    async def ask() -> dict[str, httpx.Response]:
        app = centre(tmp_path_factory)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://centre") as client,
        ):
            return {name: await client.get(address) for name, address in ADDRESSES.items()}

    return asyncio.run(ask())


@pytest.mark.parametrize("name", ADDRESSES)
def test_every_answer_forbids_inline_scripts_and_other_hosts(answers: Mapping[str, httpx.Response], name: str) -> None:
    assert answers[name].headers["content-security-policy"].startswith("default-src 'self'")
    assert "<script" not in answers[name].text
    assert " style=" not in answers[name].text


def test_every_figure_of_the_month_leads_to_why(answers: Mapping[str, httpx.Response]) -> None:
    found = set(re.findall(r"/books/why\?[^\"]*figure=([\w%.-]+)", answers["month"].text))
    whole = {"cost", "scope1", "scope2%2Flocation", "scope2%2Fmarket", "tce%2Fcalorific", "tce%2Fequal_value"}
    parts = {"quantity%2Felectricity", "plant%3Abalance%2Felectricity", "furnace%3Ascope2%2Flocation"}
    assert whole | parts <= found
    assert all(any(figure.partition("/")[0] in name for figure in FIGURES) for name in found)


def test_the_month_leads_to_every_report_of_it_and_of_its_year(answers: Mapping[str, httpx.Response]) -> None:
    links = set(re.findall(r'href="/api/v1/reports/([^"?]+)\?format=html&amp;lang=zh"', answers["closed"].text))
    months = {f"{SITE}/{CLOSED}/{name}" for name in REPORTS if name not in YEARLY}
    assert links == months | {f"{SITE}/{CLOSED[:4]}/{name}" for name in REPORTS}
    assert "与基准年对比" in answers["closed"].text


def test_the_month_shows_bill_balances_alarm_and_what_is_unverified(answers: Mapping[str, httpx.Response]) -> None:
    text = answers["month"].text
    assert WORDS["en"]("books.example") in text
    assert WORDS["en"]("factor.unverified") in text
    assert f'data-alarm="{ALARM}" data-state="active"' in text
    assert WORDS["en"]("books.no_owner") in text
    assert text.count('data-verdict="') == 5
    assert 'data-state="running"' in text


def test_a_suppliers_bill_stands_line_by_line_beside_ours(answers: Mapping[str, httpx.Response]) -> None:
    text = answers["month"].text
    shown = text[text.index('id="stated"') :]
    assert "Wang &lt;Fang&gt;" in shown
    assert WORDS["en"]("books.differs") in shown
    assert shown.count('data-match="only_ours"') > 5
    assert shown.count('data-match="only_theirs"') == 1
    assert "late &lt;fee&gt;" in shown
    assert 'id="stated"' not in answers["closed"].text


def test_a_closed_month_shows_its_sign_off_and_no_alarm_of_a_later_one(answers: Mapping[str, httpx.Response]) -> None:
    text = answers["closed"].text
    assert 'data-state="closed"' in text
    assert "Li Na" in text
    assert WORDS["zh"]("books.no_corrections") in text
    assert "data-alarm" not in text


def test_a_month_without_readings_has_reasons_and_no_zeros(answers: Mapping[str, httpx.Response]) -> None:
    text = answers["before"].text
    assert WORDS["en"]("reason.no_energy") in text
    figures = text[text.index('id="figures"') : text.index('id="carriers"')]
    assert set(re.findall(r'class="number">([^<]*)<', figures)) == {"—"}
    assert f"Electricity: incomer: {WORDS['en']('reason.no_data')}" in figures
    assert "interval:" not in text
    assert "no_data" not in text


def test_why_shows_formula_factors_days_and_register_readings(answers: Mapping[str, httpx.Response]) -> None:
    text = answers["why"].text
    assert 'data-adds-up="yes"' in text
    assert WORDS["en"]("why.yes") in text
    assert "MEE+NBS" in text
    for kind in ("interval:", "meter:", "day:", "register:", "edge:", "reading:"):
        assert f'data-step="{kind}' in text, kind
    assert 'data-step="quarter:' not in text
    assert answers["part"].text.count('data-adds-up="yes"') == 1


def test_prices_of_an_unverified_tariff_are_marked(answers: Mapping[str, httpx.Response]) -> None:
    assert WORDS["zh"]("why.no") in answers["cost"].text


@pytest.mark.parametrize(
    ("name", "status", "key"),
    [
        ("year", 400, "bad_parameter"), ("no month", 400, "bad_parameter"), ("no figure", 404, "unknown_figure"),
        ("no site", 404, "unknown_site"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_said_in_words(
    answers: Mapping[str, httpx.Response], name: str, status: int, key: str
) -> None:
    assert answers[name].status_code == status
    lang = "zh" if "lang=zh" in ADDRESSES[name] else "en"
    assert WORDS[lang](f"error.{key}") in answers[name].text


def test_months_to_come_cannot_be_chosen_and_closed_ones_are_marked() -> None:
    now = Period(year=2026, month=11)
    choices = month_choices(2026, Period(year=2026, month=10), now, {"2026-09"})
    assert [choice.label for choice in choices][-2:] == ["2026-11", ""]
    assert [choice.number for choice in choices if choice.closed] == [9]
    assert [choice.number for choice in choices if choice.shown] == [10]


def test_corrections_stand_beside_what_was_signed() -> None:
    row = ClosingRow(
        id=1, site=SITE, month=CLOSED, version=2, at=CLOCK.now_ns(), author="Li Na", reason="the month is over",
        completeness="0.998", software="0", inputs="i", figures="f" * 64, reopened_at=None, reopened_by=None,
        reopened_why=None,
    )  # fmt: skip
    entry = CorrectionView(
        at_ns=CLOCK.now_ns(),
        meters=[{"device": "incomer", "cause": "late_readings"}],
        headline=[{"name": "scope2_location", "unit": "tCO2", "before": "1.5", "after": "1.75", "difference": "0.25"}],
        nodes=[],
        outlets=[],
        machines=[],
        tree=[],
        certificates=[{"of": "used works/plant", "before": [], "after": ["A", "B"]}],
    )
    closed = Closed(closing=row, signed={"headline": {"cost": {"value": None, "unit": "CNY"}}}, corrections=(entry,))
    shown = sign_off(closed, ZONE, WORDS["en"])
    assert shown.figures == ((WORDS["en"]("books.cost"), "—"),)
    (found,) = shown.corrections
    assert found.causes == (
        f"incomer: {WORDS['en']('books.cause.late_readings')}",
        f"works/plant: {WORDS['en']('books.cause.certificates')} 0 → 2",
    )
    assert found.changed == ((WORDS["en"]("books.scope2_location"), "1.5\u202ftCO2", "1.75\u202ftCO2"),)


def test_what_does_not_add_up_is_said_so() -> None:
    part = Step(id="b", rule=Rule.GIVEN, words="", value=Decimal(1), unit="kWh")
    root = Step(id="a", rule=Rule.SUM, words="", value=Decimal(2), unit="kWh", parts=(Part("b"), Part("b", 0)))
    view = why_view(Trace(root="a", steps={"a": root, "b": part}), None, WORDS["en"])
    assert [id_ for id_, _ in view.mistakes] == ["a"]
    assert [step.sign for step in view.root.parts] == ["", WORDS["en"]("why.beside")]


def test_readings_that_are_not_accounted_yet_do_not_break_the_proof(tmp_path_factory: pytest.TempPathFactory) -> None:
    """While a centre runs, the store is always a little ahead of the books."""

    async def main() -> None:
        found = setup()
        counter = SeriesKey(SITE, "incomer", counter_of(Carrier.ELECTRICITY))
        month, figure = Period(year=2026, month=11), "quantity/electricity"
        async with await filled_copy(tmp_path_factory) as store:
            service = statements(store, found)
            before = await why(service, SITE, month, figure)
            (last,) = await store.before(counter, CLOCK.now_ns(), 1)
            values: dict[str, Value] = {counter.point: Decimal(str(last.value)) + 60}
            sweeps = (Sweep(device="incomer", taken_at=last.at + 240 * NS, values=values, faults={}),)
            parcel = Received(
                site=SITE, gateway="gw", id=ParcelId(epoch=1, seq=999), readings=1, dropped=0, sweeps=sweeps
            )
            await store.write([parcel], received_at=last.at)
            after = await why(service, SITE, month, figure)
        assert check(after) == ()
        assert after.steps[after.root] == before.steps[before.root]

    asyncio.run(main())


def test_the_month_shows_what_was_made_what_waits_and_what_was_refused(answers: Mapping[str, httpx.Response]) -> None:
    page = answers["month"].text
    assert re.findall(r'<tr data-form="(\d+)" data-approved="(\w+)">', page) == [("2", "no"), ("1", "yes")]
    assert "casting &lt;1&gt;" in page
    assert "2026-11-01 08:07" in page
    assert "batch: is missing" in page
    assert "footprint/casting%20%3C1%3E/batch/B1" in page or "footprint%2Fcasting" in page
    assert 'id="production"' not in answers["before"].text or "batch: is missing" in answers["before"].text
    traced = answers["product"].text
    assert "单位产品碳足迹" in traced
    assert "核对一致" in traced
