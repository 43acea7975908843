"""What the page's routes answer, without a browser."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from html import unescape

import httpx
import pytest
from starlette.applications import Starlette

from centre.accounting.hours import DeviceHour
from centre.gaps import Cause, Gap, GapState
from centre.web import routes
from centre.web_attention import troubles
from centre.web_i18n import load_words
from centre.web_live import live_view
from metering.parcel import TimeQuality
from support.page_figures import NOW, PLANT, START, HandMade
from wattline.clock import NS

WORDS = load_words()


def ask(figures: HandMade, path: str, **params: str) -> httpx.Response:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app=Starlette(routes=routes(figures)))
        async with httpx.AsyncClient(transport=transport, base_url="http://centre") as client:
            return await client.get(path, params=params or None)

    return asyncio.run(main())


@pytest.mark.parametrize(
    "path", ["/", "/panel", "/attention", "/curve", "/static/wattline.css", "/favicon.ico", "/?node=x"]
)
def test_every_answer_forbids_inline_scripts_and_other_hosts(path: str) -> None:
    headers: Mapping[str, str] = ask(HandMade(), path).headers
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-cache"


def test_what_is_absent_is_a_dash_with_a_reason_and_never_0() -> None:
    page = ask(HandMade(empty=True), "/?lang=en").text
    numbers = re.findall(r'<span class="number"[^>]*>([^<]*)</span>', page)
    assert set(numbers) == {"—", "0 of 15"}
    assert WORDS["en"]("reason.no_data") in page


@pytest.mark.parametrize(
    ("query", "status", "key"), [("?site=nix", 404, "unknown_site"), ("?node=nix", 404, "unknown_node")]
)
def test_an_unknown_place_is_said_in_words(query: str, status: int, key: str) -> None:
    answer = ask(HandMade(), f"/{query}&lang=zh")
    assert answer.status_code == status
    assert WORDS["zh"](f"error.{key}") in answer.text


def test_a_store_that_cannot_be_read_is_said_in_words() -> None:
    answer = ask(HandMade(broken=True), "/?lang=en")
    assert answer.status_code == 503
    assert WORDS["en"]("error.unavailable") in answer.text


def test_names_from_the_settings_cannot_write_html() -> None:
    hostile = "<script>alert(1)</script>"
    figures = HandMade(plant=replace(PLANT, name={"en": hostile}, tree=replace(PLANT.tree, name={"en": hostile})))
    text = ask(figures, "/").text
    assert hostile not in text
    assert text.count("&lt;script&gt;alert(1)") > 2


def test_a_meter_that_does_not_reply_is_called_silent_and_one_that_answers_nonsense_faulty() -> None:
    figures = HandMade()
    text = ask(figures, "/attention?lang=en").text
    assert re.findall(r'data-device="([^"]+)"', text) == ["chiller", "oven-gas", "boiler-water"]
    assert WORDS["en"]("fault.timeout.what") in text
    assert WORDS["en"]("fault.reply_checksum.check") in text


def test_a_gateway_that_is_away_explains_its_meters() -> None:
    text = ask(HandMade(gateway="lost"), "/attention?lang=en").text
    assert WORDS["en"]("attention.gateway", gateway="press-shop", state="not connected") in text


def test_live_texts_and_states_have_a_key_for_every_line_of_the_tree() -> None:
    figures = HandMade()
    live = asyncio.run(figures.live("jiangjin-1"))
    view = live_view(figures.plant, live, WORDS["zh"])
    assert view.states["meter:chiller:electricity:import"] == "silent"
    assert view.states["meter:oven-gas:natural_gas:import"] == "faulty"
    assert view.texts["meter:chiller:electricity:import:note"] == "无应答 3 小时 25 分钟"
    assert {f"power:{node.id}" for node in figures.plant.tree.walk()} <= view.texts.keys()
    assert [trouble.device for trouble in troubles(figures.plant, live, WORDS["zh"])][-1] == "boiler-water"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_missing_and_lost_parcels_are_named_with_their_cause(lang: str) -> None:
    missing = Gap(
        epoch=3, first=812, last=845, since_ns=NOW - 7200 * NS, after_ns=NOW - 7300 * NS, before_ns=NOW - 7200 * NS,
        state=GapState.MISSING, cause=None,
    )  # fmt: skip
    lost = replace(missing, first=5, last=5, after_ns=None, state=GapState.LOST, cause=Cause.DROPPED)
    young = replace(missing, first=990, last=991, since_ns=NOW - NS)
    text = ask(HandMade(gaps=(lost, missing, young)), f"/attention?lang={lang}").text
    words = WORDS[lang]
    assert text.index(words("gaps.what.missing", parcels="812-845")) < text.index(words("gaps.what.lost", parcels="5"))
    assert words("gaps.why.dropped", dropped="0") in text
    assert words("gaps.why.missing") in text
    assert "990" not in text


def hour(
    place: int, missing: int = 0, lost: Mapping[str, int] | None = None, doubtful: Mapping[str, int] | None = None
) -> DeviceHour:
    return DeviceHour(
        start_ns=START + place * 3600 * NS, expected=3600, received=0, late=0, suspect=0, doubtful=doubtful or {},
        faulty={}, lost=lost or {}, missing=missing,
    )  # fmt: skip


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_says_that_nothing_is_missing_or_exactly_what_is(lang: str) -> None:
    words = WORDS[lang]
    whole = ask(HandMade(), f"/attention?lang={lang}").text
    assert words("hours.whole", expected="120,000") in whole
    assert 'data-whole="yes"' in whole
    ledger = {"line-1": (hour(8), hour(9, 1200), hour(10, 34), hour(12, 0, {"dropped": 7})), "line-2": (hour(3, 5),)}
    text = ask(HandMade(ledger=ledger), f"/attention?lang={lang}").text
    assert 'data-whole="no"' in text
    assert text.index('data-missing="line-1"') < text.index('data-missing="line-2"')
    assert words("hours.count.missing", count="1,234") in text
    assert words("hours.count.dropped", count="7") in text
    assert words("hours.span", start="09:00", end="11:00") in text
    assert words("hours.span", start="12:00", end="13:00") in text
    page = ask(HandMade(ledger=ledger), f"/?lang={lang}").text
    assert 'data-missing="line-2"' in page


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_says_of_which_gateway_the_times_are_in_doubt_and_why(lang: str) -> None:
    words = WORDS[lang]
    assert "data-doubt" not in ask(HandMade(), f"/attention?lang={lang}").text
    ledger = {
        "line-1": (hour(8, doubtful={str(TimeQuality.STEPPED): 5}), hour(9, doubtful={"unsynchronised": 1200})),
        "line-2": (hour(10, doubtful={"unsynchronised": 34, "of a newer gateway": 1}),),
    }
    text = unescape(ask(HandMade(ledger=ledger), f"/attention?lang={lang}").text)
    assert 'data-whole="yes"' in text
    assert text.count('data-doubt="press-shop"') == 3
    assert f"{words('hours.span', start='09:00', end='11:00')}" in text
    assert "1,234" in text
    for quality in set(TimeQuality) - {TimeQuality.GOOD}:
        assert (words(f"hours.doubt.{quality}") in text) == (quality is not TimeQuality.CORRECTED)
    assert "of a newer gateway" in text


def test_a_long_list_of_what_is_missing_is_cut_and_says_so() -> None:
    ledger = {meter.device: (hour(1, 9),) for meter in PLANT.meters()}
    text = ask(HandMade(ledger=ledger), "/attention?lang=en").text
    assert text.count("data-missing=") == 6
    assert WORDS["en"]("hours.more", count=9) in text
