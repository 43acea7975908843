"""YAML without surprises: one document, no aliases, no duplicate keys, no octal, no NaN, bounded in size and depth.

Errors name file and line. Scalars follow YAML 1.2's core schema (`no`, `on` and `1:30` are text), except that a number
with a leading zero, which one reader takes as octal and the next as decimal, is refused, and so are hex and NaN.
"""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from math import isinf
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from wattline.errors import ConfigError
from wattline.yaml_words import in_words

MAX_BYTES: Final = 4 * 1024 * 1024
_MAX_DEPTH: Final = 32

_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)?\.[0-9]+([eE][-+]?[0-9]+)?|[-+]?(0|[1-9][0-9]*)(\.)?[eE][-+]?[0-9]+")
_REFUSED: Final = re.compile(r"[-+]?0[0-9xob_][0-9a-fA-F_.]*|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|NaN|nan")

KeyPath = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """What is told from outside: nothing unknown (a typo is an error), nothing changed later, no input in a message."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Document:
    """A loaded file: its data, and the line (from 1) of every key and item by path, for messages."""

    source: str
    data: Any
    lines: dict[KeyPath, int]

    def line(self, path: KeyPath) -> int:
        """The line of `path`, or of the nearest parent that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, path: KeyPath, message: str) -> ConfigError:
        """A ConfigError at `path` of this file."""
        key = ".".join(str(part) for part in path)
        return ConfigError(f"{self.source}:{self.line(path)}: {key + ': ' if key else ''}{message}")


def load_file(path: Path) -> Document:
    """Load a YAML file; raises ConfigError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read: {err.strerror}") from err
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_BYTES // 1024 // 1024} MiB; no configuration is")
    try:
        text = raw.decode()
    except UnicodeDecodeError as err:
        raise ConfigError(f"{path}: is not UTF-8 text at byte {err.start}") from err
    return load_text(text, str(path))


def load_text(text: str, source: str) -> Document:
    """Load YAML text; `source` names it in messages. Raises ConfigError. An empty document is an empty mapping."""
    lines: dict[KeyPath, int] = {}
    try:
        data: Any = _compose(text, lines, source)
    except yaml.MarkedYAMLError as err:
        raise ConfigError(f"{source}:{in_words(err)}") from err
    except yaml.reader.ReaderError as err:
        raise ConfigError(f"{source}: a control character stands at position {err.position}") from err
    except yaml.YAMLError as err:
        raise ConfigError(f"{source}: not YAML: {err}") from err
    except RecursionError as err:
        raise ConfigError(f"{source}: nested too deep") from err
    return Document(source, data, lines)


def _compose(text: str, lines: dict[KeyPath, int], source: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return _build(node, (), lines, source) if node is not None else {}
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Stops at the first alias while composing, so that an alias bomb is never expanded."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise self._refused("an alias (*name) is not allowed: write the value out")
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self._refused("nested too deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _refused(self, problem: str) -> yaml.MarkedYAMLError:
        mark = cast("yaml.Event", self.peek_event()).start_mark  # type: ignore[no-untyped-call]
        assert isinstance(mark, yaml.Mark)
        return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _build(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], source: str) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        built: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            line = key_node.start_mark.line + 1
            if key is None:
                raise ConfigError(f"{source}:{line}: a key must be plain text")
            if key != key.strip():
                raise ConfigError(f"{source}:{line}: {key!r}: an unseen character beside the key: type the line anew")
            if key in built:
                first = lines[(*path, key)]
                raise ConfigError(f"{source}:{line}: {key}: stands here a second time (first in line {first})")
            lines[(*path, key)] = line
            built[key] = _build(value_node, (*path, key), lines, source)
        return built
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, index), lines, source) for index, item in enumerate(node.value)]
    return _scalar(node, path, source)


def _scalar(node: yaml.Node, path: KeyPath, source: str) -> Any:
    text: str = node.value
    if isinstance(node, yaml.ScalarNode) and node.style is not None:
        return text
    if text in {"", "~", "null", "Null", "NULL"}:
        return None
    if text in {"true", "True", "TRUE", "false", "False", "FALSE"}:
        return text.lower() == "true"
    whole, broken = _INTEGER.fullmatch(text), _FLOAT.fullmatch(text)
    if _REFUSED.fullmatch(text) or ((whole or broken) and isinf(float(text))):
        where = f"{source}:{node.start_mark.line + 1}: {'.'.join(map(str, path))}"
        raise ConfigError(
            f"{where}: {text[:40]} is ambiguous or no number: write a plain decimal, or put quotes around text"
        )
    if whole:
        return int(text)
    return float(text) if broken else text


def validate(model: type[M], document: Document) -> M:
    """The document as `model`; raises ConfigError with a line for every mistake. Rejected input is never repeated in
    a message: it may be a secret."""
    try:
        return model.model_validate(document.data)
    except ValidationError as err:
        raise ConfigError(explain(err, document)) from err


def explain(err: ValidationError, document: Document) -> str:
    """Pydantic's findings as `FILE:LINE: KEY: what` lines in the order of the file."""
    found = {(document.line(path), text): None for path, text in findings(err, document)}
    return "\n".join(f"{document.source}:{line}: {text}" for line, text in sorted(found))


def findings(err: ValidationError, document: Document) -> list[tuple[KeyPath, str]]:
    """Each of pydantic's findings as its path and `KEY: what`, without the rejected input."""
    found: list[tuple[KeyPath, str]] = []
    for item in err.errors(include_url=False, include_input=False):
        path = _in_file(item["loc"], document)
        key = ".".join(str(part) for part in path) or "file"
        kind = "no_space" if item["type"] == "extra_forbidden" and ":" in str(path[-1]) else item["type"]
        found.append((path, f"{key}: {_plain(kind, item['msg'])}"))
    return found


def _in_file(path: KeyPath, document: Document) -> KeyPath:
    """`path` without the parts that name a union's branch, which stand in no file."""
    shown: KeyPath = ()
    for place, part in enumerate(path):
        if (*shown, part) in document.lines or place == len(path) - 1:
            shown = (*shown, part)
    return shown


_WORDS: Final = {
    "extra_forbidden": "is not a key that is known here; check its spelling",
    "no_space": "is not a key that is known here; a space is missing after its colon",
    "missing": "is missing",
    "int_type": "must be a whole number",
    "string_type": "must be text; put quotes around it",
    "path_type": "must be a path",
    "tuple_type": "must be a list",
    "model_type": "must be keys with values",
}


def _plain(kind: str, message: str) -> str:
    return _WORDS.get(kind, message.removeprefix("Value error, "))
