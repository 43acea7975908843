"""Losses of a battery, use of own generation, and the carbon of what a battery gives back (rule F20)."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.ratios import Ratio, in_unit, ratio
from centre.accounting.terms import NO_QUANTITY, Input, rounded

NOTHING_DISCHARGED: Final = "nothing_discharged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """A period of a battery, all in one unit of energy. `stored` is what it holds more at the end than at the start."""

    charged: Input
    discharged: Input
    stored: Input


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """`loss` = charged - discharged - stored in kWh; `efficiency` of what was given back. None with the reason."""

    battery: Battery
    loss: Decimal | None
    efficiency: Decimal | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DischargedCarbon:
    """kg per kWh given back, and the charged kg in two parts: given back, and still with what is stored."""

    per_kwh: Decimal | None
    discharged_kg: Decimal | None
    stored_kg: Decimal | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnUse:
    """Own generation used on the site: in kWh, of the generation, and of the load."""

    used: Input
    self_use: Ratio
    self_sufficiency: Ratio


def losses(battery: Battery) -> Losses:
    """What the battery kept for itself; a negative loss is a fault of meters, and shown as it is."""
    found = _known(battery)
    if isinstance(found, str):
        return Losses(battery=battery, loss=None, efficiency=None, reason=found)
    charged, discharged, stored = found
    taken = charged - stored
    efficiency = rounded(discharged / taken) if taken > 0 else None
    return Losses(battery=battery, loss=rounded(taken - discharged), efficiency=efficiency)


def discharged_carbon(battery: Battery, charged_kg: Input) -> DischargedCarbon:
    """The carbon of the charging mix of a month, carried by what was given back: its factor / efficiency."""
    found = _known(battery)
    if isinstance(found, str) or charged_kg.value is None:
        reason = found if isinstance(found, str) else f"{charged_kg.id}: {charged_kg.reason or NO_QUANTITY}"
        return DischargedCarbon(per_kwh=None, discharged_kg=None, stored_kg=None, reason=reason)
    charged, discharged, stored = found
    if discharged <= 0 or charged <= 0:
        return DischargedCarbon(per_kwh=None, discharged_kg=None, stored_kg=None, reason=NOTHING_DISCHARGED)
    given_back = Fraction(charged_kg.value) * (charged - stored) / charged
    kg = rounded(given_back)
    return DischargedCarbon(
        per_kwh=rounded(given_back / discharged), discharged_kg=kg, stored_kg=charged_kg.value - kg
    )  # fmt: skip


def own_use(generated: Input, exported: Input, load: Input) -> OwnUse:
    """(generated - exported) of the generation and of the load."""
    made, sent = in_unit(generated, "kWh"), in_unit(exported, "kWh")
    known = None if made.value is None or sent.value is None else made.value - sent.value
    reason = generated.reason if made.value is None else exported.reason
    used = Input(
        id=f"{generated.id} - {exported.id}", value=known, unit="kWh",
        reason=None if known is not None else reason or NO_QUANTITY,
    )  # fmt: skip
    return OwnUse(
        used=used,
        self_use=ratio("self_use", used, made),
        self_sufficiency=ratio("self_sufficiency", used, in_unit(load, "kWh")),
    )


def _known(battery: Battery) -> tuple[Fraction, Fraction, Fraction] | str:
    values: list[Fraction] = []
    for item in (battery.charged, battery.discharged, battery.stored):
        value = in_unit(item, "kWh").value
        if value is None:
            return f"{item.id}: {item.reason or NO_QUANTITY}"
        values.append(Fraction(value))
    return values[0], values[1], values[2]
