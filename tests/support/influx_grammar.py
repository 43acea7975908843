"""InfluxDB line protocol as its reference describes it, written down apart from our encoder: a judge, not a mirror.

Source: docs.influxdata.com, InfluxDB v2, "line protocol": elements, data types, special characters.
"""

import re

_ESCAPED = r"(?:[^\s,=\\]|\\[,= \\])"
_MEASUREMENT = r"(?!_)(?!#)(?:[^\s,\\]|\\[, ])+"
_TAG = rf"(?!_){_ESCAPED}+={_ESCAPED}+"
_FLOAT = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_VALUE = rf'(?:{_FLOAT}|-?\d+i|\d+u|[tT]|[tT]rue|TRUE|[fF]|[fF]alse|FALSE|"(?:[^"\\]|\\.)*")'
_FIELD = rf"(?!_){_ESCAPED}+={_VALUE}"
_LINE = re.compile(rf"{_MEASUREMENT}(?:,{_TAG})* {_FIELD}(?:,{_FIELD})* -?\d{{1,19}}")


def is_line(text: str) -> bool:
    """True when InfluxDB, or Telegraf's parser, would take the line with a time in nanoseconds."""
    return _LINE.fullmatch(text) is not None
