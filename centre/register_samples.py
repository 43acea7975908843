"""Stored readings as exact samples of a register."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

from centre.accounting.exact import rounded
from centre.accounting.registers import Sample
from centre.store.base import TOO_MUCH, Columns, Reading
from metering.float32 import shortest_float32
from metering.sweep import Value

_SINGLE: Final = Decimal(2) ** -23
_PLACES: Final = 20
_NOTHING: Final = 10.0**-_PLACES


def exact(value: Value) -> Decimal:
    """The exact value of a number: a double stands for its shortest text, which is what came over the wire.

    What is finer than any meter counts is nothing: such values show that a register is read in a wrong form.
    """
    if isinstance(value, Decimal):
        return value if int(value.as_tuple().exponent) >= -_PLACES else rounded(Fraction(value), _PLACES)
    return Decimal(repr(value)) if isinstance(value, str) or not -_NOTHING < value < _NOTHING else Decimal(0)


def samples_of(readings: Sequence[Reading]) -> list[Sample]:
    """Exact register values; a text is none, nor is what an older store took beyond TOO_MUCH."""
    return [Sample(at, exact(value)) for at, value, _ in readings if _counts(value)]


def samples_in(columns: Columns) -> list[Sample]:
    """As samples_of, the ones the gateway did not believe too."""
    pairs = zip(columns.times, columns.values, strict=True)
    return [Sample(at, exact(value)) for at, value in pairs if _counts(value)]


def _counts(value: Value) -> bool:
    return not isinstance(value, str) and -TOO_MUCH < value < TOO_MUCH


def float32_step(samples: Sequence[Sample]) -> Decimal:
    """The distance of the values an IEEE single can show, where all of `samples` can come from one; else 0."""
    if any(Decimal(shortest_float32(float(sample.value))) != sample.value for sample in samples):
        return Decimal(0)
    return max((abs(sample.value) for sample in samples), default=Decimal(0)) * _SINGLE


def epoch_of(readings: Sequence[Sample]) -> int | None:
    """The first reading of the new meter, in a stretch in which the meter was changed; None when there is none yet.

    It is where the register fell, else the end of the longest pause: nobody changes a meter while it answers.
    """
    pairs = list(pairwise(readings))
    fell = next((new.at for old, new in pairs if new.value < old.value), None)
    return fell or max(((new.at - old.at, new.at) for old, new in pairs), default=(0, None))[1]
