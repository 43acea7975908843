"""Runs seeds of the simulation against each mutant until one catches it, and prints a table."""

import argparse
import gc
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mutants.catalogue import MUTANTS, Mutant

from support.sim_run import run_seed


def catch(mutant: Mutant, seeds: int) -> tuple[int, str] | None:
    """The first seed that fails and why; None when all pass."""
    with mutant.applied():
        for seed in range(1, seeds + 1):
            try:
                run_seed(seed)
            except Exception as err:
                return seed, f"{type(err).__name__}: {err}".splitlines()[0]
            gc.collect()
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=60, help="seeds to try on each (default %(default)s)")
    parser.add_argument("--only", default="", help="mutants whose name holds this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    arguments = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if arguments.only in mutant.name]
    survivors = 0
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for mutant, caught in zip(mutants, pool.map(partial(catch, seeds=arguments.seeds), mutants), strict=True):
            survivors += caught is None
            seed, why = caught or ("-", "SURVIVES")
            print(f"{mutant.name:<34}{seed:>5}  {why[:110]}", flush=True)
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
