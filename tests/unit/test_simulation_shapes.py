"""The closed form of every shape is the integral of what it shows."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulation.shapes import WEEK_S, Blend, Constant, Cycle, Gated, Ramps, Ripple, Shape

_STROKE = Ramps([(0, -1), (5, 0), (60, 0), (65, -1), (90, -1)], 90)
_WEEK = Ramps([(0, 0.2), (30_000, 0.2), (31_800, 1.0), (90_000, 1.0), (90_001, 0.4), (WEEK_S, 0.2)])
_GATE = [(30_000.0, 90_000.0, 0.5), (200_000.0, 300_000.0, 1.0)]

SHAPES: dict[str, Shape] = {
    "constant": Constant(3.5),
    "ramps": _WEEK,
    "cycle": Cycle(_STROKE, 37.25),
    "gated": Gated(_GATE, Cycle(_STROKE, 12.5)),
    "ripple": Ripple([(977, 0.04, 0.1), (21_001, 0.02, 0.7)]),
    "blend": Blend([(420.0, _WEEK), (100.0, Gated(_GATE, Cycle(_STROKE)))]),
}


def numeric(shape: Shape, a: float, b: float, steps: int = 20_000) -> float:
    """The midpoint rule."""
    width = (b - a) / steps
    return width * sum(shape.at(a + (i + 0.5) * width) for i in range(steps))


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("start", [0.0, 29_990.0, 89_950.5, 199_999.0, WEEK_S - 400.0])
def test_the_closed_form_is_the_numeric_integral(name: str, start: float) -> None:
    shape = SHAPES[name]
    end = start + 400.0
    assert shape.until(end) - shape.until(start) == pytest.approx(numeric(shape, start, end), rel=2e-4, abs=0.02)


@given(st.sampled_from(sorted(SHAPES)), st.floats(0, WEEK_S), st.floats(0, WEEK_S))
@settings(max_examples=300)
def test_the_integral_is_as_steep_as_the_level_is_high(name: str, a: float, b: float) -> None:
    shape = SHAPES[name]
    bound = 420.0 + 100.0
    assert abs(shape.until(b) - shape.until(a)) <= bound * abs(b - a) + 1e-6
    assert shape.until(0.0) == pytest.approx(0.0, abs=1e-9)


@given(st.floats(0, WEEK_S - 1e-3))
def test_a_cycle_repeats(p: float) -> None:
    cycle = SHAPES["cycle"]
    later = (p + 90) % WEEK_S
    assert cycle.at(p) == pytest.approx(cycle.at(later), abs=1e-6)


def test_a_cycle_that_does_not_divide_the_week_is_refused() -> None:
    with pytest.raises(ValueError, match="does not divide"):
        Cycle(Ramps([(0, 0), (11, 1)], 11))


def test_knots_out_of_order_or_short_of_the_span_are_refused() -> None:
    with pytest.raises(ValueError, match="order of time"):
        Ramps([(0, 0), (9, 1), (8, 1), (WEEK_S, 0)])
    with pytest.raises(ValueError, match="reach"):
        Ramps([(0, 0), (9, 1)])


def test_nothing_flows_outside_of_a_gate() -> None:
    gated = SHAPES["gated"]
    assert gated.at(29_999) == 0
    assert gated.at(90_000) == 0
    assert gated.until(29_999) == 0
    assert math.isclose(gated.until(100_000), gated.until(190_000))
