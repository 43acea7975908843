"""A centre whose clock lies behind refuses nothing that is read now: what it refuses, its gateway forgets."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from centre.ingest import Ingest
from support.ingest_rig import TOPICS, FailingStore, body
from support.sim_broker import SimBroker
from support.store_contract import EVER, POWER, T0, parcel, sweep
from support.virtual_time import VirtualClock, run
from wattline.cancellation import end
from wattline.clock import NS, sleep_until
from wattline.events import capture_events

DAY = 86_400 * NS
FAR_S = 400 * 86_400


class Behind:
    """A clock that is set 100 s after the start of the centre, or never."""

    def __init__(self, real: VirtualClock, behind: int, *, ever: bool) -> None:
        self._real, self._behind, self._ever = real, behind, ever

    def synchronised(self) -> bool:
        return self._ever and self._real.monotonic() > 100

    def now_ns(self) -> int:
        return self._real.now_ns() - (0 if self.synchronised() else self._behind)

    def monotonic(self) -> float:
        return self._real.monotonic()

    async def sleep_until(self, due_ns: int) -> None:
        await sleep_until(self, due_ns)


def stored(folder: Path, behind: int, *, ever: bool = False, known: bool = True, seen: int = 0) -> list[int]:
    """Which of the parcels 1 and 2, read now, and 3, read in 400 days, have their reading in the store at last."""
    found: list[int] = []

    async def main(real: VirtualClock) -> None:
        clock, broker = Behind(real, behind, ever=ever), SimBroker()
        told: Callable[[], bool | None] = clock.synchronised if known else lambda: None
        async with FailingStore(folder / "centre.db", inline=True) as store:
            if seen:
                await store.write([parcel(9)], received_at=seen)
            client, dead = broker.client("centre", persistent=True), folder / "dead"
            ingest = Ingest(broker=client, store=store, clock=clock, dead_letters=dead, synchronised=told)
            running = asyncio.create_task(ingest.run())
            await asyncio.sleep(1)
            for seq, at_s in ((1, 0), (2, 1), (3, FAR_S)):
                broker.route(TOPICS.readings, body(seq, sweep(at_s, {"power_active_total": float(seq)})), retain=False)
            await asyncio.sleep(900)
            assert not broker.sessions["centre"].unacked
            found.extend(int(float(reading.value)) for reading in await store.read(POWER, 0, EVER, limit=9))
            await end([running])

    run(main, T0)
    return found


@pytest.mark.parametrize(
    ("behind", "seen", "known", "ever", "found"),
    [
        (0, 0, False, False, [1, 2]),
        (3 * DAY, 0, True, True, [1, 2]),  # it was off for three days, and has no clock of its own
        (3 * DAY, T0 - DAY // 2, False, False, [1, 2]),  # nobody keeps the clock, and it was put back
        (20 * 365 * DAY, 0, False, False, [1, 2, 3]),  # an empty battery: by that clock nothing can be judged
        (3 * DAY, 0, True, False, []),  # nobody ever sets it: who is right cannot be told
    ],
)
def test_what_is_read_now_is_stored_by_a_centre_whose_clock_is_behind(
    tmp_path: Path, behind: int, seen: int, known: bool, ever: bool, found: list[int]
) -> None:
    with capture_events() as events:
        assert stored(tmp_path, behind, ever=ever, known=known, seen=seen) == found
    assert [event["event"] for event in events].count("clock.unsynchronised") == bool(behind)
