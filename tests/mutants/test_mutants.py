"""The simulation has teeth: each small wrong in the product is seen by a seed of the few that see it."""

import gc

import pytest
from mutants.catalogue import MUTANTS, Mutant

from support.sim_world import run_seed

SEEN_BY = {
    "release by PUBACK": (12, 13, 14),
    "epoch never rises": (1, 2, 4),
    "seq reused": (1, 2, 3),
    "RAM forgotten on failure": (3, 11, 12),
    "releases never deleted": (1, 2, 3),
    "generation not raised": (1, 5),
    "cancellation swallowed": (1, 2, 3),
    "backlog ends early": (3, 10, 20),
    "watermark off by one": (8, 9, 10),
    "row overwritten": (1, 3, 5),
    "time of the boundary": (1, 2, 3),
    "told twice": (1, 2, 3),
    "store does not commit": (1, 2, 3),
    "numbers without readings": (1, 2, 3),
}
"""The first seeds that saw each, by `scripts/mutants`, which tries all mutants on all its seeds."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # tasks of a run that broke off
@pytest.mark.parametrize(
    "mutant", [mutant for mutant in MUTANTS if mutant.name in SEEN_BY], ids=lambda mutant: mutant.name
)
def test_a_wrong_is_seen_by_one_of_its_seeds(mutant: Mutant) -> None:
    seeds = SEEN_BY[mutant.name]
    with mutant.applied():
        for seed in seeds:
            try:
                run_seed(seed)
            except Exception:
                gc.collect()
                return
    pytest.fail(f"{mutant.name} survives seeds {seeds}")
