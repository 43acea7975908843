"""The whole product through 500 seeds of faults: 6 virtual hours each, every reply of a meter accounted for."""

import pytest
from simulation.main import run_seeds

from support.sim_run import run_seed
from support.sim_schedule import schedule

CHUNKS, CHUNK = 25, 20
"""Small enough to share among processes, large enough that a broken schedule generator is seen in each."""


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_what_meters_told_is_stored_once_under_its_time_or_lost_for_an_allowed_cause(chunk: int) -> None:
    first = 1 + chunk * CHUNK
    tally = run_seeds(range(first, first + CHUNK))
    failures = [f"scripts/simulation --seed {seed}: {why}" for seed, why in tally.failures]
    assert not failures, "\n".join(failures[:5])
    assert sum(outcome.kills for outcome in tally.outcomes) > CHUNK, "the schedules have become too tame"


def test_a_schedule_hangs_on_its_seed_alone() -> None:
    assert schedule(7) == schedule(7)
    assert schedule(7) != schedule(8)


def test_a_run_is_the_same_each_time() -> None:
    assert run_seed(3) == run_seed(3)
