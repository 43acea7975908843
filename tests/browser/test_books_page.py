"""The books as people see them: the month and why its figures are so, in a real Chromium over a real store."""

from collections.abc import Generator

import pytest
from playwright.sync_api import Browser, expect

from centre.web_i18n import load_words
from support.books_page import CLOSED, SITE, centre
from support.browser import DESK, PANEL_PC, Served, Visit, chromium, served, visit

pytestmark = pytest.mark.browser

WORDS = load_words()
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
