"""Cuts the power of an agent's spool, again and again, and looks whether all that was durable is there.

A victim runs the product's spool on an ext4 whose disk logs every write and flush (a FUSE file under a loop device); it
is killed and started again once in a recording. Then the disk is rebuilt as it may have been at a random moment: all
that was flushed, any part of the rest, some blocks torn into sectors of 512 bytes. It is mounted and the product's spool
started on it. The next recording goes on with the image of the last cut. Exits with 1 when a durable parcel is
missing or changed, an epoch comes twice, or the spool or the file system did not simply start. Needs root.
"""

import argparse
import asyncio
import random
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from violence import power_victim
from violence.power_disk import logging_disk, mount, run, unfit, unmount
from violence.power_log import Fate, Record, Replay, records_of
from violence.power_victim import Told, everything_in, spool_on, sweep_of

from agent.spool_disk import SqliteDisk
from metering.parcel import ParcelId
from support.small_disk import small_disk
from wattline.events import capture_events

IMAGE_MB = 48
PRODUCT = ("PERSIST", "FULL")
_CUTS = 20  # of one recording
_SESSION_S = 1.5  # of a victim; two make a recording
_SMOOTH = {"spool.opened"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a spool holds: the checksum of each parcel's bytes, its readings; `epoch`: the latest it has used."""

    epoch: int = 0
    parcels: dict[ParcelId, tuple[int, int]] = field(default_factory=dict[ParcelId, tuple[int, int]])


@dataclass(slots=True)
class Totals:
    """What all cuts came to."""

    cuts: int = 0
    recordings: int = 0
    writes: int = 0
    flushes: int = 0
    commits: int = 0
    durable_parcels: int = 0
    durable_readings: int = 0
    lost_parcels: int = 0
    lost_readings: int = 0
    cuts_with_losses: int = 0
    fate: Fate = field(default_factory=Fate)
    faults: Counter[str] = field(default_factory=Counter[str])


def cut_often(cuts: int, chance: Random, totals: Totals, *, journal: Sequence[str] = PRODUCT) -> Iterator[str]:
    """Make so many cuts; gives for each what it cost that it must not cost, "" when nothing. `totals` follows.

    The victims have SQLite's journal_mode and synchronous set to `journal`; what is cut is started by the product.
    """
    with TemporaryDirectory(prefix="powercut-") as name, small_disk(Path(name) / "ram", 1024) as ram:
        image = ram.path / "image"
        _format(image)
        before = Held()
        while totals.cuts < cuts:
            told, log = _record(ram.path, image, chance, journal)
            totals.recordings += 1
            records = records_of(log)
            totals.writes += sum(bool(record.data) for record in records)
            totals.flushes += sum(not record.data for record in records)
            totals.commits += sum(each.what == "epoch" for each in told)
            kinds = _moments(records, told)
            moments = sorted(chance.choice(chance.choice(kinds)) for _ in range(min(_CUTS, cuts - totals.cuts)))
            replay, after = Replay(image.read_bytes(), records), before
            for moment in moments:
                content, fate = replay.cut(moment, chance)
                (ram.path / "cut").write_bytes(content)
                totals.cuts += 1
                totals.fate.kept += fate.kept
                totals.fate.dropped += fate.dropped
                totals.fate.torn += fate.torn
                wrong, after = _judge(ram.path, before, [each for each in told if each.at <= moment], chance, totals)
                where = f"cut {totals.cuts}, {moment} of {len(log)} bytes into its recording"
                yield f"{where}: {', '.join(wrong)}" if wrong else ""
            (ram.path / "cut").replace(image)
            before = after


def _moments(records: Sequence[Record], told: Sequence[Told]) -> list[list[int]]:
    """Sizes of the log at which to cut: any, with all at risk that ever is, and when a commit has just returned."""
    before_flush = [one.end for one, other in pairwise(records) if one.data and not other.data]
    returned = [each.at for each in told if each.what == "kept"]
    return [[record.end for record in records], before_flush, returned]


def _format(image: Path) -> None:
    with image.open("wb") as file:
        file.truncate(IMAGE_MB * 1024 * 1024)
    at_once = "lazy_itable_init=0,lazy_journal_init=0"
    run("mkfs.ext4", "-q", "-b", "4096", "-J", "size=4", "-E", at_once, "-F", image)


def _record(folder: Path, image: Path, chance: Random, journal: Sequence[str]) -> tuple[list[Told], bytes]:
    """Let two victims work, one after the other; what they said, and the log of their disk."""
    log = folder / "log"
    told: list[Told] = []
    with logging_disk(folder, image, log) as mounted:
        for _ in range(2):
            command = [sys.executable, "-P", power_victim.__file__, mounted / "spool", log, str(chance.random())]
            victim = subprocess.Popen([*map(str, command), *journal], stdout=subprocess.PIPE, text=True)
            assert victim.stdout is not None
            lines = [victim.stdout.readline()]  # it has begun
            time.sleep(_SESSION_S * chance.uniform(0.5, 1.5))
            victim.kill()
            lines += victim.stdout.read().splitlines(keepends=True)
            victim.wait()
            victim.stdout.close()
            told += [Told.parse(line) for line in lines if line.endswith("\n")]
    data = log.read_bytes()
    log.unlink()
    return told, data


def _judge(folder: Path, before: Held, told: Sequence[Told], chance: Random, totals: Totals) -> tuple[list[str], Held]:
    """What is wrong with the image `cut` after all that was `told` until then, and what its spool holds now."""
    known = dict(before.parcels) | {each.id: (each.crc, each.readings) for each in told if each.what == "trying"}
    gone = {each.id for each in told if each.what == "going"}
    durable = ({*before.parcels} | {each.id for each in told if each.what == "kept"}) - gone
    epoch = max((each.id.epoch for each in told if each.what == "epoch"), default=before.epoch)
    totals.durable_parcels += len(durable)
    totals.durable_readings += sum(known[each][1] for each in durable)
    wrong: Counter[str] = Counter()
    with _mounted(folder, wrong) as mounted:
        if mounted is None:
            found = after = Held()
        else:
            found, after = asyncio.run(_start_on(mounted, chance, wrong))
    lost = durable - found.parcels.keys()
    if lost:
        totals.cuts_with_losses += 1
        totals.lost_parcels += len(lost)
        totals.lost_readings += sum(known[each][1] for each in lost)
        wrong["durable parcels lost"] = len(lost)
    wrong["garbage"] += sum(known.get(each) != content for each, content in found.parcels.items())
    wrong["epoch used again"] += mounted is not None and found.epoch <= epoch
    totals.faults += wrong
    return [f"{count} {what}" for what, count in (+wrong).items()], after


@contextmanager
def _mounted(folder: Path, wrong: Counter[str]) -> Generator[Path | None]:
    """The image `cut` mounted; None when even fsck does not help."""
    image, mounted = folder / "cut", folder / "mounted"
    try:
        mount(image, mounted)
    except subprocess.CalledProcessError:
        wrong["file system that needed fsck"] += 1
        subprocess.run(["fsck.ext4", "-fy", str(image)], check=False, stdout=subprocess.DEVNULL)
        try:
            mount(image, mounted)
        except subprocess.CalledProcessError:
            wrong["file system lost"] += 1
            yield None
            return
    try:
        yield mounted
    finally:
        unmount(image, mounted)


async def _start_on(mounted: Path, chance: Random, wrong: Counter[str]) -> tuple[Held, Held]:
    """Start the product's spool twice: what it found, and what it holds after a sweep more and a clean stop."""
    with capture_events() as events:
        held: list[Held] = []
        for start in range(2):
            async with spool_on(SqliteDisk(mounted / "spool", budget=power_victim.BUDGET)) as spool:
                parcels = await everything_in(spool)
                content = {each.id: (zlib.crc32(each.body), each.readings) for each in parcels}
                held.append(Held(epoch=spool.epoch, parcels=content))
                if start == 0:
                    spool.append(sweep_of(chance, 1))
    wrong.update(event["event"] for event in events if event["event"] not in _SMOOTH)
    first, second = held
    wrong["a start that lost something"] += not (
        first.parcels.items() <= second.parcels.items() and len(second.parcels) == len(first.parcels) + 1
    )
    wrong["epoch used again"] += second.epoch <= first.epoch
    return first, second


def table(totals: Totals, seconds: float) -> str:
    fate = totals.fate
    rows = (
        ("cuts", f"{totals.cuts:,} in {totals.recordings} recordings of two agents each"),
        ("writes, flushes of the disk", f"{totals.writes:,}, {totals.flushes:,}"),
        ("commits of the spool", f"{totals.commits:,}"),
        ("blocks not flushed at a cut", f"{fate.kept:,} kept, {fate.dropped:,} dropped, {fate.torn:,} torn"),
        ("durable before the cuts", f"{totals.durable_parcels:,} parcels, {totals.durable_readings:,} readings"),
        ("of these lost", f"{totals.lost_parcels:,} parcels, {totals.lost_readings:,} readings"),
        ("cuts with losses", f"{totals.cuts_with_losses:,}"),
        ("faults", ", ".join(f"{count:,} {what}" for what, count in sorted((+totals.faults).items())) or "none"),
        ("took", f"{seconds:,.0f} s"),
    )
    return "\n".join(f"{name:<30}{figure}" for name, figure in rows)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/powercut", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cuts", type=int, default=200, metavar="N", help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of the moments and what is torn")
    parser.add_argument(
        "--synchronous",
        choices=("FULL", "NORMAL", "OFF"),
        default="FULL",
        help="OFF, or NORMAL with WAL, breaks the product: losses must be reported",
    )
    parser.add_argument(
        "--journal",
        choices=("PERSIST", "WAL"),
        default="PERSIST",
        help="WAL is an older Wattline, whose spool each start after a cut takes over",
    )
    args = parser.parse_args()
    if (reason := unfit()) is not None:
        print(f"powercut: cannot run here: {reason}", file=sys.stderr)
        return 2
    began, totals = time.monotonic(), Totals()
    for fault in cut_often(args.cuts, Random(args.seed), totals, journal=(args.journal, args.synchronous)):
        if fault:
            print(fault, flush=True)
        if sys.stderr.isatty():
            print(f"\r{totals.cuts}/{args.cuts} cuts", end="", file=sys.stderr, flush=True)
    print(
        f"{table(totals, time.monotonic() - began)}\nseed {args.seed}, {args.journal}, synchronous={args.synchronous}"
    )
    return 1 if +totals.faults else 0


if __name__ == "__main__":
    sys.exit(main())
