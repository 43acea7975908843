"""The spool's file torn and damaged everywhere: every offset of a commit's journal cut and flipped, every page noise.

    scripts/torn [--every N] [--seed S]

Without an option every offset and every page; with N every N-th offset, the first of them by chance. Exits with 1 and a
line for each fault: something is read that was never written, more is lost than that may cost, or a loss is not
counted. A start that fails ends it with a traceback.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent.spool_file import Change, SpoolFile
from agent.spool_rows import Damaged
from metering.parcel import Parcel, ParcelId
from support.commit_states import State, states

BUDGET = 64 * 1024 * 1024
PAGE = 4096
KEPT = 40
MOST = 12  # parcels of this size in a page


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th offset of the journal")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of the first offset")
    args = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        faults = [*torn(Path(folder), args.every, args.seed), *damaged(Path(folder))]
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults, seed {args.seed}, {time.monotonic() - began:.0f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
