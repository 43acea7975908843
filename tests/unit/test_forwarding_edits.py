"""Whatever was edited and forwarded before, in whatever order it came: the upper centre has what a new forward gives it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random

import pytest

from centre.accounting.calendar import Month
from centre.accounting.zones import day_bounds
from centre.books import forward, received
from centre.books.entities import load
from centre.books.file import Books
from centre.entities import Entity, Membership, entities_of
from centre.entities_kept import BadEntities, EntityBook
from centre.forwarding_figures import ForwardedFigures
from centre.statement_books import StatementBooks
from centre.store.base import Grain
from centre.store.sqlite import SqliteStore
from metering.intervals import NOT_METERED, WITHDRAWN, IntervalParcel, NodeInterval, open_intervals, seal_intervals
from metering.parcel import ParcelId
from support.books_plant import FIRST, StoppedClock, filled, setup
from support.page_figures import ZONE

SITE = "jiangjin-1"
CLOCK = StoppedClock(day_bounds(FIRST.replace(month=12, day=5), ZONE)[0])

Entities = dict[str, Entity]
Edit = Callable[[Entities, Random], None]


def _day(random: Random) -> int:
    return random.randrange(4)


def _move(known: Entities, random: Random) -> None:
    moved = FIRST + timedelta(days=_day(random))
    one, other = random.sample(["workshop-1", "workshop-2", "utilities"], 2)
    places = (Membership(parent=f"{SITE}/{one}", until=moved), Membership(parent=f"{SITE}/{other}", since=moved))
    key = f"{SITE}/{random.choice(['press-1', 'line-1'])}"
    if key in known:
        known[key] = replace(known[key], memberships=places)


def _take_meter(known: Entities, random: Random) -> None:
    key = random.choice([key for key, one in known.items() if one.meters])
    until = random.choice([None, FIRST + timedelta(days=_day(random))])
    meters = known[key].meters[1:] if until is None else tuple(replace(one, until=until) for one in known[key].meters)
    known[key] = replace(known[key], meters=meters)


def _remove(known: Entities, random: Random) -> None:
    known.pop(f"{SITE}/{random.choice(['press-2', 'line-2', 'furnace'])}", None)


def _rename(known: Entities, random: Random) -> None:
    old = f"{SITE}/{random.choice(['press-2', 'line-3'])}"
    if old in known:
        one = known.pop(old)
        known[f"{old}-new"] = replace(one, id=f"{one.id}-new")


def _restore(known: Entities, random: Random) -> None:
    known.clear()
    known.update(setup().entities.by_key)


EDITS: tuple[Edit, ...] = (_move, _move, _take_meter, _take_meter, _remove, _rename, _restore)


class Way:
    """From a centre below, its books in `lower`, to the books of the one above; parcels wait in the air."""

    def __init__(self, store: SqliteStore, entities: Books, lower: Books, upper: Books) -> None:
        self.lower, self.upper = lower, upper
        self.figures = ForwardedFigures(
            store=store, clock=CLOCK, plants={SITE: setup().plants[0]}, entities=StatementBooks(books=entities).entities,
            grains=(Grain.DAY, Grain.MONTH),
        )  # fmt: skip
        self.seq = count(1)
        self.air: list[tuple[bytes, list[forward.Sent]]] = []

    async def look(self) -> int:
        sent = await self.lower.read(lambda of: forward.reach(of, SITE))
        queued = 0
        for month in await self.figures.months(SITE, sent):
            look, _ = await self.figures.closed(SITE, month)
            queued += await self.lower.keep(lambda of, look=look: forward.keep(of, look, 1))
        return queued

    async def send(self) -> None:
        rows = await self.lower.read(lambda of: forward.waiting(of, SITE, 0, 5000))
        for at in range(0, len(rows), 40):
            part = rows[at : at + 40]
            parcel = IntervalParcel(
                site=SITE, centre="below", id=ParcelId(epoch=1, seq=next(self.seq)),
                intervals=tuple(interval for _, interval in part),
            )  # fmt: skip
            self.air.append((seal_intervals(parcel), [sent for sent, _ in part]))

    async def arrive(self, random: Random, share: float) -> None:
        """Some of what is in the air, in any order; some of it stays there and comes again."""
        random.shuffle(self.air)
        for body, sent in [one for one in self.air if random.random() < share]:
            await self.upper.keep(lambda of, body=body: received.take(of, open_intervals(body), 1))
            if random.random() < 0.5:
                await self.lower.keep(lambda of, sent=sent: forward.confirm(of, sent))
                self.air.remove((body, sent))

    async def not_metered(self) -> list[tuple[str, ...]]:
        """Of which months the upper centre knows that nothing is to come."""
        return await self.upper.read(
            lambda of: of.execute(
                "SELECT node, carrier, flow, start FROM received WHERE content LIKE ? ORDER BY 1, 2, 3, 4",
                (f"%{NOT_METERED}%",),
            ).fetchall()
        )

    async def above(self) -> list[NodeInterval]:
        """What the upper centre counts, without the revisions."""
        places: list[tuple[str]] = await self.upper.read(
            lambda of: of.execute("SELECT DISTINCT node FROM received ORDER BY node").fetchall()
        )
        found: list[NodeInterval] = []
        for (node,) in places:
            for carrier, flow in await self.upper.read(lambda of, node=node: received.flows_of(of, SITE, node)):
                series = received.Series(SITE, node, carrier, flow)
                for grain in ("day", "month"):
                    found += await self.upper.read(
                        lambda of, series=series, grain=grain: received.intervals(of, series, grain, start=0, end=2**62)
                    )
        return [replace(one, revision=1) for one in found]


@pytest.mark.parametrize("seed", range(2))
def test_after_any_edits_in_any_order_of_arrival_the_figures_above_are_those_of_a_new_forward(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def main(folder: Path, random: Random) -> None:
        async with (
            await filled(tmp_path_factory) as store,
            Books(folder / "lower.db", CLOCK, inline=True) as lower,
            Books(folder / "upper.db", CLOCK, inline=True) as upper,
            Books(folder / "new-lower.db", CLOCK, inline=True) as new_lower,
            Books(folder / "new-upper.db", CLOCK, inline=True) as new_upper,
        ):
            book = EntityBook(lower, CLOCK, setup().plants)
            version = await book.replace_all(setup().entities, author="li", reason="as built", expected=None)
            way = Way(store, lower, lower, upper)
            for _ in range(8):
                await way.look()
                await way.send()
                await way.arrive(random, 0.4)
                known = dict((await lower.read(load)).entities.by_key)
                random.choice(EDITS)(known, random)
                try:
                    version = await book.replace_all(
                        entities_of(tuple(known.values())), author="li", reason="as built", expected=version
                    )
                except BadEntities:
                    continue
            await way.look()
            assert await way.look() == 0
            await way.send()
            await way.arrive(random, 1)
            await way.arrive(random, 1)
            new = Way(store, lower, new_lower, new_upper)
            await new.look()
            await new.send()
            await new.arrive(random, 1)
            assert await way.above() == await new.above() != []
            assert await way.not_metered() == await new.not_metered()
            withdrawn = await upper.read(
                lambda of: of.execute(
                    "SELECT count(*) FROM received WHERE content LIKE ?", (f"%{WITHDRAWN}%",)
                ).fetchone()
            )
            assert withdrawn[0] > 0
            assert Month(2026, 11) in await way.figures.months(SITE, None)

    asyncio.run(main(tmp_path_factory.mktemp("edits"), Random(seed)))
