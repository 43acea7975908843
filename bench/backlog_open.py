"""The fresh process of bench/backlog: opens the agent's own spool in DIRECTORY and drains it; prints JSON.

    python bench/backlog_open.py DIRECTORY

The memory is the peak of the process from the opening to the end of the drain, less what it had before.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # -P and PYTHONSAFEPATH leave them out

from agent.spool import Spool  # noqa: E402
from agent.spool_disk import SqliteDisk  # noqa: E402
from metering.parcel import ParcelId  # noqa: E402
from wattline.clock import SystemClock  # noqa: E402
from wattline.events import EventLog  # noqa: E402

_WINDOW = 20  # parcels, as the publisher has them under way


async def main(directory: Path) -> dict[str, float]:
    """Open, wait for the first parcel, drain."""
    _begin_peak()
    before = _kib("VmRSS")
    began = time.monotonic()
    disk = SqliteDisk(directory, budget=1 << 40)
    async with Spool(site="bench", gateway="gateway", disk=disk, clock=SystemClock(), events=EventLog()) as spool:
        timers = asyncio.create_task(spool.run())
        found = await spool.read(ParcelId(epoch=0, seq=0), None, _WINDOW)
        first_s = time.monotonic() - began
        while found:
            spool.release([parcel.id for parcel in found])
            found = await spool.read(found[-1].id, None, _WINDOW)
        drain_s = time.monotonic() - began
        timers.cancel()
        await asyncio.wait({timers})
        left = spool.stats().parcels_pending
    return {"first_s": first_s, "rss_mib": (_kib("VmHWM") - before) / 1024, "drain_s": drain_s, "left": left}


def _begin_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _kib(name: str) -> int:
    """One line of what the kernel says of our memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    logging.disable()
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
