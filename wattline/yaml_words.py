"""in_words(error): what is wrong with a file that is no YAML, for people who know no parser's words. Pure."""

import re
from typing import Final

import yaml

_WORDS: Final = (
    (r".*'\\t'.*", "{line}: a tab stands here: indent with spaces"),
    (
        r"found character (?P<what>\S+) that cannot .*",
        "{line}: {what} cannot begin a value: put quotes around the text",
    ),
    (
        r"expected <block end>.*",
        (
            "{line}: does not fit what began in line {begun}: lines that belong together begin in the same column, and"
            " a text in quotes ends with its quote"
        ),
    ),
    (
        r"mapping values are not allowed.*",
        (
            "{line}: this colon is one too many: here or in the line above, a space is missing after a colon, the"
            " indentation is wrong, or a text with a colon needs quotes"
        ),
    ),
    (
        r"expected (',' or|the node content).*",
        "{line}: the bracket that opens in line {begun} is not closed, or a comma is wrong",
    ),
    (r"found unexpected end of stream", "{begun}: the quote that opens in this line is not closed"),
    (r"could not find expected ':'", "{begun}: a colon and a space are missing after the key: `key: value`"),
)
"""PyYAML's problems, and what to say instead; `begun` is the line in which what it was reading begins."""


def in_words(err: yaml.MarkedYAMLError) -> str:
    """`LINE: what is wrong there`, with the remedy where it is known."""
    mark = err.problem_mark or err.context_mark
    line = mark.line + 1 if mark else 1
    begun = err.context_mark.line + 1 if err.context_mark else line
    problem = err.problem or err.context or "not YAML"
    for pattern, words in _WORDS:
        if match := re.fullmatch(pattern, problem):
            return words.format(line=line, begun=begun, **match.groupdict())
    return f"{line}: {problem}"
