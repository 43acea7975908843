"""Registers read in a wrong form: what no meter shows stops no accounting, not that of an older store either."""

import asyncio
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from centre.register_samples import exact
from centre.store import arriving
from centre.store.base import Grain, SeriesKey
from centre.store.sqlite import SqliteStore
from metering.sweep import Sweep, Value
from support.centre_plant import centre_of, inventory
from support.store_contract import EVER, PRESS, parcel, status
from wattline.clock import sleep_until

DAY_NS = 86_400 * 10**9
START = 1_772_380_800 * 10**9
POINT = "energy_active_import_total"
WRONG = [1e20, 3.4028234663852886e38, -1.7e308, 5e-324, -1.4e-45, 9.9e11, -9.9e11, Decimal("1e30"), Decimal("1e-60")]


class Standing:
    """A clock that stands where it is put; nothing is taken from a cache of an earlier moment."""

    def __init__(self, now: int) -> None:
        self._now, self._ticks = now, 0.0

    def now_ns(self) -> int:
        return self._now

    def monotonic(self) -> float:
        self._ticks += 100.0
        return self._ticks

    async def sleep_until(self, due_ns: int) -> None:
        await sleep_until(self, due_ns)


def test_a_reading_that_no_meter_shows_stops_no_accounting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "TOO_MUCH", float("inf"))  # as a store had it that was written before

    async def main(seed: int) -> None:
        random = Random(seed)
        async with SqliteStore(tmp_path / f"{seed}.db", inline=True) as store:
            await store.write_status(PRESS, status(devices=inventory(60)), received_at=START)
            shown: list[Value] = [1000.0 + place for place in range(300)]
            for place in random.sample(range(10, 290), 60):
                shown[place] = random.choice(WRONG)
            sweeps = [
                Sweep(device="line-1", taken_at=START + place * 60 * 10**9, values={POINT: value}, faults={})
                for place, value in enumerate(shown)
            ]
            size = 50 if seed % 2 else 300
            _, ledger = centre_of(store, Standing(START + DAY_NS))
            for part in range(0, 300, size):
                await store.write([parcel(part + 1, *sweeps[part : part + size])], received_at=START + DAY_NS)
                await ledger.cycle()
            found = await store.read_rollup(SeriesKey("works", "line-1", POINT), Grain.QUARTER, 0, EVER)
            assert len(found) >= 19
            assert all(one.interval.amount is None or len(f"{one.interval.amount:f}") < 40 for one in found)

    for seed in range(6):
        asyncio.run(main(seed))


def test_what_is_finer_than_any_meter_counts_is_nothing() -> None:
    values: list[Value] = [5e-324, -1e-21, 0.1, 1e-5, 7, Decimal("0.1") + Decimal("1e-25"), Decimal("-1e-60"), 1e11]
    assert [exact(value) for value in values] == [
        *(0, 0, Decimal("0.1"), Decimal("0.00001"), 7, Decimal("0.1"), 0, Decimal(10) ** 11)
    ]
