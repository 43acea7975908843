"""What a meter of the simulated plant should say at an instant: every point of its profile from one flow of the plant.

The values of one meter agree with each other: phases sum up to totals, current follows from power and voltage, volume
and heat from the temperatures. Energy is the integral of power, so power factor and phase shares are constant; only
voltage, frequency and temperatures wander, slowly and reproducibly.
"""

import math
import random
from collections.abc import Iterable, Mapping
from typing import Final

from drivers.modbus.profile import Medium, Profile
from drivers.simulation.electrical import Electrical, always
from drivers.simulation.moment import Moment, Rule
from drivers.simulation.plant import Plant
from drivers.simulation.plant_file import Carrier, Meter
from wattline.clock import NS

_MEDIUM: Final = {
    Carrier.ELECTRICITY: Medium.ELECTRICITY,
    Carrier.NATURAL_GAS: Medium.GAS,
    Carrier.FRESH_WATER: Medium.WATER,
    Carrier.HEAT: Medium.HEAT,
}
_EXPONENTS: Final = {
    "sf_power_factor": -1, "sf_power": 2, "sf_frequency": -2, "sf_voltage": -1, "sf_current": -1, "sf_temperature": -1,
}  # fmt: skip
_DEMAND_NS: Final = 900 * NS
_SUPPLY_DEGC: Final = 110.0
_SPREAD_K: Final = 45.0
_WATER_KWH_M3_K: Final = 1.13  # heat held by a cubic metre of hot water per kelvin
_GAS_DEGC: Final = 18.0
_GAS_KPA: Final = 301.325  # absolute: two bar above the air
_BASE_DEGC: Final = 20.0
_BASE_KPA: Final = 101.325


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
            Carrier.ELECTRICITY: Electrical(meter, profile, chance, voltage, frequency).rules(),
            Carrier.NATURAL_GAS: _GAS,
            Carrier.FRESH_WATER: _WATER,
            Carrier.HEAT: _HEAT,
        }[carrier]
        rules = {**rules, "serial_number": always(float(chance.randrange(10_000_000, 99_999_999)))}
        codes = {
            probe.name: always(float(code)) for probe in profile.probes if isinstance(code := probe.values[0], int)
        }
        rules = {**rules, **codes, **{name: always(code) for name, code in _scale_codes(profile)}}
        self._rules = {name: rule for name in profile.points if (rule := _rule(name, rules)) is not None}

    @property
    def main_point(self) -> str:
        """The register that counts what flows here: the point by which an energy centre counts this meter."""
        total = f"energy_active_{'export' if self.meter.reversed else 'import'}_total"
        by_tariff = total.replace("_total", "_t1")
        return {
            Carrier.ELECTRICITY: by_tariff if total not in self.profile.points and by_tariff in self._rules else total,
            Carrier.NATURAL_GAS: "volume_base_total",
            Carrier.FRESH_WATER: "volume_total",
            Carrier.HEAT: "heat_energy_total",
        }[self.carrier]

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


def _scale_codes(profile: Profile) -> Iterable[tuple[str, float]]:
    """Settings as the profile needs them; exponents and unit codes such that the plant's values fit their registers."""
    yield from ((setting.name, float(setting.value)) for setting in profile.settings)
    for point in profile.points.values():
        known = [code for code, _ in point.as_factor]
        if known:
            exponent = next((e for part, e in _EXPONENTS.items() if point.name.startswith(part)), 0)
            yield point.name, float(exponent if exponent in known else known[0])


def _rule(point: str, rules: Mapping[str, Rule]) -> Rule | None:
    """The rule of a point by its name, else by its name without its last words: `volume_total_t1` as `volume_total`."""
    while point:
        if point in rules:
            return rules[point]
        point = point.rpartition("_")[0]
    return None


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
