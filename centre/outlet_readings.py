"""Tells for which months readings of outlets were stored: no register counts them, so the ledger is silent of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from centre.accounting.calendar import Month, month_of
from centre.accounting.gauge_sums import HOUR_NS
from centre.outlets import Outlet
from centre.plant import Plant
from centre.records import Rules
from metering.parcel import Received


@dataclass(slots=True, kw_only=True)
class OutletReadings:
    """What is stored is noted, and asked for as forwarding.Touched. `plants` and `rules` by site."""

    plants: Mapping[str, Plant]
    rules: Mapping[str, Rules]
    _touched: set[tuple[str, Month]] = field(default_factory=set[tuple[str, Month]])

    def note(self, parcels: Sequence[Received]) -> None:
        """A reading concerns the months of its hour and of all it may hold in."""
        for parcel in parcels:
            rules, plant = self.rules.get(parcel.site), self.plants.get(parcel.site)
            outlets = () if rules is None else rules.terms.outlets
            if plant is None or not outlets:
                continue
            devices = {device for outlet in outlets for device in _devices(outlet)}
            holds = max(rule.hold_ns for outlet in outlets for rule in outlet.rules.averaging)
            hours = {sweep.taken_at // HOUR_NS * HOUR_NS for sweep in parcel.sweeps if sweep.device in devices}
            for at in hours:
                for reached in (at, at + HOUR_NS + holds):
                    self._touched.add((parcel.site, month_of(reached, plant.zone, plant.metering_day)))

    def take(self) -> set[tuple[str, Month]]:
        """The sites and months since this was last asked."""
        taken, self._touched = self._touched, set()
        return taken


def _devices(outlet: Outlet) -> set[str]:
    gauges = (outlet.flow, outlet.oxygen, *(one.gauge for one in outlet.pollutants))
    return {gauge.device for gauge in gauges if gauge is not None}
