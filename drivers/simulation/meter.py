"""What a meter of the simulated plant should say at an instant: every point of its profile from one flow of the plant.

The values of one meter agree with each other: phases sum up to totals, current follows from power and voltage, volume
and heat from the temperatures. Energy is the integral of power, so power factor and phase shares are constant; only
voltage, frequency and temperatures wander, slowly and reproducibly.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from drivers.modbus.profile import Medium, Point, Profile
from drivers.simulation.plant import Plant
from drivers.simulation.plant_file import Carrier, Meter
from wattline.clock import NS

_MEDIUM: Final = {
    Carrier.ELECTRICITY: Medium.ELECTRICITY,
    Carrier.NATURAL_GAS: Medium.GAS,
    Carrier.FRESH_WATER: Medium.WATER,
    Carrier.HEAT: Medium.HEAT,
}
_DEMAND_NS: Final = 900 * NS
_SUPPLY_DEGC: Final = 110.0
_SPREAD_K: Final = 45.0
_WATER_KWH_M3_K: Final = 1.13  # heat held by a cubic metre of hot water per kelvin
_GAS_DEGC: Final = 18.0
_GAS_KPA: Final = 301.325  # absolute: two bar above the air
_BASE_DEGC: Final = 20.0
_BASE_KPA: Final = 101.325


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


class SimulatedMeter:
    """A meter of the plant file with its profile; `moment` then `value`, so that one request sees one instant.

    Raises ValueError when the profile is of another medium than what flows where it stands.
    """

    def __init__(self, meter: Meter, profile: Profile, plant: Plant, *, voltage: float, frequency: float) -> None:
        carrier = plant.carrier(meter.measures)
        if profile.medium is not _MEDIUM[carrier]:
            raise ValueError(f"{profile.id} measures {profile.medium}, but {carrier} flows at {meter.measures}")
        self.meter = meter
        self.profile = profile
        self.carrier = carrier
        self._plant = plant
        chance = random.Random(meter.name)
        self._wander = tuple((2 * math.pi / chance.uniform(300, 1500), chance.random() * 6.28) for _ in range(3))
        rules: Mapping[str, Rule] = {
            Carrier.ELECTRICITY: _Electrical(meter, profile, chance, voltage, frequency).rules(),
            Carrier.NATURAL_GAS: _GAS,
            Carrier.FRESH_WATER: _WATER,
            Carrier.HEAT: _HEAT,
        }[carrier]
        rules = {**rules, "serial_number": _always(float(chance.randrange(10_000_000, 99_999_999)))}
        self._rules = {name: rule for name in profile.points if (rule := _rule(name, rules)) is not None}

    @property
    def main_point(self) -> str:
        """The register that counts what flows here: the point by which an energy centre counts this meter."""
        way = "export" if self.meter.reversed else "import"
        wanted = {
            Carrier.ELECTRICITY: f"energy_active_{way}_total",
            Carrier.NATURAL_GAS: "volume_base_total",
            Carrier.FRESH_WATER: "volume_total",
            Carrier.HEAT: "heat_energy_total",
        }[self.carrier]
        return wanted if wanted in self.profile.points else _like(wanted, self.profile.points)

    def moment(self, at_ns: int) -> Moment:
        """The state at `at_ns`, UTC nanoseconds."""
        plant, place = self._plant, self.meter.measures
        sign = -1.0 if self.meter.reversed else 1.0
        seconds = at_ns % (10**7 * NS) / NS
        a, b, c = (math.sin(omega * seconds + phase) for omega, phase in self._wander)
        return Moment(
            at_ns,
            sign * plant.rate(place, at_ns),
            self.meter.start + plant.amount(place, plant.origin_ns, at_ns),
            (a, b, c),
            lambda: sign * plant.amount(place, at_ns - _DEMAND_NS, at_ns) * 4.0,
        )

    def value(self, point: str, moment: Moment) -> float | None:
        """What `point` says at `moment`, in the point's unit; None when the meter has no such value."""
        rule = self._rules.get(point)
        return None if rule is None else rule(moment)


def _rule(point: str, rules: Mapping[str, Rule]) -> Rule | None:
    """The rule of a point by its name, else by its name without its last words: `volume_total_t1` as `volume_total`."""
    while point:
        if point in rules:
            return rules[point]
        point = point.rpartition("_")[0]
    return None


def _like(wanted: str, points: Mapping[str, Point]) -> str:
    return next(name for name in points if name.startswith(wanted.removesuffix("_total")))


_HEAT: Final[Mapping[str, Rule]] = {
    "heat_energy_total": lambda m: m.amount,
    "heat_energy": lambda _: 0.0,  # the pulse inputs beside the main register count nothing
    "power_thermal": lambda m: m.rate * 1000.0,
    "flow_volume": lambda m: m.rate / (_WATER_KWH_M3_K * _SPREAD_K),
    "volume_total": lambda m: m.amount / (_WATER_KWH_M3_K * _SPREAD_K),
    "volume": lambda _: 0.0,
    "temperature_supply": lambda m: _SUPPLY_DEGC + 1.5 * m.wander[0],
    "temperature_return": lambda m: _SUPPLY_DEGC - _SPREAD_K + 1.5 * m.wander[0],
    "temperature_difference": lambda _: _SPREAD_K,
}
_WATER: Final[Mapping[str, Rule]] = {
    "flow_volume": lambda m: m.rate,
    "volume_total": lambda m: m.amount,
    "volume_2": lambda _: 0.0,  # the second totaliser counts what flows back
    "temperature": lambda m: 16.0 + m.wander[0],
}


def _gas_density(degc: float, kpa: float) -> float:
    """Cubic metres at base conditions in one at these."""
    return kpa / _BASE_KPA * (_BASE_DEGC + 273.15) / (degc + 273.15)


def _gas_degc(m: Moment) -> float:
    return _GAS_DEGC + 2.0 * m.wander[0]


_GAS: Final[Mapping[str, Rule]] = {
    "volume_base": lambda m: m.amount,
    "volume_actual": lambda m: m.amount / _gas_density(_GAS_DEGC, _GAS_KPA),
    "flow_volume_base": lambda m: m.rate,
    "flow_volume_actual": lambda m: m.rate / _gas_density(_GAS_DEGC, _GAS_KPA),
    "temperature_gas": _gas_degc,
    # pressure follows temperature, so that the density and with it the ratio of the volumes stays
    "pressure_absolute": lambda m: _GAS_KPA * (_gas_degc(m) + 273.15) / (_GAS_DEGC + 273.15),
}


class _Electrical:
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
        ratios: dict[str, Rule] = {name: _always(ratio) for name, ratio in self._ratios.items()}
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


def _always(value: float) -> Rule:
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
