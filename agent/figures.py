"""BusFigures: how busy a bus is, how fast its meters answer, and what goes wrong on it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from agent.health import BusCounters
from drivers.round_trips import RoundTrips
from metering.faults import Fault

TOLD_BUSES: Final = 16
"""Of so many buses, the busiest, the status tells single figures; of all together the faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusFigures:
    """`use` is the share of the time the bus was asked or waited for (1.0: all of it); `faults` since the start.

    The round trips are sorted only when they are told: a gateway looks often at how busy a hundred buses are.
    """

    use: float
    round_trips: RoundTrips
    faults: Mapping[Fault, int]

    def fields(self) -> dict[str, object]:
        """For the event `bus.figures`: percent, milliseconds and `fault_<kind>`."""
        return {
            "use_percent": round(100 * self.use, 1),
            **{f"{name}_ms": round(1000 * seconds, 2) for name, seconds in self._times()},
            **{f"fault_{fault}": count for fault, count in sorted(self.faults.items())},
        }

    def counters(self, bus: str) -> dict[str, int]:
        """For the status: flat names, whole numbers, microseconds."""
        return {
            f"bus.{bus}.use_percent": round(100 * self.use),
            **{f"bus.{bus}.{name}_us": round(1e6 * seconds) for name, seconds in self._times()},
        }

    def _times(self) -> Iterator[tuple[str, float]]:
        """Names and seconds; none before the first answer."""
        for percent in (50, 99):
            seconds = self.round_trips.percentile(percent)
            if seconds is not None:
                yield f"rtt_p{percent}", seconds


def figures(counters: BusCounters, busy_before_s: float, elapsed_s: float, round_trips: RoundTrips) -> BusFigures:
    """The figures of the `elapsed_s` since `counters.busy_s` was `busy_before_s`."""
    return BusFigures(
        use=min((counters.busy_s - busy_before_s) / elapsed_s, 1.0) if elapsed_s > 0 else 0.0,
        round_trips=round_trips,
        faults=counters.faults,
    )


def status_counters(buses: Mapping[str, BusFigures]) -> dict[str, int]:
    """What the status tells of all buses: faults by kind of all together, and the figures of the busiest."""
    faults: dict[str, int] = {}
    for told in buses.values():
        for fault, count in told.faults.items():
            faults[f"faults.{fault}"] = faults.get(f"faults.{fault}", 0) + count
    busiest = sorted(buses, key=lambda bus: buses[bus].use, reverse=True)[:TOLD_BUSES]
    return faults | {name: count for bus in busiest for name, count in buses[bus].counters(bus).items()}
