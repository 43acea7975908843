"""The page's words in each language: a catalogue file per language, and the choice between them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from centre.web_format import parts_of_age
from wattline.strict_yaml import load_file

LANGUAGES: Final = ("en", "zh")
"""The first is the fallback."""

_FOLDER: Final = Path(__file__).parent / "i18n"


class Words:
    """The catalogue of one language. An unknown key is a KeyError: a bug that a test finds, not a blank on the page."""

    __slots__ = ("_texts", "lang")

    def __init__(self, lang: str, texts: Mapping[str, str]) -> None:
        self.lang = lang
        self._texts = texts

    def __call__(self, key: str, /, **values: object) -> str:
        """The text of `key` with its `{names}` filled in."""
        return self._texts[key].format(**values)

    def get(self, key: str, fallback: str) -> str:
        """The text of a key made from data, such as a fault that a newer gateway knows; `fallback` when unknown."""
        return self._texts.get(key, fallback)

    @property
    def known(self) -> frozenset[str]:
        """All keys."""
        return frozenset(self._texts)

    def named(self, names: Mapping[str, str]) -> str:
        """The configured name in this language, or in the first language it was given in."""
        return names.get(self.lang) or next(iter(names.values()))

    def age(self, seconds: float) -> str:
        """`2 h 5 min`, in the language's words."""
        return " ".join(self(f"age.{unit}", count=count) for count, unit in parts_of_age(seconds))

    def listed(self, items: tuple[str, ...], most: int = 3) -> str:
        """The first `most` items and how many more there are."""
        shown = self("list.comma").join(items[:most])
        return shown if len(items) <= most else self("list.more", items=shown, count=len(items) - most)


def load_words() -> Mapping[str, Words]:
    """The catalogues of all languages, flat: `fault.timeout`. Raises ConfigError on a broken file."""
    return {lang: Words(lang, _flat("", load_file(_FOLDER / f"{lang}.yaml").data)) for lang in LANGUAGES}


def _flat(prefix: str, branch: Mapping[str, Any]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, value in branch.items():
        if isinstance(value, dict):
            texts |= _flat(f"{prefix}{key}.", cast("dict[str, Any]", value))
        else:
            texts[f"{prefix}{key}"] = str(value)
    return texts


def choose_language(asked: str | None, kept: str | None, accepted: str) -> str:
    """`asked` (?lang=) before `kept` (cookie) before the browser's Accept-Language; unknown ones are passed over."""
    for wish in (asked, kept):
        if wish in LANGUAGES:
            return wish
    best = sorted((_weighed(part, place) for place, part in enumerate(accepted.split(","))), key=lambda item: item[:2])
    return next((lang for _, _, lang in best if lang in LANGUAGES), LANGUAGES[0])


def _weighed(part: str, place: int) -> tuple[float, int, str]:
    """(minus the weight, place, primary language) of one item of Accept-Language; an unreadable weight counts as 0."""
    tag, _, weight = part.partition(";q=")
    try:
        weighs = float(weight) if weight else 1.0
    except ValueError:
        weighs = 0.0
    return -weighs, place, tag.strip().split("-")[0].lower()
