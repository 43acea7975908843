"""Least squares in exact fractions: coefficients, what they are worth, and whether the residuals look like chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

from centre.accounting.exact import root, rounded

_PLACES: Final = 9

Matrix = list[list[Fraction]]


class NoFit(Exception):
    """There is no least-squares fit of these data; the message is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """`coefficients` (intercept first) are exact; the statistics are rounded to 9 places.

    `t_values`, `durbin_watson` are None for a perfect fit, `cv_rmse` for a mean of 0, `r2` when y never changes.
    """

    coefficients: tuple[Fraction, ...]
    n: int
    r2: Decimal | None
    cv_rmse: Decimal | None
    t_values: tuple[Decimal, ...] | None
    durbin_watson: Decimal | None


def least_squares(x: Sequence[Sequence[Decimal]], y: Sequence[Decimal]) -> Fit:
    """y = b0 + b1 x1 + ...; a row of `x` for each y. Raises NoFit: too few rows, or columns that depend on another."""
    rows = [[Fraction(1), *map(Fraction, row)] for row in x]
    values = [Fraction(value) for value in y]
    width = len(rows[0]) if rows else 1
    if len(rows) <= width:
        raise NoFit("too_few_observations")
    columns = list(zip(*rows, strict=True))
    normal = [[_dot(a, b) for b in columns] for a in columns]
    inverse = _inverse(normal)
    moments = [_dot(column, values) for column in columns]
    coefficients = tuple(_dot(line, moments) for line in inverse)
    residuals = [value - _dot(row, coefficients) for row, value in zip(rows, values, strict=True)]
    return _described(coefficients, values, residuals, inverse)


def _described(
    coefficients: tuple[Fraction, ...], values: Sequence[Fraction], residuals: Sequence[Fraction], inverse: Matrix
) -> Fit:
    n, mean = len(values), sum(values, Fraction(0)) / len(values)
    squares = _dot(residuals, residuals)
    spread = sum(((value - mean) ** 2 for value in values), Fraction(0))
    variance = squares / (n - len(coefficients))
    t_values: tuple[Decimal, ...] | None = None
    durbin_watson: Decimal | None = None
    if squares:
        t_values = tuple(
            _signed_root(b * abs(b) / (variance * inverse[place][place])) for place, b in enumerate(coefficients)
        )
        steps = [after - before for before, after in pairwise(residuals)]
        durbin_watson = rounded(_dot(steps, steps) / squares, _PLACES)
    return Fit(
        coefficients=coefficients,
        n=n,
        r2=rounded(1 - squares / spread, _PLACES) if spread else None,
        cv_rmse=root(variance / mean**2, _PLACES) if mean else None,
        t_values=t_values,
        durbin_watson=durbin_watson,
    )


def _dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((one * other for one, other in zip(a, b, strict=True)), Fraction(0))


def _signed_root(value: Fraction) -> Decimal:
    return root(value, _PLACES) if value >= 0 else -root(-value, _PLACES)


def _inverse(matrix: Matrix) -> Matrix:
    """By Gauss and Jordan; exact, so any pivot but 0 will do."""
    size = len(matrix)
    work = [[*line, *(Fraction(int(row == place)) for place in range(size))] for row, line in enumerate(matrix)]
    for column in range(size):
        pivot = next((row for row in range(column, size) if work[row][column]), None)
        if pivot is None:
            raise NoFit("drivers_depend_on_each_other")
        work[column], work[pivot] = work[pivot], work[column]
        head = work[column][column]
        work[column] = [value / head for value in work[column]]
        for row in range(size):
            factor = work[row][column]
            if row != column and factor:
                work[row] = [value - factor * lead for value, lead in zip(work[row], work[column], strict=True)]
    return [line[size:] for line in work]
