"""Functions of the time of the week whose integral is known in closed form.

A shape maps a position p in the week (seconds since Monday 00:00, plant time, 0 <= p <= WEEK_S) to a level, and knows
the exact integral of the level from the start of the week to p, in level-seconds. Everything the plant does repeats
after a week; hence the integral between any two instants is two look-ups, however far they are apart.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final, Protocol

WEEK_S: Final = 604_800
_TURN: Final = 2.0 * math.pi


class Shape(Protocol):
    """A level over the week and its integral."""

    def at(self, p: float) -> float:
        """The level at p seconds into the week."""
        ...

    def until(self, p: float) -> float:
        """The integral of the level from 0 to p, level-seconds."""
        ...


class Constant:
    """The same level all week."""

    def __init__(self, level: float) -> None:
        self._level = level

    def at(self, p: float) -> float:  # noqa: ARG002 - the shape of a Shape
        return self._level

    def until(self, p: float) -> float:
        return self._level * p


class Ramps:
    """Straight lines between knots (time, level); two knots at one time make a step.

    `span` is how long the knots reach, a week or the period of a cycle: the first knot is at 0, the last at `span`.
    """

    def __init__(self, knots: Sequence[tuple[float, float]], span: float = WEEK_S) -> None:
        if len(knots) < 2 or knots[0][0] != 0 or knots[-1][0] != span:
            raise ValueError(f"knots must reach from 0 to {span}")
        if any(later[0] < earlier[0] for earlier, later in pairwise(knots)):
            raise ValueError("knots must be in the order of time")
        self._times = [time for time, _ in knots]
        self._levels = [level for _, level in knots]
        pieces = (0.5 * (a[1] + b[1]) * (b[0] - a[0]) for a, b in pairwise(knots))
        self._before = list(accumulate(pieces, initial=0.0))
        self.span = span
        self.total = self._before[-1]

    @property
    def knots(self) -> list[tuple[float, float]]:
        return list(zip(self._times, self._levels, strict=True))

    def _piece(self, p: float) -> tuple[int, float]:
        """The knot that begins p's piece, and the level at p."""
        i = min(bisect_right(self._times, p), len(self._times) - 1) - 1
        start, end = self._times[i], self._times[i + 1]
        share = (p - start) / (end - start) if end > start else 1.0
        return i, self._levels[i] + (self._levels[i + 1] - self._levels[i]) * share

    def at(self, p: float) -> float:
        return self._piece(p)[1]

    def until(self, p: float) -> float:
        i, level = self._piece(p)
        return self._before[i] + 0.5 * (self._levels[i] + level) * (p - self._times[i])


class Cycle:
    """A short shape over and over: a machine's stroke. Its span divides the week, so the week repeats as well.

    `lag_s` shifts it, so that two machines of one kind do not beat together.
    """

    def __init__(self, stroke: Ramps, lag_s: float = 0.0) -> None:
        if WEEK_S % stroke.span:
            raise ValueError(f"a cycle of {stroke.span} s does not divide the week")
        self._stroke = stroke
        self._lag = lag_s % stroke.span
        self._skipped = self._from_zero(self._lag)

    def _from_zero(self, p: float) -> float:
        rounds, rest = divmod(p, self._stroke.span)
        return rounds * self._stroke.total + self._stroke.until(rest)

    def at(self, p: float) -> float:
        return self._stroke.at((p + self._lag) % self._stroke.span)

    def until(self, p: float) -> float:
        return self._from_zero(p + self._lag) - self._skipped


class Gated:
    """A shape times a level that is constant over each of some periods of the week, and 0 outside of them.

    `periods` are (start, end, level), in order and apart.
    """

    def __init__(self, periods: Sequence[tuple[float, float, float]], inner: Shape) -> None:
        self._periods = list(periods)
        self._starts = [start for start, _, _ in self._periods]
        self._inner = inner
        parts = (level * (inner.until(end) - inner.until(start)) for start, end, level in self._periods)
        self._before = list(accumulate(parts, initial=0.0))

    def at(self, p: float) -> float:
        i = bisect_right(self._starts, p) - 1
        if i < 0 or p >= self._periods[i][1]:
            return 0.0
        return self._periods[i][2] * self._inner.at(p)

    def until(self, p: float) -> float:
        i = bisect_right(self._starts, p) - 1
        if i < 0:
            return 0.0
        start, end, level = self._periods[i]
        return self._before[i] + level * (self._inner.until(min(p, end)) - self._inner.until(start))


class Ripple:
    """A sum of sinusoids, each with a whole number of turns a week: terms of (turns, amplitude, phase in turns)."""

    def __init__(self, terms: Sequence[tuple[int, float, float]]) -> None:
        self._terms = [(_TURN * turns / WEEK_S, amplitude, _TURN * phase) for turns, amplitude, phase in terms]

    def at(self, p: float) -> float:
        return sum(amplitude * math.sin(omega * p + phase) for omega, amplitude, phase in self._terms)

    def until(self, p: float) -> float:
        return sum(
            amplitude / omega * (math.cos(phase) - math.cos(omega * p + phase))
            for omega, amplitude, phase in self._terms
        )


class Blend:
    """A weighted sum of shapes."""

    def __init__(self, parts: Sequence[tuple[float, Shape]]) -> None:
        self._parts = [(weight, shape) for weight, shape in parts if weight]

    def at(self, p: float) -> float:
        return sum(weight * shape.at(p) for weight, shape in self._parts)

    def until(self, p: float) -> float:
        return sum(weight * shape.until(p) for weight, shape in self._parts)
