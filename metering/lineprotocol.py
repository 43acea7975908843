"""InfluxDB line protocol, as much of it as travels: sweeps, faults and the parcel's own line.

    meter,site=S,gateway=G,device=D voltage_l1_n=230.1,energy_active_import_total=1234.56 1767225600000000000
    meter_fault,site=S,gateway=G,device=D frequency="sentinel" 1767225600000000000
    wattline_parcel,site=S,gateway=G version=1i,epoch=12i,seq=845i,... 1767225600000000000

Every number is written as a float field (no `i`): a point never changes its field type. The text is exact: a float is
its shortest repr, a float32 the shortest decimal that reads back as the same float32, a Decimal its digits.
Syntax: docs.influxdata.com, "line protocol reference"; our names need no escaping, see `check_name`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
from typing import Final, cast

from metering.faults import Fault
from metering.float32 import shortest_float32, with_digits
from metering.sweep import Number, Sweep, Value

SWEEP: Final = "meter"
FAULT: Final = "meter_fault"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ONE: Final = Decimal(1)
_EXACT_DIGITS: Final = 15


class LineError(ValueError):
    """A line that is not ours: the message says what is wrong and where."""


def check_name(name: str) -> str:
    """`name` itself if it may be a site, gateway or device: letters, digits, `_ . -`, at most 64; else ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a name: letters, digits, '_', '.' and '-', at most 64, a letter or digit first"
        )
    return name


def number_text(value: Number) -> str:
    """Exact text of an int, float or Decimal, without a trailing `.0`."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return repr(value).removesuffix(".0")


def _scaled_float32_text(value: float, factor: Decimal) -> str:
    register = value / float(factor)
    return number_text((Decimal(shortest_float32(register)) * factor).normalize())


def _string_text(value: str) -> str:
    escaped = "".join(c if c.isprintable() else " " for c in value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class _Form:
    """How the value line of one device is written, prepared for the points that its sweep has.

    `singles` takes the plain float32 values out of a sweep, they are written all at once; `others` one by one.
    """

    float32: Mapping[str, Decimal]
    points: list[str]
    template: str
    singles: Callable[[Mapping[str, Value]], Sequence[Value]]
    others: tuple[str, ...]

    @classmethod
    def of(cls, sweep: Sweep) -> "_Form":
        float32, values = sweep.float32, sweep.values
        singles = tuple(point for point in values if float32.get(point) == _ONE)
        others = tuple(point for point in values if point not in singles)
        fields = [*(f"{point}=%.*g" for point in singles), *(f"{point}=%s" for point in others)]
        return cls(float32, [*values], ",".join(fields), _picker(singles), others)

    def fields(self, values: Mapping[str, Value]) -> str:
        singles = cast("Sequence[float]", self.singles(values))
        others = [self._text(point, values[point]) for point in self.others]
        return self.template % (*with_digits(singles), *others)

    def _text(self, point: str, value: Value) -> str:
        if isinstance(value, str):
            return _string_text(value)
        factor = self.float32.get(point)
        return number_text(value) if factor is None else _scaled_float32_text(float(value), factor)


def _picker(points: Sequence[str]) -> Callable[[Mapping[str, Value]], Sequence[Value]]:
    if len(points) > 1:
        return itemgetter(*points)
    return lambda values: [values[point] for point in points]


_FORMS: Final[dict[tuple[str, int], _Form]] = {}
_MOST_FORMS: Final = 4096


def _form(sweep: Sweep) -> _Form:
    key = sweep.device, len(sweep.values)  # of poll groups; within one, the same points come nearly always
    form = _FORMS.get(key)
    if form is None or form.float32 is not sweep.float32 or form.points != [*sweep.values]:
        if len(_FORMS) >= _MOST_FORMS:
            _FORMS.clear()
        form = _FORMS[key] = _Form.of(sweep)
    return form


def encode_sweep(sweep: Sweep, tags: str) -> list[str]:
    """The lines of one sweep: one for its values, one for its faults, none for what is empty.

    `tags` is the text `,site=..,gateway=..` that all lines of a gateway share.
    """
    lines: list[str] = []
    if sweep.values:
        fields = _form(sweep).fields(sweep.values)
        lines.append(f"{SWEEP}{tags},device={sweep.device} {fields} {sweep.taken_at}")
    if sweep.faults:
        faults = [f'{point}="{fault}"' for point, fault in sweep.faults.items()]
        lines.append(f"{FAULT}{tags},device={sweep.device} {','.join(faults)} {sweep.taken_at}")
    return lines


class Line:
    """One parsed line: measurement, tags, fields as text or number, and the time in nanoseconds."""

    __slots__ = ("fields", "measurement", "tags", "time_ns")

    def __init__(self, measurement: str, tags: Mapping[str, str], fields: Mapping[str, Value], time_ns: int) -> None:
        self.measurement = measurement
        self.tags = tags
        self.fields = fields
        self.time_ns = time_ns


_FIELD: Final = re.compile(r'([A-Za-z0-9_.-]+)=("(?:[^"\\]|\\.)*"|[^,"\s]+)(?:,|$)')
_NUMBER: Final = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")


def _number(text: str) -> Number:
    """The float of `text` when it holds exactly what the text says, else the Decimal."""
    if text[-1:] == "i":
        digits = text[:-1]
        if not re.fullmatch(r"-?\d{1,19}", digits):
            raise LineError(f"{text!r} is not an integer")
        return int(digits)
    if not _NUMBER.fullmatch(text):
        raise LineError(f"{text!r} is not a finite number")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise LineError(f"{text!r} is too large")
    if len(text) > _EXACT_DIGITS and Decimal(repr(value)) != Decimal(text):
        return Decimal(text)
    return value


def _fields(text: str) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    at = 0
    while at < len(text):
        match = _FIELD.match(text, at)
        if match is None:
            raise LineError(f"no field at column {at} of {text[:80]!r}")
        key, raw = match.groups()
        fields[key] = re.sub(r"\\(.)", r"\1", raw[1:-1]) if raw[0] == '"' else _number(raw)
        at = match.end()
    if not fields:
        raise LineError("a line without fields")
    return fields


def parse_line(text: str) -> Line:
    """Parse one line; raises LineError naming what is wrong. Escapes outside quoted strings are refused."""
    head, _, rest = text.partition(" ")
    body, _, stamp = rest.rpartition(" ")
    measurement, *pairs = head.split(",")
    tags = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if len(tags) != len(pairs) or not measurement or "\\" in head:
        raise LineError(f"not a measurement with tags: {head[:80]!r}")
    if not re.fullmatch(r"-?\d{1,19}", stamp):
        raise LineError(f"not a time in nanoseconds: {stamp[:40]!r}")
    return Line(measurement, tags, _fields(body), int(stamp))


def decode_sweeps(lines: Iterator[Line]) -> Iterator[Sweep]:
    """Sweeps from parsed lines; the fault line that follows its value line joins it."""
    held: Sweep | None = None
    for line in lines:
        sweep = _sweep(line)
        if held is None:
            held = sweep
        elif (
            held.values
            and sweep.faults
            and not held.faults
            and (held.device, held.taken_at) == (sweep.device, sweep.taken_at)
        ):
            yield Sweep(device=held.device, taken_at=held.taken_at, values=held.values, faults=sweep.faults)
            held = None
        else:
            yield held
            held = sweep
    if held is not None:
        yield held


def _sweep(line: Line) -> Sweep:
    device = line.tags.get("device")
    if device is None:
        raise LineError(f"a line of {line.measurement} without the tag device")
    if line.measurement == SWEEP:
        return Sweep(device=device, taken_at=line.time_ns, values=line.fields, faults={})
    if line.measurement == FAULT:
        return Sweep(device=device, taken_at=line.time_ns, values={}, faults=_faults(line.fields))
    raise LineError(f"measurement {line.measurement!r} is not known here")


def _faults(fields: Mapping[str, Value]) -> dict[str, Fault]:
    try:
        return {point: Fault(str(reason)) for point, reason in fields.items()}
    except ValueError as err:
        raise LineError(f"unknown fault: {err}") from err
