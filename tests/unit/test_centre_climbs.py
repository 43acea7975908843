"""What the writer noticed of a register saves reading it again, and changes no figure."""

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from centre.ledger import Ledger
from centre.store.base import Bucket, Climb, Columns, Grain, SeriesKey
from centre.store.sqlite import SqliteStore
from metering.faults import Fault
from metering.sweep import Sweep, Value
from support.centre_plant import centre_of, inventory
from support.standing_clock import StandingClock
from support.store_contract import EVER, PRESS, parcel, status
from wattline.clock import NS

T0 = 1_772_380_800 * NS
LINE = SeriesKey("works", "line-1", "energy_active_import_total")
POLL_S = 20


class Watched(SqliteStore):
    """Counts how often readings are read; `blind` notices nothing, so that every reading is."""

    reads = 0

    def __init__(self, path: Path, *, blind: bool = False) -> None:
        super().__init__(path, inline=True)
        self.blind = blind

    async def climbs(self, series: SeriesKey, t: int, *, before: int) -> tuple[int, Sequence[Climb]] | None:
        return None if self.blind else await super().climbs(series, t, before=before)

    async def columns(self, series: SeriesKey, t0: int, t1: int, *, before: int, after: int, limit: int) -> Columns:
        self.reads += 1
        return await super().columns(series, t0, t1, before=before, after=after, limit=limit)


class Pair:
    """Two centres to which the same happens: one that notices, and one that reads everything."""

    def __init__(self, *stores: Watched) -> None:
        self.stores = stores
        self.ledgers: list[Ledger] = []
        self._seq = 0

    async def begin(self) -> None:
        for store in self.stores:
            await store.write_status(PRESS, status(devices=inventory(POLL_S)), received_at=T0)
            self.ledgers.append(centre_of(store, StandingClock(T0 + 86_400 * NS))[1])

    async def add(self, readings: Sequence[tuple[int, Value]], *, doubted: Sequence[int] = ()) -> None:
        """Write, settle, and see that the intervals are the same to the last digit."""
        self._seq += 1
        sweeps = [
            Sweep(
                device=LINE.device, taken_at=at, values={LINE.point: value},
                faults={LINE.point: Fault.SUSPECT} if at in doubted else {},
            )
            for at, value in readings
        ]  # fmt: skip
        found: list[list[Bucket]] = []
        for store, ledger in zip(self.stores, self.ledgers, strict=True):
            await store.write([parcel(self._seq, *sweeps)], received_at=T0)
            await ledger.cycle()
            found.append([bucket for grain in Grain for bucket in await store.read_rollup(LINE, grain, 0, EVER)])
        assert found[0] == found[1]


def with_both(check: Callable[[Pair], Awaitable[None]]) -> None:
    async def main(folder: Path) -> None:
        async with Watched(folder / "a.db") as noticing, Watched(folder / "b.db", blind=True) as blind:
            pair = Pair(noticing, blind)
            await pair.begin()
            await check(pair)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


def steady(first: int, last: int) -> list[tuple[int, Value]]:
    return [(T0 + place * POLL_S * NS, round(1000 + place * 0.7, 3)) for place in range(first, last)]


def test_a_steady_register_is_not_read_again() -> None:
    async def check(pair: Pair) -> None:
        await pair.add(steady(0, 60))
        await pair.add(steady(60, 120))
        pair.stores[0].reads = 0
        for place in range(120, 360, 40):
            await pair.add(steady(place, place + 40))
        assert pair.stores[0].reads == 0
        assert pair.stores[1].reads > 0

    with_both(check)


def test_what_does_not_fit_is_read_again_until_enough_has_followed() -> None:
    spoilt: dict[str, list[tuple[int, Value]]] = {
        "late": [(T0 + 7 * NS, 1000.1)],
        "again, and one behind": steady(119, 121),
        "a fall": [(T0 + 121 * POLL_S * NS, 3.0)],
        "a rise beyond the connection": [(T0 + 121 * POLL_S * NS, 90_000.0)],
        "a number no double holds": [(T0 + 121 * POLL_S * NS, Decimal("1084.7000000000000000001"))],
    }

    def check_of(one: list[tuple[int, Value]]) -> Callable[[Pair], Awaitable[None]]:
        async def check(pair: Pair) -> None:
            await pair.add(steady(0, 120))
            await pair.add(one)
            assert pair.stores[0].reads > 0
            await pair.add(steady(122, 200))
            await pair.add(steady(200, 300))
            pair.stores[0].reads = 0
            await pair.add(steady(300, 320))
            assert pair.stores[0].reads == 0

        return check

    for one in spoilt.values():
        with_both(check_of(one))


def test_a_parcel_that_came_before_spoils_nothing() -> None:
    async def check(pair: Pair) -> None:
        await pair.add(steady(0, 150))
        await pair.add(steady(100, 150))
        pair.stores[0].reads = 0
        await pair.add(steady(150, 200))
        assert pair.stores[0].reads == 0

    with_both(check)


def test_a_backlog_behind_newer_readings_is_no_climb_to_the_newest() -> None:
    async def check(pair: Pair) -> None:
        await pair.add(steady(0, 40))
        await pair.add([*steady(300, 340), (T0 + 340 * POLL_S * NS, 1000.0)])
        for place in range(40, 200, 80):
            await pair.add(steady(place, place + 80))

    with_both(check)


def test_a_jump_that_only_shows_between_two_readings_is_seen() -> None:
    async def check(pair: Pair) -> None:
        await pair.add(steady(0, 110))
        await pair.add([(at, round(1077 + 20 + place * 0.7, 3)) for place, (at, _) in enumerate(steady(110, 130))])
        await pair.add([(at, round(1111 + place * 0.7, 3)) for place, (at, _) in enumerate(steady(130, 170))])

    with_both(check)


def test_a_small_dip_is_seen_and_so_is_a_value_that_is_no_number() -> None:
    async def check(pair: Pair) -> None:
        await pair.add(steady(0, 90))
        spoilt = steady(90, 160)
        spoilt[20] = (spoilt[20][0], 1075.0)
        await pair.add(spoilt)
        await pair.add(steady(160, 230))
        await pair.add(
            [(at, float("nan") if at == T0 + 250 * POLL_S * NS else value) for at, value in steady(230, 280)]
        )

    with_both(check)


KINDS = (
    "rise",
    "rise",
    "rise",
    "rest",
    "dip",
    "notch",
    "spike",
    "reset",
    "rollover",
    "gap",
    "late",
    "doubt",
    "again",
    "ints",
)


@settings(max_examples=12, deadline=None)
@given(st.randoms(use_true_random=False), st.lists(st.sampled_from(KINDS), min_size=3, max_size=14))
def test_whatever_happens_to_a_register_both_ways_give_the_same_intervals(
    dice: random.Random, happenings: list[str]
) -> None:
    async def check(pair: Pair) -> None:
        at, value = T0 + dice.randrange(900) * NS, dice.choice([10.0, 950_000.0])
        kept: list[tuple[int, Value]] = []
        late: list[tuple[int, Value]] = []
        for kind in happenings:
            if kind == "gap":
                at += dice.randrange(60, 9000) * NS
            if kind == "reset":
                value = 0.0
            if kind == "rollover":
                value = 999_999.5
            portion: list[tuple[int, Value]] = []
            for place in range(dice.choice([1, 3, 40, 90])):
                at += dice.randrange(POLL_S - 2, POLL_S + 3) * NS
                value = round((value + (0 if kind == "rest" else dice.random())) % 1_000_000, 3)
                wrong = place % 30 == 5 and kind in {"dip", "notch", "spike"}
                shown: Value = round(value) if kind == "ints" else value
                portion.append((at, ({"dip": 0.5, "notch": value - 1}.get(kind, 990_000.0)) if wrong else shown))
            if kind == "late" and len(portion) > 3:
                late += [portion.pop(2)]
            await pair.add(portion, doubted=[portion[-1][0]] if kind == "doubt" else ())
            kept += portion
            if kind == "again":
                await pair.add([*kept[-20:], late.pop()] if late else kept[-20:])
        if late:
            await pair.add(late)

    with_both(check)
