"""The steps that tell what a kilogram of steam is worth: enthalpies by IAPWS-IF97, and the stated state."""

from decimal import Decimal

from centre.records import MeterRecord
from centre.steam import MASS_UNIT, Steam
from centre.trace import Part, Rounding, Rule, Step
from centre.trace_build import Builder


def steam_at(record: MeterRecord, at: int) -> Steam | None:
    """The state of the steam of a meter at a time; None where it counts no steam."""
    passed = [one for one in record.points.meter.steam if (one.since or 0) <= at]
    return passed[-1] if passed else None


def since(build: Builder, steam: Steam) -> str:
    return "the beginning" if steam.since is None else build.clock(steam.since)


def steam_step(build: Builder, record: MeterRecord, steam: Steam) -> Part:
    """kWh of a kilogram: (h - h of the feed water) / 3600, at nine places."""
    told = f"`steam` of {record.points.meter.device} since {since(build, steam)}"
    name = f"{build.series(record)}/{since(build, steam)}"

    def stated(kind: str, words: str, value: Decimal, unit: str) -> Part:
        step = Step(id=f"{kind}:{name}", rule=Rule.GIVEN, words=words, value=value, unit=unit, why=told)
        return build.add(step)

    def enthalpy(kind: str, words: str, value: Decimal, *of: Part) -> Part:
        step = Step(id=f"{kind}:{name}", rule=Rule.GIVEN, words=words, value=value, unit="kJ/kg", parts=of)
        return build.add(step)

    state = [stated("pressure", "absolute pressure", steam.pressure_mpa, "MPa")]
    hot = "dry saturated steam"
    if steam.temperature_c is not None:
        state.append(stated("temperature", "temperature of the steam", steam.temperature_c, "degC"))
        hot = "superheated steam"
    feed = stated("feed", "temperature of the feed water", steam.feed_c, "degC")
    gained = build.add(
        Step(
            id=f"gained:{name}", rule=Rule.SUM, words="h - h of the feed water", unit="kJ/kg",
            value=steam.enthalpy - steam.feed_enthalpy,
            parts=(
                enthalpy("enthalpy", f"h of {hot} by IAPWS-IF97", steam.enthalpy, *state),
                enthalpy("feed_enthalpy", "h of the feed water by IAPWS-IF97", steam.feed_enthalpy, feed)._replace(
                    sign=-1
                ),
            ),
        )
    )  # fmt: skip
    return build.add(
        Step(
            id=f"steam:{name}", rule=Rule.FRACTION, words="(h - h of the feed water) / 3600", value=steam.kwh_per_kg,
            unit="kWh/kg", parts=(gained,), ratio="1/3600", rounding=Rounding.NINE,
        )
    )  # fmt: skip


def mass_step(build: Builder, id_: str, last: Part, first: Part) -> Part:
    """The kilograms between two edges of the register."""
    value = (build.steps[last.id].value or Decimal(0)) - (build.steps[first.id].value or Decimal(0))
    words = "the mass of steam: end of the register - beginning"
    parts = (last, first._replace(sign=-1))
    return build.add(Step(id=id_, rule=Rule.SUM, words=words, value=value, unit=MASS_UNIT, parts=parts))
