"""One meter of the simulated plant at one instant, and rules: how a point's value follows from it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """One meter at one instant. `rate` kW or m3/h, signed as the meter shows it; `amount` kWh or m3 on its register;
    `wander` three slow noises within -1..1; `demand` the mean rate of the last 15 min."""

    at_ns: int
    rate: float
    amount: float
    wander: tuple[float, float, float]
    demand: Callable[[], float]


Rule = Callable[[Moment], float | None]
"""A point's value in its unit; None when this meter has nothing to say there."""
