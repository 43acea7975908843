"""BusFigures: how busy a bus is, how fast its meters answer, and what goes wrong on it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.health import BusCounters
from drivers.round_trips import RoundTrips
from metering.faults import Fault

TOLD_BUSES: Final = 16
"""Of so many buses, the busiest, the status tells single figures; of all together the faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusFigures:
    """`use` is the share of the time the bus was asked or waited for (1.0: all of it); round trips in s, None before
    the first answer; `faults` since the start."""

    use: float
    rtt_p50_s: float | None
    rtt_p99_s: float | None
    faults: Mapping[Fault, int]

    def fields(self) -> dict[str, object]:
        """For the event `bus.figures`: percent, milliseconds and `fault_<kind>`."""
        times = {"rtt_p50_ms": self.rtt_p50_s, "rtt_p99_ms": self.rtt_p99_s}
        return {
            "use_percent": round(100 * self.use, 1),
            **{name: round(1000 * seconds, 2) for name, seconds in times.items() if seconds is not None},
            **{f"fault_{fault}": count for fault, count in sorted(self.faults.items())},
        }

    def counters(self, bus: str) -> dict[str, int]:
        """For the status: flat names, whole numbers, microseconds."""
        times = {"rtt_p50_us": self.rtt_p50_s, "rtt_p99_us": self.rtt_p99_s}
        return {
            f"bus.{bus}.use_percent": round(100 * self.use),
            **{f"bus.{bus}.{name}": round(1e6 * seconds) for name, seconds in times.items() if seconds is not None},
        }


def figures(counters: BusCounters, busy_before_s: float, elapsed_s: float, round_trips: RoundTrips) -> BusFigures:
    """The figures of the `elapsed_s` since `counters.busy_s` was `busy_before_s`."""
    return BusFigures(
        use=min((counters.busy_s - busy_before_s) / elapsed_s, 1.0) if elapsed_s > 0 else 0.0,
        rtt_p50_s=round_trips.percentile(50),
        rtt_p99_s=round_trips.percentile(99),
        faults=dict(counters.faults),
    )


def status_counters(buses: Mapping[str, BusFigures]) -> dict[str, int]:
    """What the status tells of all buses: faults by kind of all together, and the figures of the busiest."""
    faults: dict[str, int] = {}
    for told in buses.values():
        for fault, count in told.faults.items():
            faults[f"faults.{fault}"] = faults.get(f"faults.{fault}", 0) + count
    busiest = sorted(buses, key=lambda bus: buses[bus].use, reverse=True)[:TOLD_BUSES]
    return faults | {name: count for bus in busiest for name, count in buses[bus].counters(bus).items()}
