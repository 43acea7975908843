"""The levels above plants: what was received becomes a park and a city, with members that come and go."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from centre.accounting.calendar import Month, month_bounds
from centre.accounting.terms import Input
from centre.accounting.zones import day_bounds
from centre.api_door import month_in
from centre.books import received
from centre.books.file import Books
from centre.carriers import Carrier
from centre.entities_kept import EntityBook
from centre.errors import BadQuestion, FigureError
from centre.manual import Manual
from centre.settings import Setup, load_setup
from centre.upper import UpperFigures, both
from centre.upper_rollup import NOT_RECEIVED
from metering.intervals import NOT_METERED, WITHDRAWN, IntervalParcel, NodeInterval
from metering.parcel import ParcelId
from support.books_plant import StoppedClock
from wattline.clock import NS
from wattline.errors import ConfigError
from wattline.events import EventLog

CLOCK = StoppedClock(int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()) * NS)
OCTOBER = Month(2026, 10)


def plant(site: str, *places: dict[str, str], industry: str = "C3011") -> list[dict[str, Any]]:
    name = {"en": site, "zh": site}
    return [{"id": "plant", "kind": "plant", "name": name, "industry": industry, "in": list(places)}]


ENTITIES: dict[str, Any] = {
    "upper": [
        {"id": "city", "kind": "city", "name": {"en": "City", "zh": "市"}},
        {"id": "park", "kind": "park", "name": {"en": "Park", "zh": "园区"}, "in": "city"},
    ],
    "sites": {
        "firm-a": plant("firm-a", {"of": "park"}),
        "firm-b": plant("firm-b", {"of": "park", "since": "2026-10-11"}),
        "firm-c": plant("firm-c", {"of": "city"}),
    },
}
MEMBERS = [{"site": site, "zone": "Asia/Shanghai", "region": "CN-Chongqing"} for site in ("firm-a", "firm-b", "firm-c")]
TRANSFER = {"giver": "firm-a", "taker": "firm-b", "meter": "firm-a/to-b", "carrier": "heat", "flow": "export"}
SETTINGS: dict[str, Any] = {
    "broker": {"url": "mqtt://127.0.0.1:1883"},
    "store": {"sqlite": "centre.db"},
    "entities": "entities.yaml",
    "levels": {"members": MEMBERS, "transfers": [TRANSFER]},
}


def settings(folder: Path, change: Callable[[Any], object] = lambda found: None) -> Setup:
    found: Any = yaml.safe_load(yaml.safe_dump(SETTINGS))
    change(found)
    (folder / "entities.yaml").write_text(yaml.safe_dump(ENTITIES, allow_unicode=True), encoding="utf-8")
    (folder / "centre.yaml").write_text(yaml.safe_dump(found), encoding="utf-8")
    return load_setup(folder / "centre.yaml")


def of(setup: Setup, site: str, node: str, carrier: str, flow: str, *amounts: int | None) -> Sequence[NodeInterval]:
    """October: one amount is the month, more are its days."""
    assert setup.levels is not None
    zone = setup.levels.members[site].zone
    days = [day_bounds(date(2026, 10, place + 1), zone) for place in range(len(amounts))]
    bounds = [month_bounds(OCTOBER, zone)] if len(amounts) == 1 else days
    return [
        NodeInterval(
            site=site, node=node, carrier=carrier, flow=flow, grain="month" if len(amounts) == 1 else "day",
            start=start, end=end, unit="kWh", amount=None if amount is None else Decimal(amount), estimated=Decimal(0),
            shares=(("M", Decimal(1)),), revision=1, reason="meter: no_data" if amount is None else None,
        )
        for amount, (start, end) in zip(amounts, bounds, strict=True)
    ]  # fmt: skip


@asynccontextmanager
async def centre(folder: Path, *told: Sequence[NodeInterval]) -> AsyncGenerator[UpperFigures]:
    setup = settings(folder)
    assert setup.levels is not None
    async with Books(setup.books, CLOCK, inline=True) as books:
        await EntityBook(books, CLOCK, setup.plants).take_over(setup.entities, EventLog())
        for seq, found in enumerate(told, 1):
            parcel = IntervalParcel(
                site=found[0].site, centre="c", id=ParcelId(epoch=1, seq=seq), intervals=tuple(found)
            )
            await books.keep(lambda connection, parcel=parcel: received.take(connection, parcel, 1))
        manual = Manual(books=books, clock=CLOCK, plants=setup.levels.members, factors=setup.factors)
        yield UpperFigures(books=books, clock=CLOCK, levels=setup.levels, factors=setup.factors, manual=manual)


def test_a_member_counts_from_the_day_it_joined_and_a_transfer_only_between_members(tmp_path: Path) -> None:
    setup = settings(tmp_path)
    told = [
        of(setup, "firm-a", "plant", "electricity", "import", 1000),
        of(setup, "firm-a", "to-b", "heat", "export", *range(1, 32)),
        of(setup, "firm-b", "plant", "electricity", "import", *[10] * 31),
        of(setup, "firm-b", "plant", "heat", "import", *range(1, 32)),
    ]

    async def main() -> None:
        async with centre(tmp_path, *told) as figures:
            park = await figures.level("park", OCTOBER)
            electricity, heat = park.figures.carriers[0].taken, park.figures.carriers[3].taken
            assert (electricity.total, electricity.of_firms) == (1000 + 21 * 10, 1210)
            assert (heat.total, heat.of_firms, heat.internal) == (0, sum(range(11, 32)), sum(range(11, 32)))
            assert [(one.site, one.spans) for one in park.members] == [
                ("firm-a", ((date(2026, 10, 1), date(2026, 11, 1)),)),
                ("firm-b", ((date(2026, 10, 11), date(2026, 11, 1)),)),
            ]
            assert park.figures.calorific.total.value is not None
            city = await figures.level("city", OCTOBER)
            assert city.figures.carbon.total.value is None
            assert city.figures.carbon.total.known == park.figures.carbon.total.value
            assert {name.partition(":")[0] for name in city.figures.carbon.total.missing} == {"firm-c"}
            assert city.figures.carriers[0].taken.firms["firm-c"].reason == NOT_RECEIVED
            assert [one["key"] for one in await figures.known()] == ["city", "park"]

    asyncio.run(main())


def test_what_was_withdrawn_counts_no_more_and_what_no_meter_counts_is_not_missing(tmp_path: Path) -> None:
    setup = settings(tmp_path)
    told = {carrier: of(setup, "firm-a", "plant", carrier, "import", 1000) for carrier in ("electricity", "heat")}
    (heat,) = told["heat"]
    earlier = replace(heat, start=heat.start - 30 * 86_400 * NS, end=heat.start)
    withdrawn = replace(heat, amount=None, shares=(), revision=2, reason=WITHDRAWN)

    async def main(folder: Path, *more: NodeInterval) -> Input | None:
        folder.mkdir()
        async with centre(folder, *told.values(), [earlier], *([one] for one in more)) as figures:
            used = (await figures.level("park", OCTOBER)).figures.carriers
            assert used[0].taken.firms["firm-a"].value == 1000
            taken = [one.taken for one in used if one.carrier is Carrier.HEAT]
            return taken[0].firms.get("firm-a") if taken else None

    def heat_of(name: str, *more: NodeInterval) -> Input | None:
        return asyncio.run(main(tmp_path / name, *more))

    before = heat_of("before")
    assert before is not None
    assert before.value == 1000
    after = heat_of("after", withdrawn, heat)  # the older revision comes again
    assert after is not None
    assert (after.value, str(after.reason).startswith(NOT_RECEIVED)) == (None, True)
    nothing = heat_of("nothing", replace(withdrawn, reason=NOT_METERED))
    assert nothing is None or nothing.value == 0
    back = heat_of("back", withdrawn, replace(heat, amount=Decimal(7), revision=3))
    assert back is not None
    assert back.value == 7


def test_days_that_did_not_come_and_amounts_that_are_not_known_are_named(tmp_path: Path) -> None:
    setup = settings(tmp_path)
    told = [
        of(setup, "firm-a", "plant", "electricity", "import", None),
        of(setup, "firm-b", "plant", "electricity", "import", *[10] * 29),
    ]

    async def main() -> None:
        async with centre(tmp_path, *told) as figures:
            found = (await figures.level("park", OCTOBER)).figures.carriers[0].taken
            assert (found.total, found.of_firms) == (None, 0)
            assert found.firms["firm-a"].reason == "meter: no_data"
            assert found.firms["firm-b"].reason == "not_received: 2026-10-30, 2026-10-31"

    asyncio.run(main())


def test_statistics_are_of_the_whole_and_tell_no_small_group(tmp_path: Path) -> None:
    setup = settings(tmp_path)
    told = [of(setup, site, "plant", "electricity", "import", 10_000) for site in ("firm-a", "firm-c")]

    async def main() -> None:
        async with centre(tmp_path, *told) as figures:
            rows = [
                {"site": site, "node": "plant", "month": "2026-10", "value_added": "50000", "unit": "CNY"}
                for site in ("firm-a", "firm-c")
            ]
            form = await figures.manual.take_rows("value_added", rows, author="a", reason="month")
            await figures.manual.submit(form.id, author="a", reason="month")
            await figures.manual.approve(form.id, author="b", reason="looked at")
            found = await figures.statistics("city", OCTOBER)
            assert (found.incomplete, found.total.unit, found.total.value) == (1, "tce/1e4CNY", None)
            assert [group.reason for group in found.groups] == ["too_few_firms"]
            with pytest.raises(FigureError, match="whole only"):
                await figures.statistics("park", OCTOBER)
            for key in ("firm-a/plant", "nowhere"):
                with pytest.raises(FigureError, match="above plants"):
                    await figures.level(key, OCTOBER)
            with pytest.raises(BadQuestion, match="month"):
                month_in("10.2026")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["levels"]["members"][0].update(site="firm-x"), "levels.members.0.site: firm-x has no plant"),
        (lambda s: s["levels"]["members"].append(MEMBERS[0]), "levels.members.3.site: firm-a stands here a second"),
        (lambda s: s["levels"]["members"][0].update(region="Mars"), "levels.members.0.region: no grid factor"),
        (lambda s: s["levels"]["members"][0].update(zone="Mars"), "levels.members.0.zone: "),
        (lambda s: s["levels"]["transfers"][0].update(taker="firm-x"), "levels.transfers.0.taker: firm-x is no member"),
        (lambda s: s["levels"]["transfers"][0].update(taker="firm-a"), "levels.transfers.0.taker: is the giver"),
        (
            lambda s: s["levels"]["transfers"][0].update(meter="firm-c/x"),
            "levels.transfers.0.meter: belongs to neither",
        ),
        (lambda s: s["levels"]["transfers"].append(TRANSFER), "levels.transfers.1.meter: counts another transfer"),
        (lambda s: s["levels"]["transfers"][0].update(meter="x"), "levels.transfers.0.meter: must be SITE/NODE"),
        (lambda s: s["levels"].update(smallest_group=2), "levels.smallest_group: "),
        (lambda s: s["levels"].update(dominance={"firms": 5}), "levels.dominance.firms: "),
        (lambda s: s.pop("levels"), "plants: there is neither a plant nor `levels`"),
        (lambda s: s.update(upper={"name": "a/b", "broker": {"url": "mqtt://127.0.0.1"}}), "upper.name: "),
        (
            lambda s: s.update(upper={"name": "a", "broker": {"url": "mqtt://127.0.0.1"}, "grains": ["week"]}),
            "upper.gr",
        ),
    ],
)
def test_mistakes_of_the_settings_are_told_with_their_key(
    change: Callable[[Any], object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as told:
        settings(tmp_path, change)
    assert message in str(told.value)


def test_days_in_common() -> None:
    first, second, third, fourth = (date(2026, 10, day) for day in (1, 5, 9, 20))
    assert both(((first, third),), ((second, fourth),)) == ((second, third),)
    assert both(((first, second),), ((second, third),)) == ()
    assert both(((first, second), (third, fourth)), ((first, fourth),)) == ((first, second), (third, fourth))
