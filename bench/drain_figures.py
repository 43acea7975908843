"""The figures of one drain from what the watcher, the plant and the kernel saw, and the table that shows them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from figures import NS, Figures, quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """What one drain left behind; times in UTC ns."""

    backlog: int
    """Readings of it."""
    parcels: int
    polled_per_s: float
    """Readings the plant is set to give meanwhile."""
    first_at: int
    """When the first parcel reached the broker."""
    progress: Sequence[tuple[int, int]]
    """(when the centre's word came, parcels of the backlog it covers)."""
    lags: Sequence[tuple[int, int, int]]
    """(taken at, ns until the centre's word covered it, readings) of live readings."""
    cpu_s: Mapping[str, float]
    """CPU time during the drain, by process."""
    rss_mib: float
    """Of the agent, right after the drain."""
    lost: int | None
    """Readings that the plant gave and the store has not; None when there was no store."""


def figures(drain: Drain) -> dict[str, float]:
    """The figures by name; the units stand in `ROWS`."""
    drained_at = next(at for at, held in drain.progress if held >= drain.parcels)
    seconds = (drained_at - drain.first_at) / NS
    live = [each for each in drain.lags if drain.first_at <= each[0] < drained_at]
    lags_s = sorted(lag / NS for _, lag, _ in live)
    result = {
        "backlog": drain.backlog,
        "seconds": seconds,
        "rate": drain.backlog / seconds,
        "times_live": drain.backlog / seconds / drain.polled_per_s,
        "live": sum(readings for _, _, readings in live) / seconds,
        "rss_mib": drain.rss_mib,
    }
    result |= {f"cpu_{name}": used / seconds for name, used in drain.cpu_s.items()}
    if lags_s:  # none when the drain was over sooner than a parcel of live ones was sealed
        result |= {"lag_p50_s": quantile(lags_s, 0.5), "lag_p99_s": quantile(lags_s, 0.99), "lag_max_s": lags_s[-1]}
    if drain.lost is not None:
        result["lost"] = drain.lost
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; at most one of the two goals."""

    name: str
    words: str
    digits: int = 1
    least: float | None = None
    most: float | None = None

    def goal(self, reached: float | None) -> str:
        """The goal, and whether it was met."""
        bound = self.least if self.most is None else self.most
        if bound is None:
            return ""
        verdict = "" if reached is None else "  met" if self.met(reached) else "  MISSED"
        return f"{'>=' if self.most is None else '<='} {bound:g}{verdict}"

    def met(self, reached: float) -> bool:
        return (self.least is None or reached >= self.least) and (self.most is None or reached <= self.most)


ROWS = (
    Row(name="backlog", words="backlog, readings", digits=0),
    Row(name="seconds", words="drained in, s"),
    Row(name="rate", words="readings/s", digits=0),
    Row(name="times_live", words="times live", least=20),
    Row(name="live", words="live readings/s meanwhile", digits=0),
    Row(name="lag_p50_s", words="live lag p50, s", digits=2),
    Row(name="lag_p99_s", words="live lag p99, s", digits=2),
    Row(name="lag_max_s", words="live lag max, s", digits=2, most=10),
    Row(name="lost", words="lost readings", digits=0, most=0),
    Row(name="cpu_agent", words="cores used: agent", digits=2),
    Row(name="cpu_broker", words="            broker", digits=2),
    Row(name="cpu_centre", words="            centre", digits=2),
    Row(name="rss_mib", words="agent's RSS, MiB"),
)


def table(runs: Mapping[str, Figures]) -> str:
    """Everything for people; `runs` by what confirmed."""
    lines = [f"{'drain of a backlog':<28}{''.join(f'{name:>14}' for name in runs)}{'goal':>18}"]
    for row in ROWS:
        reached = [run.get(row.name) for run in runs.values()]
        cells = "".join(f"{'-':>14}" if each is None else f"{each:>14.{row.digits}f}" for each in reached)
        known = [each for each in reached if each is not None]
        worst = (max if row.most is not None else min)(known) if known else None
        lines.append(f"{row.words:<28}{cells}{row.goal(worst):>18}".rstrip())
    return "\n".join(lines)
