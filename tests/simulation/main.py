"""Runs seeds of the simulation: each is six virtual hours of the whole product with everything going wrong.

A seed that fails prints the line that runs it again; `--seed N` runs one, with its faults and all events.
"""

import argparse
import gc
import os
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.sim_schedule import HOURS, schedule
from support.sim_world import Outcome, run_seed

_CHUNK = 10


@dataclass(frozen=True, slots=True)
class Tally:
    """What some seeds came to; `cpu_s` of this process."""

    outcomes: tuple[Outcome, ...]
    failures: tuple[tuple[int, str], ...]
    cpu_s: float


def run_seeds(seeds: range) -> Tally:
    outcomes: list[Outcome] = []
    failures: list[tuple[int, str]] = []
    began = time.process_time()
    gc.disable()
    for seed in seeds:
        try:
            outcomes.append(run_seed(seed))
        except BaseException as err:
            if isinstance(err, KeyboardInterrupt):
                raise
            failures.append((seed, f"{type(err).__name__}: {err}"))
        gc.collect()
    return Tally(tuple(outcomes), tuple(failures), time.process_time() - began)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulation", description=__doc__)
    parser.add_argument("--seeds", default="1-100", help="a range such as 1-10000 (default %(default)s)")
    parser.add_argument("--seed", type=int, help="one seed, with its faults and all events")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return _one(arguments.seed)
    first, _, last = arguments.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    tallies: list[Tally] = []
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for tally in pool.map(run_seeds, chunks):
            tallies.append(tally)
            for seed, why in tally.failures:
                print(f"FAILED {why[:600]}\n  scripts/simulation --seed {seed}", flush=True)
            done = sum(len(each.outcomes) + len(each.failures) for each in tallies)
            if sys.stderr.isatty():
                print(f"\r{done}/{len(seeds)} seeds", end="", file=sys.stderr, flush=True)
    return _summary(tallies)


def _one(seed: int) -> int:
    plot = schedule(seed)
    print(f"seed {seed}: devices {plot.devices}, every {plot.interval_s} s")
    print("\n".join(map(str, plot.faults)))
    try:
        print(run_seed(seed, events=True))
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _summary(tallies: list[Tally]) -> int:
    outcomes = [outcome for tally in tallies for outcome in tally.outcomes]
    failed = sum(len(tally.failures) for tally in tallies)
    cpu_s = sum(tally.cpu_s for tally in tallies)
    ran = len(outcomes) + failed
    for name, figure in (
        ("seeds", f"{ran:,} of {HOURS} h"),
        ("failed", f"{failed:,}"),
        ("replies of meters", f"{sum(outcome.told for outcome in outcomes):,}"),
        ("lost within the guarantee", f"{sum(outcome.lost for outcome in outcomes):,}"),
        ("kills", f"{sum(outcome.kills for outcome in outcomes):,}"),
        ("parcels delivered again", f"{sum(outcome.redelivered for outcome in outcomes):,}"),
        ("CPU", f"{cpu_s:,.1f} s, {cpu_s / max(ran, 1):.2f} s a seed"),
    ):
        print(f"{name:<28}{figure}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
