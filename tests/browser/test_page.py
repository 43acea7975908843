"""The page as people see it: in a real Chromium, from a real store, at the sizes of a desk and of a panel PC."""

from collections.abc import Generator
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect
from starlette.applications import Starlette

from centre.web import routes
from centre.web_i18n import load_words
from support.browser import DESK, PANEL_PC, PHONE, Served, Visit, chromium, ink, served, visit
from support.page_figures import HandMade
from support.plant_day import centre

pytestmark = pytest.mark.browser

WORDS = load_words()
SIZES = {"desk": DESK, "panel-pc": PANEL_PC}


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Generator[Served]:
    """The centre with the working day of support.plant_day in its store."""
    with served(centre(tmp_path_factory.mktemp("centre") / "centre.db")) as server:
        yield server


def drawn(seen: Visit) -> None:
    """Wait until the curve stands and the first live values came."""
    seen.page.wait_for_selector("#load svg path", state="attached")
    expect(seen.page.locator("#lost")).to_be_hidden()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_whole_and_asks_no_other_host(
    browser: Browser, day: Served, size: str, lang: str, scheme: Literal["light", "dark"]
) -> None:
    words = WORDS[lang]
    with visit(browser, f"{day.url}/?lang={lang}", size=SIZES[size], scheme=scheme) as seen:
        drawn(seen)
        picture = seen.shoot(f"{size}-{lang}-{scheme}")
        assert seen.hosts == {"127.0.0.1"}
        assert seen.errors == []
        assert seen.overflow() == 0
        assert seen.page.locator("html").get_attribute("lang") == words("language.code")
        for key in ("power.title", "kpi.co2", "load.title", "energy.title", "attention.title"):
            expect(seen.page.get_by_text(words(key)).first).to_be_attached()
        assert ink(browser, picture.read_bytes()).inked > 0.03
        assert ink(browser, seen.page.locator("#load").screenshot()).inked > 0.05


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_on_a_panel_pc_the_key_figures_and_the_curve_stand_above_the_fold(
    browser: Browser, day: Served, lang: str
) -> None:
    with visit(browser, f"{day.url}/?lang={lang}", size=PANEL_PC) as seen:
        drawn(seen)
        for selector in (".hero .number", "#figures", "#load svg"):
            box = seen.page.locator(selector).bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= PANEL_PC[1], selector


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_on_a_phone_the_page_is_one_column_and_nothing_stands_out_of_it(
    browser: Browser, day: Served, lang: str
) -> None:
    with visit(browser, f"{day.url}/?lang={lang}", size=PHONE) as seen:
        drawn(seen)
        seen.shoot(f"phone-{lang}")
        assert seen.overflow() == 0
        wide = seen.page.evaluate(
            """() => [...document.querySelectorAll('.top > *, .figure p, .figure h3, .row, #load, .card > h3, #attention p')]
              .filter((at) => at.getBoundingClientRect().right > innerWidth).map((at) => at.textContent.trim())"""
        )
        assert wide == []


@pytest.mark.parametrize("size", SIZES)
def test_no_text_is_smaller_than_14_pixels_or_cut_off(browser: Browser, day: Served, size: str) -> None:
    with visit(browser, f"{day.url}/?lang=en", size=SIZES[size]) as seen:
        drawn(seen)
        small = seen.page.evaluate(
            """() => {
              const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
              while (texts.nextNode()) {
                const at = texts.currentNode.parentElement;
                if (!texts.currentNode.data.trim() || !at.checkVisibility() || at.closest('.visually-hidden, title')) continue;
                if (parseFloat(getComputedStyle(at).fontSize) < 14) found.push(texts.currentNode.data.trim());
              }
              return found;
            }"""
        )
        assert small == []
        cut = seen.page.evaluate(
            """() => [...document.querySelectorAll('.figure p, .row .value, td, th, h1, h3')]
              .filter((at) => at.scrollWidth > at.clientWidth + 1 && getComputedStyle(at).display !== 'inline')
              .map((at) => at.textContent.trim())"""
        )
        assert cut == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(browser: Browser, day: Served, scheme: Literal["light", "dark"]) -> None:
    with visit(browser, f"{day.url}/?lang=en", scheme=scheme) as seen:
        drawn(seen)
        weak = seen.page.evaluate(
            """() => {
              const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
              const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
                .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
                .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
              const back = (at) => {
                for (; at; at = at.parentElement) {
                  const found = rgb(getComputedStyle(at).backgroundColor);
                  if (found.length === 3 || found[3] === 1) return found;
                }
                return [255, 255, 255];
              };
              return [...document.querySelectorAll('body *')]
                .filter((at) => at.checkVisibility() && !at.closest('svg, .visually-hidden, .skip'))
                .filter((at) => [...at.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
                .map((at) => [at.textContent.trim(), light(rgb(getComputedStyle(at).color)), light(back(at))])
                .map(([text, a, b]) => [text, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)])
                .filter(([, ratio]) => ratio < 4.5);
            }"""
        )
        assert weak == []


def test_the_figures_are_those_of_the_accounting(browser: Browser, day: Served) -> None:
    with visit(browser, f"{day.url}/?lang=en") as seen:
        drawn(seen)
        answer = seen.page.request.get(f"{day.url}/api/v1/plants/jiangjin-1/energy").json()
        gas = next(line for line in answer["nodes"]["plant"]["carriers"] if line["carrier"] == "natural_gas")
        line = seen.page.locator('[data-carrier="natural_gas"]')
        assert line.locator(".number").first.inner_text().replace(",", "") == str(round(float(gas["quantity"])))
        assert line.locator(".number").nth(1).inner_text().replace(",", "") == str(round(float(gas["co2_kg"])))
        expect(line.locator("summary")).to_contain_text(gas["factor"]["value"])


def test_a_factor_opens_to_its_source_and_says_when_it_is_unverified(browser: Browser) -> None:
    with served(_page(HandMade())) as server, visit(browser, f"{server.url}/?lang=en") as seen:
        heat = seen.page.locator('[data-carrier="heat"]')
        expect(heat.locator("summary")).to_contain_text(WORDS["en"]("factor.unverified"))
        heat.locator("summary").click()
        expect(heat.locator("dl")).to_contain_text("GB/T 32150-2025")
        assert seen.overflow() == 0
        seen.shoot("factor")


def test_silent_meters_are_listed_with_the_time_and_the_reason(browser: Browser, day: Served) -> None:
    with visit(browser, f"{day.url}/?lang=en") as seen:
        chiller = seen.page.locator('#attention [data-device="chiller"]')
        expect(chiller).to_contain_text(WORDS["en"]("meter.state.silent"))
        expect(chiller).to_contain_text(WORDS["en"]("fault.timeout.what"))
        expect(chiller).to_contain_text("10:40:00")
        damaged = seen.page.locator('#attention [data-device="oven-gas"]')
        expect(damaged).to_contain_text(WORDS["en"]("fault.reply_checksum.check"))
        unseen = seen.page.locator('#attention [data-device="boiler-water"]')
        expect(unseen).to_contain_text(WORDS["en"]("attention.never"))
        dot = seen.page.locator('.tree [data-state-of="meter:chiller:electricity:import"]')
        assert dot.locator("use").get_attribute("href") == "#dot-silent"


def test_the_language_is_switched_and_kept(browser: Browser, day: Served) -> None:
    with visit(browser, day.url, locale="en-GB") as seen:
        expect(seen.page.locator("h1")).to_have_text("Jiangjin works")
        seen.page.get_by_text("中文").click()
        expect(seen.page.locator("h1")).to_have_text("江津工厂")
        seen.page.goto(day.url)
        expect(seen.page.locator("h1")).to_have_text("江津工厂")
    with visit(browser, day.url, locale="zh-CN") as seen:
        expect(seen.page.locator("h1")).to_have_text("江津工厂")


def test_a_part_of_the_plant_is_selected_kept_in_the_address_and_left_by_going_back(
    browser: Browser, day: Served
) -> None:
    with visit(browser, f"{day.url}/?lang=en") as seen:
        drawn(seen)
        page, panel = seen.page, seen.page.locator("#panel")
        page.get_by_role("link", name="Press shop").click()
        expect(panel).to_have_attribute("data-node", "workshop-1")
        expect(page.locator(".tree [aria-current]")).to_have_text("Press shop")
        assert "node=workshop-1" in page.url
        assert page.locator(".tree").get_by_text("Line 2").is_visible()
        page.reload()
        expect(panel).to_have_attribute("data-node", "workshop-1")
        drawn(seen)
        page.go_back()
        expect(panel).to_have_attribute("data-node", "plant")
        page.locator(".tree").get_by_role("link", name="Boiler house").click()
        expect(page.locator("#load-empty")).to_have_text(WORDS["en"]("load.none"))
        assert seen.errors == []


def test_the_tree_folds_by_keyboard_and_stays_folded(browser: Browser, day: Served) -> None:
    with visit(browser, f"{day.url}/?lang=en") as seen:
        button = seen.page.get_by_role("button", name="Press shop")
        button.focus()
        seen.page.keyboard.press("Enter")
        expect(seen.page.get_by_role("link", name="Line 1")).to_be_hidden()
        seen.page.reload()
        expect(seen.page.get_by_role("button", name="Press shop")).to_have_attribute("aria-expanded", "false")
        expect(seen.page.get_by_role("link", name="Line 1")).to_be_hidden()


def test_the_clock_is_that_of_the_site_wherever_the_reader_sits(browser: Browser, day: Served) -> None:
    with visit(browser, day.url, zone="America/New_York") as seen:
        seen.page.wait_for_function("document.querySelector('[data-clock]').textContent.startsWith('14:07')")


def test_live_values_and_states_change_without_a_reload(browser: Browser) -> None:
    figures = HandMade()
    with served(_page(figures)) as server, visit(browser, f"{server.url}/?lang=en") as seen:
        drawn(seen)
        hero = seen.page.locator(".hero .number")
        expect(hero).to_have_text("1,496")
        figures.scale = 2.0
        figures.silent = {"line-1": "link_down"}
        expect(hero).to_have_text("2,993", timeout=15_000)
        expect(seen.page.locator('#attention [data-device="line-1"]')).to_be_visible(timeout=15_000)
        expect(seen.page.locator('#attention [data-device="chiller"]')).to_have_count(0)
        dot = seen.page.locator('.tree [data-state-of="meter:line-1:electricity:import"]')
        expect(dot).to_have_attribute("data-state", "silent")
        seen.page.evaluate("htmx.trigger('#figures', 'refresh')")  # as once a minute
        expect(seen.page.locator('[data-carrier="natural_gas"] .number').first).to_have_text("3,787")
        expect(seen.page.locator("#figures")).to_contain_text("28.5")
        assert seen.errors == []


def test_the_page_says_when_the_centre_is_away(browser: Browser) -> None:
    server = Served(_page(HandMade()))
    with visit(browser, f"{server.url}/?lang=zh", size=PANEL_PC) as seen:
        drawn(seen)
        server.stop()
        expect(seen.page.locator("#lost")).to_be_visible(timeout=15_000)
        expect(seen.page.locator("#lost")).to_contain_text("14:07")
        seen.shoot("centre-away")
        assert seen.overflow() == 0


@pytest.mark.parametrize("size", SIZES)
def test_a_plant_without_readings_says_so_everywhere(browser: Browser, size: str) -> None:
    with (
        served(_page(HandMade(empty=True))) as server,
        visit(browser, f"{server.url}/?lang=en", size=SIZES[size]) as seen,
    ):
        expect(seen.page.locator("#load-empty")).to_have_text(WORDS["en"]("load.empty"))
        expect(seen.page.locator("#attention")).to_contain_text(WORDS["en"]("attention.empty"))
        expect(seen.page.locator("#hours .dot")).to_have_attribute("data-state", "never")
        expect(seen.page.locator(".hero .number")).to_have_text("—")
        seen.shoot(f"empty-{size}")
        assert seen.overflow() == 0
        assert seen.errors == []


def test_a_gateway_that_is_away_is_named_in_the_header_and_as_the_reason(browser: Browser) -> None:
    figures = HandMade(gateway="lost", silent={"incomer": None, "line-1": "backoff"})
    with served(_page(figures)) as server, visit(browser, f"{server.url}/?lang=en") as seen:
        drawn(seen)
        seen.page.locator("#gateways summary").click()
        expect(seen.page.locator("#gateways .sheet")).to_contain_text("press-shop not connected")
        expect(seen.page.locator('#attention [data-device="line-1"]')).to_contain_text("press-shop is not connected")
        expect(seen.page.locator(".hero")).to_contain_text("No answer from incomer.")
        seen.shoot("gateway-away")


def test_gaps_and_the_running_interval_are_drawn_as_what_they_are(browser: Browser) -> None:
    with served(_page(HandMade())) as server, visit(browser, f"{server.url}/?lang=en") as seen:
        drawn(seen)
        expect(seen.page.locator("#load-legend li:visible")).to_have_count(4)
        assert (
            seen.page.locator(
                '#load svg path[stroke-dasharray="5,3"], #load svg path[stroke-dasharray="12.5,7.5"]'
            ).count()
            >= 1
        )
        box = seen.page.locator("#load svg").bounding_box()
        assert box is not None
        seen.page.mouse.move(box["x"] + box["width"] * 0.30, box["y"] + box["height"] / 2)
        expect(seen.page.locator("#load-subtitle")).to_contain_text(WORDS["en"]("load.measured"))
        seen.page.mouse.move(box["x"] + box["width"] * 0.43, box["y"] + box["height"] / 2)
        expect(seen.page.locator("#load-subtitle")).to_contain_text(WORDS["en"]("load.gap"))
        seen.shoot("curve-with-a-gap")
        seen.page.mouse.move(5, 5)
        expect(seen.page.locator("#load-subtitle")).to_have_text(WORDS["en"]("load.subtitle", unit="kW"))
        assert seen.errors == []


def _page(figures: HandMade) -> Starlette:
    return Starlette(routes=routes(figures))
