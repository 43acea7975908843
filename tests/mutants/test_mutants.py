"""The simulation has teeth: each small wrong in the product is seen by a schedule of the few that see it."""

import gc

import pytest
from mutants.catalogue import MUTANTS, Mutant
from mutants.plots import PLOTS

from support.sim_run import run_schedule
from support.sim_schedule import schedule

SEEN_BY: dict[str, tuple[str | int, ...]] = {
    "release by PUBACK": ("lost at the broker", "lost here and there"),
    "epoch never rises": ("outage, stop, kill", 1),
    "seq reused": ("lost at the broker", "lost here and there"),
    "stop without commit": ("outage, stop, kill", 7, 29),
    "commit late": ("outage, stop, kill", "failing disk"),
    "RAM forgotten on failure": ("failing disk", 3, 8),
    "release lost in commit": ("released in a commit", 22, 35),
    "releases never deleted": ("outage, stop, kill", "failing disk"),
    "generation not raised": ("failing disk", 3, 12),
    "cancellation swallowed": (1, 2),
    "no re-send in a connection": ("lost at the broker", "lost here and there"),
    "no re-send after reconnect": ("half open", 6, 27),
    "in flight for ever": ("few in flight", 3, 12),
    "one in flight for ever": ("one acknowledgement lost",),
    "unsent counts as stored": ("forged", 1, 19),
    "backlog ends early": ("outage, stop, kill", 3, 5),
    "live lane skips": ("refused", 13, 35),
    "watermark off by one": ("lost at the broker", "half open"),
    "side files not taken over": ("killed with side files",),
    "side files go too early": ("killed with side files",),
    "row overwritten": (1, 2),
    "delete takes the gap": ("every other one lost", 5, 40),
    "delete one more": ("lost at the broker", 5, 10),
    "time of the boundary": ("lost at the broker",),
    "told twice": ("lost at the broker",),
    "half a sweep": ("lost at the broker",),
    "gaps are never settled": ("lost at the broker",),
    "store keeps what fails": ("partly written", 5),
    "spins while the window is full": ("few in flight", 10),
    "store does not commit": ("lost at the broker",),
    "numbers without readings": ("lost at the broker",),
    "a copy counts anew": ("lost here and there", "partly written"),
}
"""Short schedules by name, and seeds that saw each in `scripts/mutants`, which tries all mutants on many seeds."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # tasks of a run that broke off
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_wrong_is_seen_by_one_of_its_schedules(mutant: Mutant) -> None:
    with mutant.applied():
        for name in SEEN_BY[mutant.name]:
            plot = schedule(name) if isinstance(name, int) else PLOTS[name]
            try:
                run_schedule(plot)
            except Exception:
                gc.collect()
                return
    pytest.fail(f"{mutant.name} survives {SEEN_BY[mutant.name]}")


def test_without_a_wrong_the_short_schedules_pass() -> None:
    for plot in PLOTS.values():
        run_schedule(plot)
