"""An ingest that is killed between the write and the acknowledgement: its store kills the process when it has written.

python ingest_victim.py PORT FOLDER
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from centre.ingest import Ingest
from centre.store.base import Written
from centre.store.sqlite import SqliteStore
from metering.parcel import Received
from wattline.clock import SystemClock
from wattline.mqtt import Address, PahoBroker


class LastWrite(SqliteStore):
    """Durable, and then nothing any more."""

    async def write(self, parcels: Sequence[Received], *, received_at: int) -> Written:
        await super().write(parcels, received_at=received_at)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("killed")


async def main(port: int, folder: Path) -> None:
    broker = PahoBroker(Address(host="127.0.0.1", port=port, client_id="centre"), persistent=True, receive_maximum=100)
    async with LastWrite(folder / "centre.db") as store:
        await Ingest(broker=broker, store=store, clock=SystemClock(), dead_letters=folder / "dead").run()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
