"""What an electricity meter of the simulated plant says of its flow: volts, amperes, powers, counters of all kinds."""

import math
import random
from collections.abc import Callable

from drivers.modbus.profile import Profile
from drivers.simulation.moment import Moment, Rule
from drivers.simulation.plant_file import Meter


class Electrical:
    """The rules of an electricity meter."""

    def __init__(self, meter: Meter, profile: Profile, chance: random.Random, voltage: float, frequency: float) -> None:
        self._phases = 3 if "voltage_l2_n" in profile.points or "voltage_l1_l2" in profile.points else 1
        raw = [chance.uniform(0.95, 1.05) for _ in range(self._phases)]
        self._shares = [part / sum(raw) for part in raw]
        self._pf = meter.power_factor
        self._tan = math.tan(math.acos(self._pf))
        self._volts = voltage / math.sqrt(3.0)
        self._hertz = frequency
        self._exports = meter.reversed
        self._ratios = {"ct_ratio": float(meter.ct_ratio), "pt_ratio": float(meter.pt_ratio)}

    def rules(self) -> dict[str, Rule]:
        ratios: dict[str, Rule] = {name: always(ratio) for name, ratio in self._ratios.items()}
        return {
            **self._grid(),
            **self._powers(),
            **self._energies("active", 1.0),
            **self._energies("reactive", self._tan),
            **self._energies("apparent", 1.0 / self._pf),
            **ratios,
        }

    def _grid(self) -> dict[str, Rule]:
        rules: dict[str, Rule] = {
            "frequency": lambda m: self._hertz * (1.0 + 0.0004 * m.wander[1]),
            "thd_voltage": lambda m: 2.1 + 0.3 * m.wander[2],
            "thd_current": lambda m: 8.0 + 1.5 * m.wander[0],
            "voltage_avg_n": lambda m: sum(map(self._voltage(m), (0, 1, 2))) / 3.0,
            "voltage_avg_ll": lambda m: sum(self._between(m, i) for i in range(3)) / 3.0,
            "voltage_unbalance": lambda m: _unbalance([self._voltage(m)(i) for i in range(3)]),
        }
        for i in range(self._phases):
            rules[f"voltage_l{i + 1}"] = _indexed(lambda m, i: self._voltage(m)(i), i)
            if self._phases == 3:
                rules[f"voltage_l{i + 1}_l{(i + 1) % 3 + 1}"] = _indexed(self._between, i)
        return rules

    def _voltage(self, m: Moment) -> Callable[[int], float]:
        return lambda i: self._volts * (1.0 + 0.008 * m.wander[0] + 0.003 * m.wander[i])

    def _between(self, m: Moment, i: int) -> float:
        a, b = self._voltage(m)(i), self._voltage(m)((i + 1) % 3)
        return math.sqrt(a * a + a * b + b * b)

    def _current(self, m: Moment, i: int) -> float:
        return abs(m.rate) * 1000.0 * self._shares[i] / self._pf / self._voltage(m)(i)

    def _neutral(self, m: Moment) -> float:
        a, b, c = (self._current(m, i) for i in range(3))
        return math.sqrt(max(0.0, a * a + b * b + c * c - a * b - b * c - c * a))

    def _powers(self) -> dict[str, Rule]:
        phases = range(self._phases)
        angle = math.degrees(math.acos(self._pf))
        parts = {"active": 1000.0, "reactive": 1000.0 * self._tan, "apparent": 1000.0 / self._pf}
        rules: dict[str, Rule] = {
            "power_factor": lambda m: math.copysign(self._pf, m.rate),
            "cosphi": lambda m: math.copysign(self._pf, m.rate),
            "phase_angle": lambda _: angle,
            "current_avg": lambda m: sum(self._current(m, i) for i in phases) / self._phases,
            "current_total": lambda m: sum(self._current(m, i) for i in phases),
            "current_unbalance": lambda m: _unbalance([self._current(m, i) for i in phases]),
            "demand_power_active_export": lambda m: max(0.0, -1000.0 * m.demand()),
            "demand_power_active_import": lambda m: max(0.0, 1000.0 * m.demand()),
            "demand_power_active": lambda m: 1000.0 * m.demand(),
            "demand_power_apparent": lambda m: 1000.0 / self._pf * abs(m.demand()),
            "demand_current_n": lambda _: 0.0,
            "demand_current": lambda m: 1000.0 / self._pf / self._volts / self._phases * abs(m.demand()),
        }
        if self._phases == 3:
            rules["current_n"] = self._neutral
        for kind, factor in parts.items():
            sign = abs if kind == "apparent" else _same
            rules[f"power_{kind}_total"] = _scaled(factor, sign)
            for i in phases:
                rules[f"power_{kind}_l{i + 1}"] = _scaled(factor * self._shares[i], sign)
        for i in phases:
            rules[f"current_l{i + 1}"] = _indexed(self._current, i)
        return rules

    def _energies(self, kind: str, factor: float) -> dict[str, Rule]:
        """Counters: all flows in one direction, and in one quadrant; everything in tariff 1."""
        export = self._exports
        counting = {"export", "sum", "combined", "q3", "capacitive"} if export else {
            "import", "sum", "combined", "net", "q1", "inductive",
        }  # fmt: skip
        rules: dict[str, Rule] = {}
        for direction in (
            "import",
            "export",
            "sum",
            "combined",
            "net",
            "q1",
            "q2",
            "q3",
            "q4",
            "inductive",
            "capacitive",
        ):
            counts = factor if direction in counting else -factor if direction == "net" else 0.0
            base = f"energy_{kind}_{direction}"
            rules[f"{base}_total"] = _counted(counts)
            for tariff in (2, 3, 4):
                rules[f"{base}_t{tariff}"] = rules[f"{base}_total_t{tariff}"] = _counted(0.0)
            rules[base] = _counted(counts)
            for i in range(self._phases):
                rules[f"{base}_l{i + 1}"] = _counted(counts * self._shares[i])
        return rules


def always(value: float) -> Rule:
    return lambda _: value


def _indexed(of: Callable[[Moment, int], float], i: int) -> Rule:
    return lambda m: of(m, i)


def _scaled(factor: float, sign: Callable[[float], float]) -> Rule:
    return lambda m: factor * sign(m.rate)


def _counted(factor: float) -> Rule:
    return lambda m: factor * m.amount


def _same(value: float) -> float:
    return value


def _unbalance(values: list[float]) -> float:
    """The largest distance from the mean, %."""
    mean = sum(values) / len(values)
    return 100.0 * max(abs(value - mean) for value in values) / mean if mean else 0.0
