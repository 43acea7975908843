"""The books as people see them: the month and why its figures are so, in a real Chromium over a real store."""

from collections.abc import Generator
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, expect

from centre.report.document import Document, Table
from centre.report.equipment import MACHINES
from centre.report.writers import load_words as load_report_words
from centre.report.writers import to_html
from centre.web_i18n import load_words
from support.books_page import CLOSED, SITE, centre
from support.browser import DESK, PANEL_PC, PHONE, Served, Visit, chromium, served, visit

pytestmark = pytest.mark.browser

WORDS = load_words()
A4_ACROSS = (1017, 700)
CUT = """() => [...document.querySelectorAll('.figure p, .figure h3, .card > h3, .months, header > *')]
  .filter((at) => at.getBoundingClientRect().right > innerWidth).map((at) => at.textContent.trim())"""
SIZES = {"desk": DESK, "panel-pc": PANEL_PC}


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    with served(centre(tmp_path_factory)) as server:
        yield server


def whole(seen: Visit, name: str) -> None:
    """Nothing left the host, no script failed, nothing stands out of the window, no text is too small."""
    seen.page.screenshot(path=seen.shoot(name), full_page=True)
    assert seen.hosts == {"127.0.0.1"}
    assert seen.errors == []
    assert seen.overflow() == 0
    small = seen.page.evaluate(
        """() => [...document.querySelectorAll('main *')]
          .filter((at) => at.checkVisibility() && !at.closest('.visually-hidden') && parseFloat(getComputedStyle(at).fontSize) < 14)
          .map((at) => at.textContent.trim())"""
    )
    assert small == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_month_is_readable_and_every_figure_leads_to_its_trace(
    browser: Browser, books: Served, size: str, lang: str
) -> None:
    words = WORDS[lang]
    with visit(browser, f"{books.url}/books?lang={lang}", size=SIZES[size]) as seen:
        for key in ("carriers", "alarms", "balances", "bill", "parts"):
            expect(seen.page.locator(f"#{key} h3")).to_contain_text(words(f"books.{key}"))
        expect(seen.page.locator("#bill h3")).to_contain_text(words("books.example"))
        expect(seen.page.locator("#alarms li")).to_contain_text(words("books.alarm_state.active"))
        whole(seen, f"books-{size}-{lang}")
        shown = seen.page.locator('#figures [data-figure="scope2/location"] .number').inner_text()
        seen.page.locator('#figures [data-figure="scope2/location"] a').click()
        expect(seen.page.locator("#check")).to_have_attribute("data-adds-up", "yes")
        assert seen.page.locator(".result strong").inner_text().startswith(shown[:2])
        expect(seen.page.locator("#factors")).to_contain_text("0.5581")
        expect(seen.page.locator("#factors .whole").first).to_have_text(words("why.yes"))
        seen.page.locator('[data-step^="meter:"] > details > summary').first.click()
        expect(seen.page.locator('[data-step^="register:"]').first).to_be_visible()
        whole(seen, f"why-{size}-{lang}")


def test_on_a_phone_the_books_and_a_trace_are_one_column_no_wider_than_the_window(
    browser: Browser, books: Served
) -> None:  # fmt: skip
    for path in ("/books?lang=zh", "/books?lang=en&month=2026-09", "/books/why?lang=zh&figure=scope2%2Flocation"):
        with visit(browser, f"{books.url}{path}", size=PHONE) as seen:
            whole(seen, "phone")
            assert seen.page.evaluate(CUT) == []


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_widest_report_fits_a4_across_and_breaks_no_word(browser: Browser, lang: str) -> None:
    row: dict[str, str | Decimal | None] = dict.fromkeys(MACHINES, None)
    row |= dict.fromkeys(("from", "to"), "2026-11-01") | dict.fromkeys(("node", "name"), "compressor")
    row |= {"energy_kwh": Decimal("208.052552159"), "rated_kw": Decimal(250)} | {"reason": "no_one_output"}
    table = Table(key="machines", columns=MACHINES, rows=(tuple(row.values()),))
    made = Document(report="equipment", site=SITE, period="2026-11", facts=(), tables=(table,))
    page = browser.new_page(viewport={"width": A4_ACROSS[0], "height": A4_ACROSS[1]})
    page.emulate_media(media="print")
    page.set_content(to_html(made, load_report_words()[lang]).decode())
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    broken = page.evaluate(
        """() => [...document.querySelectorAll('th, td')].flatMap((at) => {
          const text = at.firstChild;
          return [...(text?.data ?? '').matchAll(/[\\w.-]+/g)].filter((word) => {
            const range = document.createRange();
            range.setStart(text, word.index);
            range.setEnd(text, word.index + word[0].length);
            return range.getClientRects().length > 1;
          }).map((word) => word[0]);
        })"""
    )
    assert set(broken) <= {"no_one_output"}
    page.close()


def test_a_month_is_chosen_and_a_closed_one_shows_who_signed_it(browser: Browser, books: Served) -> None:
    with visit(browser, f"{books.url}/?lang=en", size=PANEL_PC) as seen:
        seen.page.get_by_role("link", name=WORDS["en"]("books.books")).click()
        expect(seen.page.locator("main")).to_have_attribute("data-state", "running")
        seen.page.locator(".months a.closed").click()
        assert f"month={CLOSED}" in seen.page.url
        expect(seen.page.locator("#closing")).to_contain_text("Li Na")
        expect(seen.page.locator("#closing")).to_contain_text(WORDS["en"]("books.no_corrections"))
        expect(seen.page.locator("#state")).to_have_text(WORDS["en"]("books.state.closed"))
        seen.page.get_by_role("link", name="中文").click()
        expect(seen.page.locator("#closing")).to_contain_text(WORDS["zh"]("books.corrections"))
        assert f"month={CLOSED}" in seen.page.url
        whole(seen, "books-closed")


def test_prices_of_an_example_tariff_are_shown_as_unverified(browser: Browser, books: Served) -> None:
    with visit(browser, f"{books.url}/books/why?site={SITE}&figure=cost&lang=en") as seen:
        price = seen.page.locator('[data-factor^="chongqing-industry-example"]').first
        expect(price).to_contain_text(WORDS["en"]("why.no"))
        whole(seen, "why-cost")
