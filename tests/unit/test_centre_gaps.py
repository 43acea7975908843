"""Gaps in what a gateway sent: seen, dated, healed by sending again, and lost with a cause when nothing waits any more."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from centre.gaps import SETTLING_NS, Cause, Gap, GapNews, GapState, gaps_of
from centre.store.sqlite import SqliteStore
from support.store_contract import PRESS, SECOND, T0, parcel, status, sweep
from wattline.events import EventLog, capture_events

LATE = T0 + 3600 * SECOND


class Room:
    """A store that takes parcels whose readings are as old as their number in seconds."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.news = GapNews(EventLog())

    async def take(self, *seqs: int, epoch: int = 7, at: int = T0, dropped: int = 0) -> None:
        parcels = [parcel(seq, sweep(seq, {"frequency": 50.0}), epoch=epoch, dropped=dropped) for seq in seqs]
        await self.store.write(parcels, received_at=at)

    async def says(self, *, sealed: int, pending: int, epoch: int = 7) -> None:
        counters = {"parcels_sealed": sealed, "parcels_pending": pending}
        await self.store.write_status(PRESS, replace(status(epoch=epoch), counters=counters), received_at=LATE)

    async def gaps(self) -> tuple[Gap, ...]:
        (row,) = await self.store.gateways()
        return gaps_of(row)

    async def look(self, at: int = LATE) -> None:
        self.news.look(await self.store.gateways(), at)


def play(plot: Callable[[Room], Awaitable[None]]) -> list[dict[str, object]]:
    async def main(folder: Path) -> None:
        async with SqliteStore(folder / "centre.db", inline=True) as store:
            await plot(Room(store))

    with tempfile.TemporaryDirectory() as folder, capture_events() as events:
        asyncio.run(main(Path(folder)))
    return events


def test_a_gap_is_dated_by_when_it_showed_and_by_the_readings_around_it() -> None:
    async def plot(room: Room) -> None:
        await room.take(1, 2, 3, at=T0)
        await room.take(9, at=T0 + 60 * SECOND)
        await room.take(6, at=T0 + 90 * SECOND)
        low, high = await room.gaps()
        assert (low.epoch, low.name, high.name) == (7, "4-5", "7-8")
        assert low.since_ns == high.since_ns == T0 + 60 * SECOND
        assert (low.after_ns, low.before_ns) == (T0 + 3 * SECOND, T0 + 6 * SECOND)
        assert {low.state, high.state} == {GapState.MISSING}

    play(plot)


def test_a_gap_is_told_once_when_it_lasts_and_told_healed_when_it_was_sent_again() -> None:
    async def plot(room: Room) -> None:
        await room.take(*range(1, 812), *range(846, 860))
        await room.look(T0 + SETTLING_NS - 1)
        await room.look(T0 + SETTLING_NS)
        await room.look()
        await room.take(*range(812, 846))
        assert await room.gaps() == ()
        await room.look()
        await room.look()

    missing, whole = play(plot)
    assert missing["event"] == "gateway.missing"
    assert (missing["gateway"], missing["ranges"], missing["parcels"]) == ("press-shop", "7:812-845", 34)
    assert whole["event"] == "gateway.whole"


def test_what_is_missing_when_nothing_waits_at_the_gateway_any_more_is_lost_by_what_it_dropped() -> None:
    async def plot(room: Room) -> None:
        await room.take(1, 2)
        await room.take(8, 9, dropped=0)
        await room.says(sealed=10, pending=3)
        assert [gap.state for gap in await room.gaps()] == [GapState.MISSING]
        await room.take(10, dropped=500)
        await room.says(sealed=10, pending=0)
        (gap,) = await room.gaps()
        assert (gap.name, gap.state, gap.cause) == ("3-7", GapState.LOST, Cause.DROPPED)
        await room.look()
        await room.look()

    (lost,) = play(plot)
    assert (lost["event"], lost["cause"], lost["dropped"]) == ("gateway.lost_parcels", "dropped", 500)


def test_what_a_killed_agent_had_not_on_its_disk_is_lost_without_having_been_dropped() -> None:
    async def plot(room: Room) -> None:
        await room.take(1, 2, 5, dropped=40)
        await room.take(1, epoch=8, dropped=40)
        assert [gap.state for gap in await room.gaps()] == [GapState.MISSING]
        await room.says(sealed=1, pending=0, epoch=8)
        (gap,) = await room.gaps()
        assert (gap.epoch, gap.name, gap.state, gap.cause) == (7, "3-4", GapState.LOST, Cause.ENDED)

    play(plot)


def test_an_older_status_that_comes_again_takes_nothing_back() -> None:
    async def plot(room: Room) -> None:
        await room.take(1, 5)
        await room.says(sealed=5, pending=0)
        await room.says(sealed=2, pending=0)
        assert [gap.state for gap in await room.gaps()] == [GapState.LOST]

    play(plot)


def test_a_lost_gap_that_arrives_after_all_is_whole() -> None:
    async def plot(room: Room) -> None:
        await room.take(1, 3)
        await room.says(sealed=3, pending=0)
        await room.take(2)
        assert await room.gaps() == ()

    play(plot)
