"""Half-hour schedules, each with the few faults that a kind of wrong cannot hide from: cheaper and surer than a seed."""

from typing import Final

from support.sim_schedule import Fault, Schedule


def _plot(
    *faults: tuple[float, str, float, float], interval_s: int = 30, window: int = 20, side_files: bool = False
) -> Schedule:
    """`faults`: at (s), kind, lasts (s), size."""
    made = tuple(Fault(at, kind, lasts, size) for at, kind, lasts, size in faults)
    return Schedule(0, interval_s, (2,), made, length_s=1800.0, window=window, side_files=side_files)


PLOTS: Final = {
    "outage, stop, kill": _plot(
        (60, "broker down", 400, 0), (225, "agent restarted", 5, 0), (400, "agent killed", 20, 0), window=3
    ),
    "failing disk": _plot(
        (50, "broker down", 500, 0), (100, "disk fails", 200, 0), (420, "agent loses power", 20, 0), window=3
    ),
    "killed with side files": _plot(
        (60, "broker swallows", 250, 0), (272, "agent killed", 20, 0), interval_s=5, side_files=True
    ),
    "lost at the broker": _plot((60, "broker swallows", 150, 0)),
    "lost here and there": _plot((60, "committed lost", 400, 0), (60, "broker loses some", 400, 0.5)),
    "every other one lost": _plot((60, "committed lost", 600, 0), (60, "broker loses some", 595, 0.5)),
    "released in a commit": _plot((60, "committed late", 400, 0.33), (60, "disk slow", 400, 0.9)),
    "few in flight": _plot((60, "acks lost", 200, 0.7), (250, "agent cut off", 0, 0), interval_s=180, window=2),
    "one acknowledgement lost": _plot(
        (60, "broker loses some", 95, 1.0), (60, "committed lost", 95, 0), (60, "acks lost", 95, 1.0)
    ),
    "late acknowledgements": _plot((60, "acks late", 400, 1.0), (60, "broker slow", 400, 0.9), window=2),
    "half open": _plot((50, "broker slow", 60, 0.9), (62, "agent half open", 0, 0)),
    "refused": _plot((60, "topic refused", 120, 0)),
    "forged": _plot((60, "broker swallows", 230, 0), (280, "agent killed, word forged", 20, 0)),
    "partly written": _plot((60, "store partial", 200, 0), (300, "centre killed after write", 20, 0)),
}
