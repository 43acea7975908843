"""The strict loader: what YAML would misread is refused, with file and line, and quickly."""

import time
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from wattline.errors import ConfigError
from wattline.strict_yaml import load_file, load_text, validate

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def error(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_text(text, "x.yaml")
    return str(caught.value)


def test_plain_values_are_what_they_look_like() -> None:
    text = "a: 1\nb: -1.5\nc: true\nd: ~\ne: '010'\nf: [no, on, 1:30, 1_000, 2026-01-01]\ng: 1e3\nh: .5\n"
    assert load_text(text, "x").data == {
        "a": 1, "b": -1.5, "c": True, "d": None, "e": "010", "f": ["no", "on", "1:30", "1_000", "2026-01-01"],
        "g": 1000.0, "h": 0.5,
    }  # fmt: skip


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert load_text("# nothing\n", "x").data == {}


def test_lines_are_known_by_path() -> None:
    document = load_text("a:\n  - b: 1\n  - b: 2\n", "x.yaml")
    assert document.line(("a", 1, "b")) == 3
    assert document.line(("a", 1, "missing")) == 3
    assert str(document.error(("a", 1, "b"), "is wrong")) == "x.yaml:3: a.1.b: is wrong"


@pytest.mark.parametrize("value", ["010", "0x10", "0o7", "0b1", "-007", ".nan", "NaN", ".inf", "-.Inf", "09.5"])
def test_a_number_that_readers_take_differently_is_refused(value: str) -> None:
    assert error(f"a: 1\nunit: {value}\n").startswith(f"x.yaml:2: unit: {value} is ambiguous")


@pytest.mark.parametrize("value", ["9" * 5000, "-" + "9" * 400, "1e999", "-1.5e400"])
def test_a_number_beyond_all_measure_is_refused_with_its_place(value: str) -> None:
    assert error(f"a: 1\nunit: {value}\n").startswith(f"x.yaml:2: unit: {value[:40]} is ambiguous or no number")


def test_a_duplicate_key_is_refused_with_both_lines() -> None:
    assert error("a: 1\nb: 2\na: 3\n") == "x.yaml:3: a: stands here a second time (first in line 1)"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a:\n\tb: 1\n", 2, "a tab stands here: indent with spaces"),
        ("a:\n  b: 1\n c: 2\n", 3, "what began in line 1: lines that belong together begin in the same column"),
        ("a:\n  - b: 1\n    c: 2\n   d: 3\n", 4, "what began in line 2: lines that belong together"),
        ("a:\n  - b:1\n    c: 2\n", 3, "here or in the line above, a space is missing after a colon"),
        ("a: b: c\n", 1, "a text with a colon needs quotes"),
        ("a: {b: 1\nc: 2\n", 2, "the bracket that opens in line 1 is not closed"),
        ("a: 1\nb: 'x\nc: 2\n", 2, "the quote that opens in this line is not closed"),
        ("a\n  - b: 1\n", 2, "this colon is one too many"),
        ("a: 1\nbuses\n", 2, "a colon and a space are missing after the key"),
        ("a: @b\n", 1, "'@' cannot begin a value: put quotes around the text"),
        ("a:\n\u00a0 b: 1\n", 2, "an unseen character beside the key"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_its_line_and_the_remedy(text: str, line: int, words: str) -> None:
    told = error(text)
    assert told.startswith(f"x.yaml:{line}: ")
    assert words in told


def test_an_alias_is_refused_at_its_line() -> None:
    assert error("a: &x 1\nb: 2\nc: *x\n").startswith("x.yaml:3: an alias")


def test_an_alias_bomb_is_never_expanded() -> None:
    before = time.process_time()
    assert "alias" in error(BOMB)
    assert time.process_time() - before < 1


def test_a_merge_key_is_an_alias_too() -> None:
    assert "alias" in error("a: &a {b: 1}\nc:\n  <<: *a\n")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{a: " * 50_000, "- " * 5_000, "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 99))]
)
def test_deep_nesting_is_refused(text: str) -> None:
    before = time.process_time()
    assert error(text)
    assert time.process_time() - before < 1


def test_a_key_must_be_text() -> None:
    assert error("? [a]\n: 1\n") == "x.yaml:1: a key must be plain text"


@pytest.mark.parametrize(
    "text",
    [
        "a: [1\n",
        "a: 'x\n",
        "\ta: 1\n",
        "a: b: c\n",
        "%YAML 9\n---\na",
        "a: !!python/object:os.system x\n--- \nb: 1\n",
        "a: \x07\n",
    ],
)
def test_what_is_no_yaml_is_refused_naming_the_file(text: str) -> None:
    assert error(text).startswith("x.yaml")


def test_a_tag_builds_nothing() -> None:
    assert load_text("a: !!python/object/apply:os.system ['exit 1']\n", "x").data == {"a": ["exit 1"]}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read: No such file"):
        load_file(tmp_path / "gone.yaml")


def test_a_huge_file_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    path.write_text("a: 1\n" * 1024 * 1024)
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        load_file(path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(ConfigError, match="not UTF-8 text at byte 3"):
        load_file(path)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    port: int


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    inner: list[Inner]


def test_every_mistake_is_a_line_and_none_repeats_the_input() -> None:
    document = load_text("name: 7\ninner:\n  - {port: hunter2}\n  - {prot: 1}\n", "x.yaml")
    with pytest.raises(ConfigError) as caught:
        validate(Outer, document)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["x.yaml:1", "name"], ["x.yaml:3", "inner.0.port"], ["x.yaml:4", "inner.1.port"], ["x.yaml:4", "inner.1.prot"],
    ]  # fmt: skip
    assert "hunter2" not in str(caught.value)
