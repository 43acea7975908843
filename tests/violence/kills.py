"""Kills the running agent (-9) hundreds of times, the centre now and then, and counts what became of every reading.

Real processes: three simulated meters that count their replies, the agent with a commit interval of 1 s, mosquitto
(which is away half of the time), the centre with its store. After each kill the spool is read from a copy: what is in
it is durable. At the end every durable reading must be in the store once, with its value, and nothing that no meter
said. What was read shortly before a kill may be lost, and what was read after the last one may still wait in the
spool. Exits with 1 when a durable reading is missing or one is there twice or made up, or one that is lost was much
older than the commit interval when the agent was killed.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from bisect import bisect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.chain import COMMIT_S, UNITS, Chain, Told

_REPLIES = (1, 1, 5)  # of each meter before the kill; with five the first commit has been
_MOST_S = 1.2  # and then until the kill
_TURN = 0.1  # of the kills, the broker goes or comes back: without it nothing would stay in the spool to be lost
_STARTING = 0.15  # of the kills hit an agent within its first second, whatever it is at
_CENTRE = 0.05  # of the kills, one of the centre goes with it
_SPARE_S = 5.0  # beyond the commit interval on a busy machine


@dataclass(slots=True)
class Outcome:
    """What a run came to."""

    kills: int = 0
    centre_kills: int = 0
    told: int = 0
    stored: int = 0
    spooled: int = 0
    lost: int = 0
    ages_s: list[float] = field(default_factory=list[float])
    """How old each lost reading was when the agent was killed, ascending."""
    faults: list[str] = field(default_factory=list[str])


def kill_often(chain: Chain, kills: int, chance: Random, done: Callable[[int], None] = lambda _: None) -> Outcome:
    """Kill the agent of the running chain so many times, then let everything settle and compare."""
    outcome = Outcome()
    spooled: Told = set()
    killed_at: list[float] = []
    away = False

    def turn_broker() -> None:
        nonlocal away
        if away:
            chain.broker.start()
        else:
            chain.broker.kill()
        away = not away

    turn_broker()
    for _ in range(kills):
        if chance.random() < _STARTING:
            time.sleep(chance.uniform(0, 1))
        else:
            chain.poll_on(chance.choice(_REPLIES))
            time.sleep(chance.uniform(0, _MOST_S))
        chain.agent.kill()
        killed_at.append(time.monotonic())
        outcome.kills += 1
        spooled |= chain.spooled()
        if chance.random() < _TURN:
            turn_broker()
        if chance.random() < _CENTRE:
            chain.centre.kill()
            chain.centre.start()
            outcome.centre_kills += 1
        chain.agent.start()
        done(outcome.kills)
    if away:
        turn_broker()
    chain.poll_on(4)
    durable = spooled | chain.served()
    stored = chain.settle(durable)
    told = chain.told
    waiting = chain.spooled()  # of the last life, until the centre confirms it or the agent sends it again
    lost = sorted(told - stored - waiting)
    outcome.told, outcome.stored, outcome.spooled, outcome.lost = len(told), len(stored), len(spooled), len(lost)
    killed_at.append(time.monotonic())  # the end: the stop may have cut a poll off
    for device, number in lost:
        at = chain.meters.told_at[UNITS[int(device.removeprefix("meter-")) - 1]][number - 1]
        age_s = killed_at[min(bisect(killed_at, at), kills)] - at
        outcome.ages_s.append(age_s)
        if age_s > COMMIT_S + _SPARE_S:
            outcome.faults.append(f"reading {number} of {device}, {age_s:.1f} s before a kill, is lost")
    outcome.ages_s.sort()
    if missing := durable - stored:
        outcome.faults.append(f"{len(missing)} durable readings are not in the store: {sorted(missing)[:5]}")
    if made_up := stored - told:
        outcome.faults.append(f"{len(made_up)} readings in the store that no meter said: {sorted(made_up)[:5]}")
    return outcome


def table(outcome: Outcome, seconds: float) -> str:
    ages = outcome.ages_s or [0.0]
    rows = (
        ("kills of the agent", f"{outcome.kills:,}"),
        ("kills of the centre", f"{outcome.centre_kills:,}"),
        ("replies of meters", f"{outcome.told:,}"),
        ("in the store, each once", f"{outcome.stored:,}"),
        ("seen in the spool of a killed", f"{outcome.spooled:,}"),
        ("lost, never durable", f"{outcome.lost:,}"),
        ("  age at the kill, p50, max", f"{ages[len(ages) // 2]:.2f} s, {ages[-1]:.2f} s (T = {COMMIT_S:g} s)"),
        ("faults", "; ".join(outcome.faults) or "none"),
        ("took", f"{seconds:,.0f} s"),
    )
    return "\n".join(f"{name:<32}{figure}" for name, figure in rows)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/kills", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=500, metavar="N", help="of the agent (default %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of the moments")
    args = parser.parse_args()
    began = time.monotonic()

    def done(kills: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{kills}/{args.kills} kills", end="", file=sys.stderr, flush=True)

    with (
        tempfile.TemporaryDirectory(prefix="kills-") as name,
        Chain(Path(name), broker_persistent=False, every="400ms") as chain,
    ):
        chain.poll_on(2)
        outcome = kill_often(chain, args.kills, Random(args.seed), done)
        if outcome.faults:
            kept = Path(tempfile.gettempdir()) / f"kills-faults-{args.seed}"
            shutil.copytree(name, kept, dirs_exist_ok=True)
            print(f"logs, spool and store are kept in {kept}")
    print(f"{table(outcome, time.monotonic() - began)}\nseed {args.seed}")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
