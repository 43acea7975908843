"""The catalogues are whole, and no template speaks a language of its own."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import centre
from centre.carriers import Carrier, Flow
from centre.web_i18n import LANGUAGES, choose_language, load_words
from metering.faults import Fault
from metering.status import State

ROOM = Path(centre.__file__).parent
TEMPLATES = sorted((ROOM / "templates").iterdir())
WORDS = load_words()


def test_every_language_has_the_same_keys() -> None:
    first = WORDS[LANGUAGES[0]].known
    assert {lang: words.known ^ first for lang, words in WORDS.items()} == {lang: frozenset() for lang in LANGUAGES}


def test_a_text_has_the_same_names_to_fill_in_in_every_language() -> None:
    for key in WORDS["en"].known:
        named = {lang: set(re.findall(r"\{(\w+)\}", words.get(key, ""))) for lang, words in WORDS.items()}
        assert len({frozenset(names) for names in named.values()}) == 1, (key, named)


def test_every_fault_says_in_words_what_it_is_and_what_to_check() -> None:
    wanted = {f"fault.{fault}.{part}" for fault in Fault for part in ("what", "check")}
    assert wanted <= WORDS["en"].known


def test_every_carrier_flow_and_state_has_a_word() -> None:
    wanted = {f"carrier.{carrier}" for carrier in Carrier} | {f"meter.flow.{flow}" for flow in Flow}
    wanted |= {f"gateways.state.{state}" for state in State}
    assert wanted <= WORDS["en"].known


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_key_of_a_template_is_in_the_catalogue(path: Path) -> None:
    whole = re.findall(r"\bt\('([\w. -]+)'\s*[,)]", path.read_text("utf-8"))
    assert [key for key in whole if key not in WORDS["en"].known] == []


class _Texts(HTMLParser):
    """Collects what a reader would see or hear: text, and the attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in {"title", "aria-label", "alt", "placeholder"}]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_text_of_a_template_is_written_into_it(path: Path) -> None:
    source = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", path.read_text("utf-8"), flags=re.DOTALL)
    parser = _Texts()
    parser.feed(source)
    assert [text for text in parser.found if re.search(r"\w", text)] == []


@pytest.mark.parametrize("path", sorted((ROOM / "static").glob("*.js")), ids=lambda path: path.name)
def test_no_script_speaks_to_people_by_itself(path: Path) -> None:
    code = re.sub(r"//[^\n]*", "", path.read_text("utf-8"))
    spoken = re.findall(r"""["'`][A-Z][a-z]+ [a-z]+[^"'`]*["'`]""", code)
    assert spoken == []
    assert not re.search(r"[\u4e00-\u9fff]", code)


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "chosen"),
    [
        ("zh", "en", "en", "zh"),
        (None, "zh", "en", "zh"),
        ("fr", "xx", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, None, "fr-FR, en;q=0.4, zh-TW;q=0.7", "zh"),
        (None, None, "de;q=nonsense", "en"),
        (None, None, "", "en"),
    ],
)
def test_the_language_is_the_asked_one_then_the_kept_one_then_the_browsers(
    asked: str | None, kept: str | None, accepted: str, chosen: str
) -> None:
    assert choose_language(asked, kept, accepted) == chosen


def test_a_long_list_names_a_few_and_counts_the_rest() -> None:
    assert WORDS["en"].listed(("a", "b", "c", "d", "e")) == "a, b, c and 2 more"
    assert WORDS["zh"].listed(("a", "b")) == "a、b"
