"""The newest parcel goes first, whatever waits, and what waits goes too, oldest first."""

import asyncio
from pathlib import Path

from agent.lanes import Lanes
from agent.outbox import Limits, Outbox
from agent.spool import Spool
from agent.spool_disk import SqliteDisk
from metering.sweep import Sweep
from metering.topics import Committed
from wattline.clock import SystemClock
from wattline.events import EventLog


def test_what_waited_while_the_store_was_away_lets_the_newest_pass_and_all_of_it_follows(tmp_path: Path) -> None:
    async def main() -> None:
        clock = SystemClock()
        disk = SqliteDisk(tmp_path, budget=64 * 1024 * 1024)
        async with Spool(site="s", gateway="g", disk=disk, clock=clock, events=EventLog()) as spool:

            def seal() -> None:
                spool.append(Sweep(device="d", taken_at=clock.now_ns(), values={"frequency": 50.0}, faults={}))
                spool.seal()

            async def take(now: float) -> list[int]:
                taken = await lanes.take(now)
                for parcel in taken:
                    outbox.acked(parcel.id, now)
                return [parcel.id.seq for parcel in taken]

            outbox = Outbox(Limits(window=4, awaiting=8))
            outbox.restart(0.0)
            lanes = Lanes(spool, outbox)
            assert await take(0.0) == []
            sent: list[int] = []
            for _ in range(60):  # connected, but nobody confirms
                seal()
                sent += await take(0.0)
            assert sent == [1, 2, 3, 4, 5, 6, 7, 8]
            for now in range(1, 100):
                held = tuple((seq, seq) for seq in sorted(sent))
                spool.release(outbox.committed(Committed(epochs={spool.epoch: held}), float(now)))
                if now == 1:
                    seal()
                sent += await take(float(now))
                if len(sent) == 61:
                    break
            live = sent.index(61) + 1
            assert sent[8:live] == list(range(61 - (live - 8) + 1, 62)), "the newest first"
            assert live - 8 <= 20
            assert sent[live:] == list(range(9, 61 - (live - 8) + 1))
            assert lanes.empty

    asyncio.run(main())
