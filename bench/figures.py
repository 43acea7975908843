"""The figures of one run from what plant, recorder and kernel saw, and the table that shows them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from probe import Sample

NS = 1_000_000_000
POINTS = 40

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Two looks at the agent and what happened between them."""

    before: Sample
    after: Sample

    def holds(self, at_ns: int) -> bool:
        return self.before.at_ns <= at_ns < self.after.at_ns

    @property
    def seconds(self) -> float:
        return (self.after.at_ns - self.before.at_ns) / NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All that one run left behind; times in UTC ns."""

    meters: int
    started_ns: int
    online: Window
    away: Window | None
    """While the centre sent no committed message; None when that was not measured."""
    asked_ns: Sequence[int]
    messages: Sequence[tuple[int, int, int]]
    """(arrived at, bytes of the packet, readings)."""
    readings: Sequence[tuple[int, int]]
    """(taken at, how many)."""
    duplicates: int


def figures(run: Run) -> dict[str, float]:
    """The figures by name; the units stand in `ROWS`."""
    online = run.online
    asked = [at for at in run.asked_ns if online.holds(at)]
    polled = len(asked) * POINTS
    carried = [(size, count) for at, size, count in run.messages if online.holds(at)]
    late_ms = sorted(_lateness_ms(at) for at in asked)
    last = run.online if run.away is None else run.away
    whole = Window(before=online.before, after=last.after)
    stored = sum(count for at, count in run.readings if whole.holds(at))
    result = {
        "readings_per_s": polled / online.seconds,
        "cpu_s_per_1000": (online.after.cpu_s - online.before.cpu_s) / polled * 1000,
        "wakeups_per_s": (online.after.switches - online.before.switches) / online.seconds,
        "rss_mib": online.after.rss_mib,
        "pss_mib": online.after.pss_mib,
        "wire_bytes": sum(size for size, _ in carried) / max(1, sum(count for _, count in carried)),
        "flash_bytes": (online.after.written - online.before.written) / polled,
        "jitter_p50_ms": quantile(late_ms, 0.5),
        "jitter_p99_ms": quantile(late_ms, 0.99),
        "jitter_max_ms": late_ms[-1],
        "drift_ms": _drift_ms(asked),
        "requests": len(asked) / (run.meters * round(online.seconds)),
        "first_reading_s": (run.messages[0][0] - run.started_ns) / NS,
        "lost": sum(whole.holds(at) for at in run.asked_ns) * POINTS - stored,
        "duplicates": run.duplicates,
    }
    if run.away is not None:
        away = run.away
        kept = sum(away.holds(at) for at in run.asked_ns) * POINTS
        result["rss_away_mib"] = away.after.rss_mib
        result["flash_bytes_away"] = (away.after.written - away.before.written) / kept
    return result


def _lateness_ms(at_ns: int) -> float:
    """Distance of a request from the whole second it was due at."""
    return abs((at_ns + NS // 2) % NS - NS // 2) / 1e6


def _drift_ms(asked: Sequence[int]) -> float:
    """Milliseconds by which the requests got later: the median of the last tenth less that of the first."""
    late = [((at + NS // 2) % NS - NS // 2) / 1e6 for at in sorted(asked)]
    tenth = max(1, len(late) // 10)
    return quantile(sorted(late[-tenth:]), 0.5) - quantile(sorted(late[:tenth]), 0.5)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of what is in order: `share` of them are not larger."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; `goal` holds for the plant of 10 meters, `goal_100` for that of 100."""

    name: str
    words: str
    digits: int = 1
    goal: float | None = None
    goal_100: float | None = None


ROWS = (
    Row(name="readings_per_s", words="readings/s", digits=0),
    Row(name="cpu_s_per_1000", words="CPU s per 1000 readings", digits=5, goal=0.008, goal_100=0.003),
    Row(name="wakeups_per_s", words="wake-ups/s"),
    Row(name="rss_mib", words="RSS, MiB", goal=45, goal_100=45),
    Row(name="rss_away_mib", words="  while the centre is away"),
    Row(name="pss_mib", words="PSS, MiB"),
    Row(name="wire_bytes", words="wire bytes per reading", digits=2),
    Row(name="flash_bytes", words="flash bytes per reading", digits=3),
    Row(name="flash_bytes_away", words="  while the centre is away", digits=2),
    Row(name="jitter_p50_ms", words="poll jitter p50, ms", digits=2),
    Row(name="jitter_p99_ms", words="poll jitter p99, ms", digits=2, goal_100=5),
    Row(name="jitter_max_ms", words="poll jitter max, ms", digits=2),
    Row(name="drift_ms", words="drift over the window, ms", digits=2),
    Row(name="requests", words="requests, meter and cycle", digits=3, goal=1, goal_100=1),
    Row(name="first_reading_s", words="start to first parcel, s"),
    Row(name="lost", words="lost readings", digits=0, goal=0, goal_100=0),
    Row(name="duplicates", words="parcels' sweeps seen twice", digits=0),
)
_DECODE_GOALS = {"bench-meter": 80.0}
_READ_GOAL = 2.5


def table(runs: Mapping[int, Figures], decode_ns: Mapping[str, float], read_us: Mapping[str, float]) -> str:
    """Everything for people; `runs` by number of meters, `decode_ns` by profile, `read_us` by who reads."""
    heads = [f"{meters} x {POINTS}" for meters in runs]
    goals = f"{'goal, 10 x 40':>18}{'goal, 100 x 40':>18}"
    lines = [f"{'agent, polled every second':<28}{''.join(f'{head:>12}' for head in heads)}{goals}"]
    for row in ROWS:
        cells = "".join(
            f"{run[row.name]:>12.{row.digits}f}" if row.name in run else f"{'-':>12}" for run in runs.values()
        )
        goals = "".join(
            f"{_goal(goal, runs.get(meters, {}).get(row.name)):>18}"
            for meters, goal in ((10, row.goal), (100, row.goal_100))
        )
        lines.append(f"{row.words:<28}{cells}{goals}".rstrip())
    lines += ["", "decode, ns per value"]
    lines += [
        f"  {profile:<26}{ns:>12.1f}{_goal(_DECODE_GOALS.get(profile), ns):>16}" for profile, ns in decode_ns.items()
    ]
    ratio = read_us["ours"] / read_us["libmodbus"]
    lines += ["", "one TCP read of 60 registers, us of CPU"]
    lines += [f"  {who:<26}{us:>12.1f}" for who, us in read_us.items()]
    lines += [f"  {'times libmodbus':<26}{ratio:>12.2f}{_goal(_READ_GOAL, ratio):>16}"]
    return "\n".join(lines)


def _goal(goal: float | None, reached: float | None) -> str:
    if goal is None:
        return ""
    verdict = "" if reached is None else "  met" if reached <= goal else "  MISSED"
    return f"<= {goal:g}{verdict}"
