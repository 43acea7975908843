"""The centre's part in the measurement: takes every parcel, counts it, and says on `committed` that it is stored.

    python bench/recorder.py PORT SITE GATEWAY RECORD.json

Prints `first` when the first parcel is there. SIGUSR1 stops and resumes the committed messages, as a centre that is
away would. On SIGTERM it writes what it saw: messages, readings by second of acquisition, duplicates, losses.
"""

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from metering.parcel import open_parcel
from metering.topics import Committed, Topics, encode_committed
from wattline.mqtt import Address, PahoBroker


class Recorder:
    """Counts what arrives; `committing` says whether the gateway is told."""

    def __init__(self) -> None:
        self.committing = True
        self.messages: list[tuple[int, int, int]] = []  # arrived at (UTC ns), bytes of the PUBLISH packet, readings
        self.sweeps: Counter[tuple[str, int]] = Counter()  # (device, taken_at) -> times seen
        self.readings: dict[tuple[str, int], int] = {}
        self.dropped = 0
        self._seqs: dict[int, set[int]] = {}

    def take(self, topic: str, payload: bytes) -> None:
        """Count one parcel."""
        parcel = open_parcel(payload)
        self.messages.append((time.time_ns(), _packet_bytes(topic, payload), parcel.readings))
        self._seqs.setdefault(parcel.id.epoch, set()).add(parcel.id.seq)
        self.dropped = max(self.dropped, parcel.dropped)
        for sweep in parcel.sweeps:
            if sweep.values:
                self.sweeps[sweep.device, sweep.taken_at] += 1
                self.readings[sweep.device, sweep.taken_at] = len(sweep.values)

    def committed(self) -> bytes:
        """The message that names all that was taken."""
        return encode_committed(Committed(epochs={epoch: ranges(seqs) for epoch, seqs in self._seqs.items()}))

    def record(self) -> str:
        """JSON of everything."""
        readings = [(taken_at, count) for (_, taken_at), count in self.readings.items()]
        return json.dumps(
            {
                "messages": self.messages,
                "readings": readings,
                "duplicates": sum(times - 1 for times in self.sweeps.values()),
                "dropped": self.dropped,
            }
        )


def ranges(seqs: set[int]) -> tuple[tuple[int, int], ...]:
    """Closed ranges of consecutive numbers."""
    found: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if found and found[-1][1] == seq - 1:
            found[-1] = (found[-1][0], seq)
        else:
            found.append((seq, seq))
    return tuple(found)


def _packet_bytes(topic: str, payload: bytes) -> int:
    """Size of the MQTT 5 PUBLISH packet, QoS 1, without properties."""
    rest = 2 + len(topic) + 2 + 1 + len(payload)
    length, left = 1, rest
    while left := left >> 7:
        length += 1
    return 1 + length + rest


async def main(port: int, site: str, gateway: str) -> str:
    """Record until SIGTERM; returns the record."""
    recorder, topics, stop = Recorder(), Topics(site, gateway), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: setattr(recorder, "committing", not recorder.committing))
    broker = PahoBroker(Address(host="127.0.0.1", port=port, client_id="bench-recorder"))

    async def listen() -> None:
        async with broker.connect() as connection:
            await connection.subscribe(topics.readings)
            print("subscribed", flush=True)
            async for message in connection.messages():
                recorder.take(message.topic, message.payload)
                message.ack()
                if len(recorder.messages) == 1:
                    print("first", flush=True)
                if recorder.committing:
                    await connection.publish(topics.committed, recorder.committed(), retain=True)

    listening = asyncio.create_task(listen(), name="listen")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({listening, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if listening.done():
        listening.result()
    listening.cancel()
    return recorder.record()


if __name__ == "__main__":
    Path(sys.argv[4]).write_text(asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3])))
