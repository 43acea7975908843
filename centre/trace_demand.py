"""The trace of a demand: the energy of its 15 minutes over a quarter of an hour, or what the meter's register says."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from centre.accounting.demand import Demand, DemandKind
from centre.accounting.zones import local_day
from centre.trace import Part, Rounding, Rule, Step
from centre.trace_build import Builder

REGISTER: Final = "the meter's own register of its maximum"
MINUTES: Final = "its register between the readings around these 15 minutes"


def demand(build: Builder, found: Demand, quarter: Callable[[], Part] | None) -> Part | None:
    """The step of a demand; `quarter` makes the part of the quarter that it is of, where it is of one."""
    id_ = f"demand:{build.made.site}@{build.clock(found.start)}"
    if found.kind is DemandKind.METER:
        return build.add(Step(id=id_, rule=Rule.GIVEN, words=REGISTER, value=found.kw, unit="kW"))
    if not found.energies and quarter is None:
        return None
    energy = quarter() if quarter is not None and not found.energies else _energy(build, found)
    factor = Step(id="rule:demand", rule=Rule.FACTOR, words="1 h / 15 min", value=Decimal(4), unit="kW/kWh")
    return build.add(
        Step(
            id=id_, rule=Rule.PRODUCT,
            words=f"mean power of the highest quarter, of {local_day(found.start, build.plant.zone)}",
            value=found.kw, unit="kW", parts=(energy, build.add(factor)), rounding=Rounding.SIX,
        )
    )  # fmt: skip


def _energy(build: Builder, found: Demand) -> Part:
    """What all meters of the grid connection counted in 15 minutes that begin at any."""
    at = build.clock(found.start)
    parts = tuple(
        build.add(
            Step(id=f"minutes:{build.made.site}/{device}@{at}", rule=Rule.GIVEN, words=MINUTES, value=energy,
                 unit="kWh", at_ns=found.start)
        )
        for device, energy in found.energies
    )  # fmt: skip
    if len(parts) == 1:
        return parts[0]
    value = sum((energy for _, energy in found.energies), Decimal(0))
    words = "the meters of the grid connection"
    return build.add(
        Step(id=f"bought:{build.made.site}@{at}", rule=Rule.SUM, words=words, value=value, unit="kWh", parts=parts)
    )
