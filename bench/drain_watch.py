"""Watches a drain from the broker: how far the centre's word has come, and how old live readings are then.

    python bench/drain_watch.py PORT SITE GATEWAY RECORD.json BACKLOG_EPOCH BACKLOG_PARCELS [alone]

With `alone` it plays the centre too, one that stores nothing: the agent is measured, not the store. Prints `first` at
the first parcel and `drained` when the whole backlog is committed. On SIGTERM it writes what it saw.
"""

import asyncio
import json
import re
import signal
import sys
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # -P and PYTHONSAFEPATH leave it out

from recorder import ranges

from metering.parcel import ParcelId, open_parcel
from metering.topics import Committed, Topics, decode_committed, encode_committed
from wattline.mqtt import Address, PahoBroker

_ID = re.compile(rb"epoch=(\d+)i,seq=(\d+)i,[^\n]*\n$")
_WORD_S = 0.5  # between two committed messages, as the centre does it


class Watcher:
    """Times are UTC ns."""

    def __init__(self, epoch: int, parcels: int) -> None:
        self._epoch, self._parcels = epoch, parcels
        self._live: dict[ParcelId, list[tuple[int, int]]] = {}  # (taken at, readings) by sweep, not yet committed
        self.seqs: dict[int, set[int]] = {}
        self.first_at = 0
        self.progress: list[tuple[int, int]] = []  # (at, parcels of the backlog committed)
        self.lags: list[tuple[int, int, int]] = []  # (taken at, until committed, readings)

    def take(self, payload: bytes) -> bool:
        """Note one parcel; of the backlog's only the number is read. True for the first of all."""
        found = _ID.search(zlib.decompress(payload, wbits=31)[-400:])
        assert found is not None
        parcel_id = ParcelId(epoch=int(found[1]), seq=int(found[2]))
        seen = self.seqs.setdefault(parcel_id.epoch, set())
        if parcel_id.epoch != self._epoch and parcel_id.seq not in seen:
            sweeps = open_parcel(payload).sweeps
            self._live[parcel_id] = [(sweep.taken_at, len(sweep.values)) for sweep in sweeps if sweep.values]
        seen.add(parcel_id.seq)
        if self.first_at:
            return False
        self.first_at = time.time_ns()
        return True

    def word(self, committed: Committed) -> bool:
        """Note what the centre has; True when that is, for the first time, the whole backlog."""
        now = time.time_ns()
        for parcel_id in [each for each in self._live if committed.holds(each.epoch, each.seq)]:
            self.lags += [(taken_at, now - taken_at, readings) for taken_at, readings in self._live.pop(parcel_id)]
        held = sum(last - first + 1 for first, last in committed.epochs.get(self._epoch, ()))
        before = self.progress[-1][1] if self.progress else 0
        self.progress.append((now, held))
        return before < self._parcels <= held

    def record(self) -> str:
        """JSON of everything."""
        return json.dumps({"first_at": self.first_at, "progress": self.progress, "lags": self.lags})


async def main(port: int, topics: Topics, watcher: Watcher, *, alone: bool) -> str:
    """Watch until SIGTERM; returns the record."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    address = Address(host="127.0.0.1", port=port, client_id="bench-watch")

    async def watch() -> None:
        async with PahoBroker(address, receive_maximum=100).connect() as connection, asyncio.TaskGroup() as tasks:
            await connection.subscribe(topics.readings)
            await connection.subscribe(topics.committed)
            print("subscribed", flush=True)

            async def tell() -> None:
                while True:
                    word = Committed(epochs={epoch: ranges(seqs) for epoch, seqs in watcher.seqs.items()})
                    await connection.publish(topics.committed, encode_committed(word), retain=True)
                    await asyncio.sleep(_WORD_S)

            if alone:
                tasks.create_task(tell(), name="tell")
            async for message in connection.messages():
                message.ack()
                if message.topic == topics.readings:
                    if watcher.take(message.payload):
                        print("first", flush=True)
                elif watcher.word(decode_committed(message.payload)):
                    print("drained", flush=True)

    watching = asyncio.create_task(watch(), name="watch")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if watching.done():
        watching.result()
    watching.cancel()
    return watcher.record()


if __name__ == "__main__":
    watched = Watcher(int(sys.argv[5]), int(sys.argv[6]))
    where = Topics(sys.argv[2], sys.argv[3])
    Path(sys.argv[4]).write_text(asyncio.run(main(int(sys.argv[1]), where, watched, alone="alone" in sys.argv[7:])))
