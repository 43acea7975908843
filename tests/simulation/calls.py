"""A short run in which one call through one port fails, or is the last thing its process does: for any call."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from support.sim_orders import ORDERS
from support.sim_run import run_schedule
from support.sim_schedule import Fault, Schedule

PLOT = Schedule(seed=0, interval_s=30, devices=(2,), faults=(Fault(60.0, "broker down", 400.0, 0.0),), length_s=1800.0)
"""Twenty minutes with an outage, into which the commits of parcels fall, and ten for what has to be sent again."""


@dataclass(frozen=True, slots=True)
class Call:
    """The n-th call through a port, and what becomes of it."""

    port: str
    n: int
    order: str

    def __str__(self) -> str:
        return f"{self.port}:{self.n}:{self.order}"

    @classmethod
    def of(cls, text: str) -> "Call":
        """Raises ValueError when `text` is not what str makes of a call."""
        port, n, order = text.split(":")
        return cls(port, int(n), order)

    def try_it(self, *, events: bool = False) -> str | None:
        """Why the guarantee does not hold; None when it does."""
        try:
            run_schedule(PLOT, orders={(self.port, self.n): self.order}, events=events)
        except Exception as err:
            return f"{type(err).__name__}: {err}"
        return None


def counts() -> Mapping[str, int]:
    """Calls through each port when all goes well."""
    return run_schedule(PLOT).calls


def all_calls() -> Iterator[Call]:
    for port, count in counts().items():
        for n in range(1, count + 1):
            for order in ORDERS:
                if (port, order) != ("meter read", "fail after"):  # a reply that never arrives was not told
                    yield Call(port, n, order)
