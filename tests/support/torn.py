"""The spool's file torn and damaged everywhere.

Every offset of a commit's journal is cut and flipped, every page of the file is noise, in every byte of it a bit is
flipped.

    scripts/torn [--every N] [--seed S]

Without an option every offset and every page; with N every N-th offset, the first of them by chance. Exits with 1 and a
line for each fault: something is read that was never written, more is lost than that may cost, or a loss is not
counted. A start that fails ends it with a traceback.
"""

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent.spool_disk import Change, Disk, Read, SqliteDisk, Stored
from agent.spool_file import SpoolFile
from agent.spool_rows import Damaged, key_of
from metering.parcel import Parcel, ParcelId
from support.commit_states import State, states

BUDGET = 64 * 1024 * 1024
PAGE = 4096
KEPT = 40
MOST = 12  # parcels of this size in a page
HEAD = 100  # bytes of SQLite's settings
COUNT = range(3, 5)  # bytes of a page that say how many rows it has
READS = 40  # more than it takes; what is not read then counts as lost


def parcel(seq: int, size: int) -> Parcel:
    body = random.Random(seq).randbytes(size)
    return Parcel(id=ParcelId(epoch=7, seq=seq), first_at=seq, last_at=seq + 1, readings=10, body=body)


def opened(path: Path) -> tuple[list[Parcel], int, bool]:
    """What is read after a start as the agent makes it, how much is counted as lost, and whether it was mended."""
    file = SpoolFile(path, budget=BUDGET)
    mended = False
    try:
        try:
            stored = file.open()
            read = file.read(0, 1 << 62, 1 << 20, 1 << 40)
        except Damaged as err:
            mended = True
            file.salvage(str(err))
            stored = file.open()
            read = file.read(0, 1 << 62, 1 << 20, 1 << 40)
        return list(read.parcels), stored.dropped, mended
    finally:
        file.close()


def clean(folder: Path) -> Path:
    for old in folder.iterdir():
        old.unlink()
    return folder / "spool.sqlite3"


def torn(folder: Path, every: int, seed: int) -> Iterator[str]:
    """The journal of a commit that deletes and inserts, cut and a byte of it flipped at each offset.

    Cut while it is being written, when the file is still untouched: nothing may be missing. Flipped when the file has
    just been overwritten, which no power cut does: it may cost what a page holds.
    """
    kept = [parcel(seq, 300) for seq in range(1, KEPT + 1)]
    new = [parcel(KEPT + 1, 6000), parcel(KEPT + 2, 300)]
    before = [Change(epoch=7, insert=[each]) for each in kept]
    change = Change(epoch=7, insert=new, delete=[kept[3].id])
    path = clean(folder)
    first, _, written, hot, *_, last = states(folder, before, change, budget=BUDGET)
    assert (first.hot, written.hot, hot.hot, last.hot) == (False, True, True, False)
    assert (written.main, hot.main) == (first.main, last.main)
    costs: Counter[int] = Counter()
    for offset in range(random.Random(seed).randrange(every), len(hot.journal), every):
        State(first.main, written.journal[:offset]).put(clean(folder))
        if opened(path)[0] != kept:
            yield f"journal cut at {offset}: a commit that was not made shows"
        flipped = bytearray(hot.journal)
        flipped[offset] ^= 0xFF
        State(hot.main, bytes(flipped)).put(clean(folder))
        left, _, _ = opened(path)
        cost = len(set(kept) - {kept[3]} - set(left))
        costs[cost] += 1
        if not set(left) <= {*kept, *new}:
            yield f"journal flipped at {offset}: garbage"
        elif cost > MOST:
            yield f"journal flipped at {offset}: {cost} parcels lost"
    told = ", ".join(f"{count} flips cost {cost} of {KEPT} parcels" for cost, count in sorted(costs.items()))
    print(f"journal: {costs.total()} cuts and as many flips over {len(hot.journal)} bytes; {told}")


def damaged(folder: Path) -> Iterator[str]:
    """Noise over each page in turn."""
    path = clean(folder)
    kept = [parcel(seq, 1500) for seq in range(1, 121)]
    file = SpoolFile(path, budget=BUDGET)
    file.commit(Change(epoch=7, insert=kept))
    file.close()
    data = path.read_bytes()
    costs: Counter[int] = Counter()
    for page in range(len(data) // PAGE):
        path = clean(folder)
        noise = random.Random(page).randbytes(PAGE)
        path.write_bytes(data[: page * PAGE] + noise + data[(page + 1) * PAGE :])
        left, lost, mended = opened(path)
        costs[len(kept) - len(left)] += 1
        if not set(left) <= set(kept):
            yield f"page {page + 1}: garbage"
        if mended and lost not in {0, 10 * (len(kept) - len(left))}:
            yield f"page {page + 1}: {lost} readings counted, {10 * (len(kept) - len(left))} lost"
    told = ", ".join(f"{count} pages cost {cost} of {len(kept)} parcels" for cost, count in sorted(costs.items()))
    print(f"pages: {len(data) // PAGE}; {told}")


async def drained(disk: Disk, late: Parcel) -> tuple[set[Parcel], list[int], Stored]:
    """What comes out by the agent's way: start, take one more parcel, read and release until nothing is left.

    Parcels, the readings that damaged rows say they held, and how the disk stands in the end.
    """
    read, rows, after = set[Parcel](), list[int](), 0
    await disk.open()
    stored = await disk.commit(Change(epoch=8, insert=[late]))
    for _ in range(READS):
        if not stored.mended and not stored.parcels:
            break
        part: Read = await disk.read(after, 1 << 62, 16, 1 << 40)
        gone = [each.id for each in part.parcels] + [parcel_id for parcel_id, _ in part.damaged]
        lost = [readings for _, readings in part.damaged]
        read |= set(part.parcels)
        rows += lost
        stored = await disk.commit(Change(epoch=8, delete=gone, dropped=sum(lost)))
        after = 0 if stored.mended else max(map(key_of, gone), default=0)  # a new connection begins anew
    await disk.close()
    return read, rows, stored


def leaf_of(path: Path, table: str) -> int:
    """The number, from 0, of the one page of a small table."""
    with closing(sqlite3.connect(path)) as db:
        (number,) = db.execute("SELECT pageno FROM dbstat WHERE name = ?", (table,)).fetchone()
    return int(number) - 1


def flipped(folder: Path, every: int, seed: int) -> Iterator[str]:
    """One bit in every N-th byte of the file and in each of its settings; of how many rows a page has, every bit.

    The one row that says how much was lost has no CRC: a bit in its page may falsify that, and nothing else.
    """
    path = clean(folder)
    kept = [parcel(seq, 900) for seq in range(1, 31)]
    late = parcel(99, 300)
    file = SpoolFile(path, budget=BUDGET)
    file.commit(Change(epoch=7, insert=kept, dropped=5))
    file.close()
    meta = leaf_of(path, "meta")
    data = path.read_bytes()
    chance = random.Random(seed)
    costs: Counter[int] = Counter()
    first = chance.randrange(every)
    places = [(offset, bit) for offset in range(len(data)) if offset % PAGE in COUNT for bit in range(8)]
    places += [(offset, chance.randrange(8)) for offset in {*range(HEAD), *range(first, len(data), every)}]
    with asyncio.Runner() as runner:
        for offset, bit in places:
            changed = bytearray(data)
            changed[offset] ^= 1 << bit
            clean(folder).write_bytes(changed)
            left, rows, stored = runner.run(drained(SqliteDisk(folder, budget=BUDGET), late))
            cost = len({*kept, late} - left)
            costs[cost] += 1
            counted = {10 * cost, 10 * (cost - len(rows)) + sum(rows)}
            if not left <= {*kept, late}:
                yield f"bit {bit} of byte {offset}: garbage"
            elif cost > MOST:
                yield f"bit {bit} of byte {offset}: {cost} parcels lost"
            elif stored.dropped - 5 not in counted and offset // PAGE != meta:
                yield f"bit {bit} of byte {offset}: {stored.dropped - 5} readings counted, {10 * cost} lost"
    told = ", ".join(f"{count} cost {cost} of {len(kept)} parcels" for cost, count in sorted(costs.items()))
    print(f"bits: {costs.total()} over {len(data)} bytes; {told}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th offset")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of the first offset")
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        faults = [*torn(home, args.every, args.seed), *damaged(home), *flipped(home, args.every, args.seed)]
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults, seed {args.seed}, {time.monotonic() - began:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
