"""A process that commits to a spool for ever and says what is durable, until it is killed.

    python spool_victim.py DIRECTORY SEED [PAUSE_S]

PAUSE_S, 0 unless told, is kept between commits. Says `going E S`: a commit that deletes parcel S of epoch E begins;
`kept E S`: the commit with it has returned.
"""

import asyncio
import sys
from pathlib import Path
from random import Random

from agent.spool_disk import Change, SqliteDisk
from metering.parcel import Parcel, ParcelId


def parcel(epoch: int, seq: int) -> Parcel:
    """A parcel whose content follows from its id."""
    chance = Random(epoch * 1_000_003 + seq)
    return Parcel(
        id=ParcelId(epoch=epoch, seq=seq),
        first_at=seq,
        last_at=seq + 5,
        readings=chance.randrange(1, 100),
        body=chance.randbytes(chance.randrange(1, 20_000)),
    )


async def commit_for_ever(directory: Path, chance: Random, pause_s: float) -> None:
    disk = SqliteDisk(directory, budget=1 << 30)
    stored = await disk.open()
    epoch, seq = stored.epoch + 1, 0
    kept: list[ParcelId] = []
    while True:
        insert = [parcel(epoch, seq + n) for n in range(1, chance.randrange(1, 5))]
        delete = [kept.pop(chance.randrange(len(kept))) for _ in range(chance.randrange(3)) if kept]
        tell("going", delete)
        await disk.commit(Change(epoch=epoch, insert=insert, delete=delete))
        tell("kept", [each.id for each in insert])
        kept += [each.id for each in insert]
        seq += len(insert)
        await asyncio.sleep(pause_s)


def tell(what: str, ids: list[ParcelId]) -> None:
    for each in ids:
        sys.stdout.write(f"{what} {each.epoch} {each.seq}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(commit_for_ever(Path(sys.argv[1]), Random(int(sys.argv[2])), float((*sys.argv[3:], "0")[0])))
