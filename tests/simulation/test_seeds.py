"""The whole product through seeded faults: 6 virtual hours a seed, every reply of a meter accounted for."""

import pytest

from support.sim_schedule import schedule
from support.sim_world import run_seed

CHUNK, CHUNKS = 10, 5


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_what_meters_told_is_stored_once_under_its_time_or_lost_for_an_allowed_cause(chunk: int) -> None:
    for seed in range(1 + chunk * CHUNK, 1 + (chunk + 1) * CHUNK):
        try:
            run_seed(seed)
        except Exception as err:
            raise AssertionError(f"scripts/simulation --seed {seed}: {err}") from err


def test_a_schedule_hangs_on_its_seed_alone() -> None:
    assert schedule(7) == schedule(7)
    assert schedule(7) != schedule(8)


def test_a_run_is_the_same_each_time() -> None:
    assert run_seed(3) == run_seed(3)
