"""A simulated plant year through the real store, ledger and statements: in order, and in any order, against the truth.

Every kind of thing that happens to meters happens in it; --help tells how to make it smaller. Ends with 1 when the two
books differ, when they do not sum up to what the registers say, or when a measured figure is off by more than 0.01 %.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from centre.store.base import Grain
from support.plant_year import Size, Year, plan
from support.plant_year_books import books, differences
from support.plant_year_delivery import Order
from support.plant_year_files import setup
from support.plant_year_registers import Register, registers
from support.plant_year_truth import LIMIT, Deviations, Headline, deviations, headlines, lost_or_made


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one delivery came to."""

    readings: int
    cpu_s: float
    took_s: float


def keep(year: Year, order: Order, looks: int, folder: Path) -> Kept:
    """Make the books of one order in a file of `folder`."""

    async def main() -> Kept:
        began, cpu = time.monotonic(), time.process_time()
        found = registers(year)
        (folder / order).mkdir()
        async with books(year, setup(year, found, folder / order), folder / f"{order}.db") as made:
            readings = await made.keep(found, order, 1, looks, _tell)
        return Kept(readings=readings, cpu_s=time.process_time() - cpu, took_s=time.monotonic() - began)

    return asyncio.run(main())


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _events(year: Year) -> list[str]:
    changes = [f"{device}: {event.change} at minute {event.out}" for device, event in year.events.items()]
    changes += [f"{device}: rolls over" for device in sorted(year.rolls)]
    lines = [
        f"{cut.gateway}: cut off for {(cut.last - cut.first) / 60:.1f} h, "
        + ("lost" if cut.late is None else f"late by {cut.late / 60:.1f} h")
        for cut in year.outages
    ]
    return [*changes, *lines, *(f"{device}: misread at minute {at}" for device, at in year.misreads)]


async def judge(year: Year, found: tuple[Register, ...], folder: Path) -> int:
    """Compare and print; 1 when something is wrong."""
    rules = setup(year, found, folder)
    one, other = (folder / f"{order}.db" for order in (Order.SORTED, Order.SHUFFLED))
    async with books(year, rules, one) as in_order, books(year, rules, other) as shuffled:
        apart = await differences(in_order, shuffled)
        wrong = await lost_or_made(in_order, found)
        by_grain = await deviations(in_order, found)
        told = await headlines(in_order, found)
    off = [line for line in told if line.measured and line.off > LIMIT]
    far = [grain for grain, one_grain in by_grain.items() if one_grain.worst_beyond > LIMIT]
    far += [grain for grain in (Grain.DAY, Grain.MONTH) if by_grain[grain].worst > LIMIT]
    _print(by_grain, told)
    print("\n".join([*apart, *wrong]))
    print(f"books of sorted and of shuffled arrivals: {'DIFFERENT' if apart else 'identical'}")
    print(f"intervals and registers: {'DIFFERENT' if wrong else 'the same to the last digit'}")
    print(
        f"measured, and off by more than {float(LIMIT):.2%}: {', '.join([*far, *(line.month for line in off)]) or 'none'}"
    )
    return 1 if apart or wrong or off or far else 0


def _print(by_grain: dict[Grain, Deviations], told: list[Headline]) -> None:
    for grain, found in by_grain.items():
        flags = ", ".join(f"{flag} {count:,}" for flag, count in sorted(found.flags.items()))
        print(
            f"{grain:<8}{found.measured:>10,} measured and whole, off by {float(found.worst):.6%} at worst, beyond the"
            f" register's own step {float(found.worst_beyond):.6%}; {found.strict:,} within 0.01 %; flags: {flags}"
        )
    for line in told:
        quality = "measured" if line.measured else "estimated in part"
        print(f"{line.month} {line.name:<5}{line.told:>18,.3f} {quality}, off by {float(line.off):.6%}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/plant-year", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what happens when (default %(default)s)")
    parser.add_argument(
        "--first", type=date.fromisoformat, default=Size().first, help="first day (default %(default)s)"
    )
    parser.add_argument("--days", type=int, default=Size().days, help="default %(default)s")
    parser.add_argument("--meters", type=int, default=Size().meters, help="3 to 20 (default %(default)s)")
    parser.add_argument("--every", type=int, default=Size().every, help="minutes between polls (default %(default)s)")
    parser.add_argument("--looks", type=int, default=2, help="of the ledger while parcels come (default %(default)s)")
    arguments = parser.parse_args()
    size = Size(first=arguments.first, days=arguments.days, meters=arguments.meters, every=arguments.every)
    year = plan(arguments.seed, size)
    print("\n".join(_events(year)))
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(2) as pool:
        folder = Path(name)
        orders = (Order.SORTED, Order.SHUFFLED)
        running = {order: pool.submit(keep, year, order, arguments.looks, folder) for order in orders}
        for order, future in running.items():
            kept = future.result()
            print(f"{order}: {kept.readings:,} readings, {kept.took_s:,.0f} s, CPU {kept.cpu_s:,.0f} s", flush=True)
        return asyncio.run(judge(year, registers(year), folder))


if __name__ == "__main__":
    sys.exit(main())
