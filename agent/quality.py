"""Plausibility: which values of a sweep no meter in this place can show. They stay, marked suspect. Pure.

Limits follow from physics and from what the connection is rated for, as the settings say. The mark is a fault beside
the value: accounting must not trust it, and somebody should look at word order, scale or transformer ratio.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from agent.plan import Rated
from metering.faults import Fault
from metering.quantities import Kind, quantity_of
from metering.sweep import PointInfo, Sweep

_MARGIN: Final = 1.2
_LEAST_VOLTAGE: Final = 0.001  # of the rated one: below it only words in the wrong order, or a plain 0
_BETWEEN_LINES: Final = 3**0.5
_HOUR_NS: Final = 3_600_000_000_000
_PHYSICS: Final = {"power_factor": (-1.05, 1.05), "cosphi": (-1.05, 1.05), "frequency": (45.0, 65.0)}


class Plausibility:
    """Of one device. A plain 0 is always plausible: something is off."""

    def __init__(self, points: Iterable[PointInfo], rated: Rated) -> None:
        points = tuple(points)
        self._limits = tuple((p.name, *bounds) for p in points if (bounds := _bounds(p.name, rated)) is not None)
        self._growth = {p.name: _Growth(rate) for p in points if (rate := _rate(p, rated)) is not None}

    def judged(self, sweep: Sweep) -> Sweep:
        """The sweep, with a fault beside each value that is not plausible."""
        values = sweep.values
        suspects: list[str] = []
        for name, low, high in self._limits:
            value = values.get(name)
            if value and not low <= value <= high:  # type: ignore[operator]
                suspects.append(name)
        for name, growth in self._growth.items():
            value = values.get(name)
            if value is not None and not growth.plausible(float(value), sweep.taken_at):
                suspects.append(name)
        return replace(sweep, faults={**sweep.faults, **dict.fromkeys(suspects, Fault.SUSPECT)}) if suspects else sweep


@dataclass(slots=True)
class _Growth:
    """A counter, and the most it may count in an hour.

    Time counts from its last step, for a coarse counter stands still long and then steps far; and the smallest step
    seen is granted beyond. A step down is none of this: the accounting tells rollover, reset and dip apart.
    """

    most: float
    last: float | None = None
    stepped_at: int | None = None
    step: float = float("inf")

    def plausible(self, value: float, at: int) -> bool:
        before, self.last = self.last, value
        if before is None or value == before:
            return True
        since, self.stepped_at = self.stepped_at, at
        grown = value - before
        if since is None or grown < 0:
            return True
        fine = self.step == float("inf") or grown <= self.most * (at - since) / _HOUR_NS + self.step
        self.step = min(self.step, grown)
        return fine


def _bounds(point: str, rated: Rated) -> tuple[float, float] | None:
    """The least and the largest plausible value."""
    quantity = quantity_of(point)
    if quantity is None or quantity.kind is not Kind.GAUGE:
        return None
    if quantity.name in _PHYSICS:
        return _PHYSICS[quantity.name]
    if quantity.name == "voltage" and rated.voltage_v is not None:
        volts = float(rated.voltage_v) * (_BETWEEN_LINES if _between_lines(point) else 1.0)
        return _LEAST_VOLTAGE * volts, _MARGIN * volts
    about = {"W": rated.power_w, "var": rated.power_w, "VA": rated.power_w, "A": rated.current_a}.get(quantity.unit)
    return None if about is None else (-_MARGIN * float(about), _MARGIN * float(about))


def _between_lines(point: str) -> bool:
    return point.endswith("_ll") or point.count("_l") == 2  # voltage_l1_l2, voltage_avg_ll


def _rate(point: PointInfo, rated: Rated) -> float | None:
    """The most a counter may count in an hour, in its unit."""
    if point.kind is not Kind.COUNTER or point.unit not in {"kWh", "kvarh", "kVAh"} or rated.power_w is None:
        return None
    return _MARGIN * float(rated.power_w / Decimal(1000))
