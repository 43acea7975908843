"""The simulation has teeth: each small wrong in the product is seen by one of the first seeds."""

import pytest
from mutants.catalogue import MUTANTS, Mutant

from support.sim_world import run_seed

SEEDS = 10
QUICK = {
    "release by PUBACK",
    "epoch never rises",
    "seq reused",
    "RAM forgotten on failure",
    "releases never deleted",
    "generation not raised",
    "cancellation swallowed",
    "backlog ends early",
    "watermark off by one",
    "row overwritten",
    "time of the boundary",
    "told twice",
    "store does not commit",
    "numbers without readings",
}
"""Those the first few seeds see; scripts/mutants tries all."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "mutant", [mutant for mutant in MUTANTS if mutant.name in QUICK], ids=lambda mutant: mutant.name
)
def test_a_wrong_is_seen_by_one_of_the_first_seeds(mutant: Mutant) -> None:
    with mutant.applied():
        for seed in range(1, SEEDS + 1):
            try:
                run_seed(seed)
            except Exception:
                return
    pytest.fail(f"{mutant.name} survives seeds 1 to {SEEDS}")
