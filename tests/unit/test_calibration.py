"""When the calibration of a meter ends: told before, told again when it is over, and no more when it was renewed."""

import asyncio
from dataclasses import replace
from datetime import date
from pathlib import Path

from centre.accounting.alarms import What
from centre.accounting.zones import day_bounds
from centre.alarm_watch import AlarmWatch
from centre.books.file import Books
from centre.entities import entities_of
from centre.entities_kept import EntityBook
from centre.management import Management
from centre.points import Directory
from centre.store.sqlite import SqliteStore
from centre.web_i18n import load_words
from support.books_plant import setup
from support.page_figures import ZONE
from wattline.clock import NS
from wattline.events import EventLog

SITE = "jiangjin-1"


class Days:
    """A clock that is set from day to day."""

    at = 0

    def now_ns(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.at / NS

    async def sleep_until(self, due_ns: int) -> None:
        raise AssertionError(due_ns)


def noon(day: date) -> int:
    return day_bounds(day, ZONE)[0] + 12 * 3600 * NS


def test_a_calibration_is_told_before_it_ends_and_again_when_it_is_over_and_ends_with_a_new_one(tmp_path: Path) -> None:
    found = setup()
    plant = found.plants[0]

    async def due(books: Books, clock: Days, day: date) -> None:
        every = list(setup().entities)
        top = next(entity for entity in every if entity.id == "plant")
        changed = replace(top, meters=(replace(top.meters[0], calibration_due=day), *top.meters[1:]))
        told = entities_of(tuple(changed if entity is top else entity for entity in every))
        await EntityBook(books, clock, found.plants).take_over(told, EventLog())

    async def main() -> None:
        clock = Days()
        at = date(2026, 9, 1)
        async with SqliteStore(tmp_path / "c.db") as store, Books(tmp_path / "b.db", clock, inline=True) as books:
            watched = Management(
                store=store, clock=clock, rules=found.rules, directory=Directory(store, clock), books=books
            )
            watch = AlarmWatch(
                management=watched, books=books, clock=clock, plants={SITE: plant}, rules=found.rules,
                words=load_words(),
            )  # fmt: skip

            async def on(day: date) -> list[tuple[str, What]]:
                clock.at = noon(day)
                return [(change.alarm.partition(":")[0], change.what) for change in await watch.cycle()]

            clock.at = noon(at)
            await due(books, clock, date(2026, 10, 15))
            assert await on(date(2026, 9, 15)) == []  # 30 days
            assert await on(date(2026, 9, 16)) == [("calibration_days_left", What.RAISED)]
            assert await on(date(2026, 10, 15)) == []
            assert await on(date(2026, 10, 16)) == [("calibration_days_over", What.RAISED)]
            texts = {view.indicator: view.text["en"] for view in await watch.alarms(SITE)}
            assert texts["calibration_days_over"] == "incomer: its calibration was due 1.0 days ago."
            await due(books, clock, date(2028, 10, 15))
            assert sorted(await on(date(2026, 10, 17))) == [
                ("calibration_days_left", What.ENDED), ("calibration_days_over", What.ENDED),
            ]  # fmt: skip

    asyncio.run(main())
