"""Runs seeds of the simulation: each is six virtual hours of the whole product with everything going wrong.

A seed that fails prints the line that runs it again; `--seed N` runs one, with its faults and all events. `--calls` is
another exercise: in a short run each call through each port (the n-th commit, publish, connect, store write,
acknowledgement, reply of a meter) fails, or is the last that its process does, for all n.
"""

import argparse
import gc
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulation.calls import Call, all_calls

from support.sim_run import run_seed
from support.sim_schedule import HOURS, schedule
from support.sim_world import Outcome
from wattline.events import start_logging

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
    with _one_collection_a_seed() as collect:
        for seed in seeds:
            try:
                outcomes.append(run_seed(seed))
            except Exception as err:
                failures.append((seed, f"{type(err).__name__}: {err}"))
            collect()
    return Tally(tuple(outcomes), tuple(failures), time.process_time() - began)


@contextmanager
def _one_collection_a_seed() -> Generator[Callable[[], object]]:
    gc.disable()
    gc.freeze()  # else each collection looks at all that was imported
    try:
        yield gc.collect
    finally:
        gc.unfreeze()
        gc.enable()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulation", description=__doc__)
    parser.add_argument("--seeds", default="1-100", help="a range such as 1-10000 (default %(default)s)")
    parser.add_argument("--seed", type=int, help="one seed, with its faults and all events")
    parser.add_argument("--calls", action="store_true", help="every call of a short run, instead of seeds")
    parser.add_argument("--call", type=Call.of, help="one of these, with all events, as a failure prints it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return _one(arguments.seed)
    if arguments.call is not None:
        return _one_call(arguments.call)
    if arguments.calls:
        return _calls(arguments.jobs)
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


def _calls(jobs: int) -> int:
    """Every call with every order; prints how many there were of each port."""
    calls = list(all_calls())
    failed = 0
    with ProcessPoolExecutor(jobs) as pool:
        for call, why in zip(calls, pool.map(Call.try_it, calls, chunksize=_CHUNK), strict=True):
            if why is not None:
                failed += 1
                print(f"FAILED {why[:600]}\n  scripts/simulation --call '{call}'", flush=True)
    for port, count in Counter(call.port for call in calls).items():
        print(f"{port:<28}{count:,}")
    print(f"{failed} of {len(calls):,} failed")
    return 1 if failed else 0


def _one_call(call: Call) -> int:
    start_logging()
    why = call.try_it(events=True)
    print(why or "all is well")
    return 0 if why is None else 1


def _one(seed: int) -> int:
    start_logging()
    plot = schedule(seed)
    print(f"seed {seed}: devices {plot.devices}, every {plot.interval_s} s, {plot.window} parcels in flight at most")
    if plot.side_files:
        print("with side files")
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
