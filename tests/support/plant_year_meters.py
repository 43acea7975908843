"""The twenty meters of the simulated plant, the best mix first, and the load that each of them sees."""

import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final
from zoneinfo import ZoneInfo

from centre.carriers import Carrier, Flow

ZONE: Final = ZoneInfo("Asia/Shanghai")
_E, _G, _W, _H = Carrier.ELECTRICITY, Carrier.NATURAL_GAS, Carrier.FRESH_WATER, Carrier.HEAT
_NOISE: Final = range(980, 1021)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A meter: where it is, who reads it, its largest rate in thousandths an hour, the last step of its register."""

    device: str
    carrier: Carrier
    flow: Flow
    node: str
    gateway: str
    peak: int
    step: int


# device, carrier, node, gateway, peak (W or l/h), register step (Wh or l)
_ROWS: Final = (
    ("incomer", _E, "plant", "substation", 2_600_000, 10),
    ("line-1", _E, "line-1", "hall-1", 260_000, 1),
    ("pv-roof", _E, "plant", "substation", 140_000, 1),
    ("boiler-gas", _G, "plant", "utilities", 210_000, 1),
    ("water-main", _W, "plant", "utilities", 90_000, 1),
    ("workshop-1", _E, "workshop-1", "hall-1", 700_000, 10),
    ("heat-station", _H, "plant", "utilities", 900_000, 100),
    ("line-2", _E, "line-2", "hall-1", 230_000, 1),
    ("line-3", _E, "line-3", "hall-1", 190_000, 1),
    ("workshop-2", _E, "workshop-2", "hall-2", 700_000, 10),
    ("line-4", _E, "line-4", "hall-2", 240_000, 1),
    ("line-5", _E, "line-5", "hall-2", 210_000, 1),
    ("line-6", _E, "line-6", "hall-2", 180_000, 1),
    ("compressor", _E, "compressor", "utilities", 160_000, 1),
    ("chiller", _E, "chiller", "utilities", 220_000, 1),
    ("furnace-gas", _G, "line-4", "hall-2", 80_000, 1),
    ("water-cooling", _W, "utilities", "utilities", 60_000, 1),
    ("water-process", _W, "workshop-1", "hall-1", 70_000, 1),
    ("heat-hall-1", _H, "workshop-1", "hall-1", 400_000, 10),
    ("heat-hall-2", _H, "workshop-2", "hall-2", 380_000, 10),
)
_BELOW: Final = {
    "workshop-1": ("line-1", "line-2", "line-3"),
    "workshop-2": ("line-4", "line-5", "line-6"),
    "incomer": ("line-1", "line-2", "line-3", "line-4", "line-5", "line-6", "compressor", "chiller"),
}
_OWN_SHARE: Final = 10  # what a feeder sees beyond its lines: a tenth of its own peak
TREE: Final = {
    "plant": ("workshop-1", "workshop-2", "utilities"),
    "workshop-1": ("line-1", "line-2", "line-3"),
    "workshop-2": ("line-4", "line-5", "line-6"),
    "utilities": ("compressor", "chiller"),
}


def specs(count: int) -> tuple[Spec, ...]:
    """The first `count` meters."""
    return tuple(
        Spec(
            device=device, carrier=carrier, flow=Flow.GENERATION if device == "pv-roof" else Flow.IMPORT, node=node,
            gateway=gateway, peak=peak, step=step,
        )
        for device, carrier, node, gateway, peak, step in _ROWS[:count]
    )  # fmt: skip


def loads(found: tuple[Spec, ...], seed: int, days: int, first_weekday: int, lead: int) -> dict[str, "array[int]"]:
    """Device -> its rate in every minute, thousandths an hour; feeders carry what their lines draw."""
    made: dict[str, array[int]] = {}
    for spec in found:
        rng = random.Random(f"load/{seed}/{spec.device}")
        made[spec.device] = array("q", _load(spec, rng, days, first_weekday, lead))
    for feeder in ("workshop-1", "workshop-2", "incomer"):
        if feeder in made:
            below = [made[line] for line in _BELOW[feeder] if line in made]
            own = (rate // _OWN_SHARE for rate in made[feeder])
            made[feeder] = array("q", map(sum, zip(own, *below, strict=True)))
    return made


def _load(spec: Spec, rng: random.Random, days: int, first_weekday: int, lead: int) -> Iterator[int]:
    """Two shifts on working days, the sun for the panels; each day and each minute a little otherwise."""
    profiles = [[_share(spec.device, minute, working) for minute in range(1440)] for working in (False, True)]
    for day in range(-1, days + 1):
        working = (first_weekday + day) % 7 < 5
        whole = spec.peak * rng.randrange(850, 1000) // 1000
        minutes = range(1440 - lead, 1440) if day < 0 else range(lead + 1) if day == days else range(1440)
        profile = profiles[working]
        for minute, noise in zip(minutes, rng.choices(_NOISE, k=len(minutes)), strict=True):
            yield whole * profile[minute] * noise // 1_000_000


def _share(device: str, minute: int, working: bool) -> int:
    """Thousandths of the largest rate: ramps of half an hour between night and shift."""
    if device == "pv-roof":
        return max(0, (minute - 360) * (1080 - minute) * 1000 // 129_600)
    if not working:
        return 300
    ramp = min(max(minute - 420, 0), 30) - min(max(minute - 1320, 0), 30)
    lunch = 80 if 720 <= minute < 780 else 0
    return 300 + 650 * ramp // 30 - lunch


def cumulated(rates: "array[int]") -> "array[int]":
    """What had flowed at the beginning of each minute: sums of rates, thousandths an hour times minutes."""
    return array("q", accumulate(rates, initial=0))
