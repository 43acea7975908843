"""Raw readings on request, in virtual time: whatever happens between, what was asked for comes once, or a reason."""

import asyncio
import gzip
import sqlite3
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centre import forwarding_raw
from centre.books import audit, raw_answers, raw_requests, received
from centre.books.file import Books
from centre.books.raw_requests import RawRequest, RawState
from centre.carriers import Carrier, Flow
from centre.errors import BadQuestion, FigureError
from centre.forwarding_raw import RawAnswers
from centre.forwarding_raw_rule import RawRule
from centre.plant import Meter, Node, Plant
from centre.points import Directory
from centre.store.base import Reading, SeriesKey, Span, Store
from centre.upper_raw import RawRequests
from centre.upper_raw_ingest import RawIngest, read_raw
from metering.faults import Fault
from metering.intervals import IntervalParcel, NodeInterval
from metering.parcel import ParcelId
from metering.raw import MAX_ASKS, Ask, RawError, RawPart, ask_of, decode_asks, encode_asks, open_raw, seal_raw
from metering.sweep import DeviceInfo, Sweep
from metering.topics import Topics
from support.sim_broker import SimBroker
from support.store_contract import device
from support.virtual_time import START_NS, VirtualClock, run
from wattline.clock import NS

POINT = "energy_active_import_total"
START = START_NS - 86_400 * NS
FROM, TO = (datetime.fromtimestamp(at // NS, UTC) for at in (START, START_NS))
RULE = RawRule(devices=None, longest_ns=31 * 86_400 * NS, most=10_000, per_minute=60_000)


def meters(*devices: str) -> tuple[Meter, ...]:
    return tuple(Meter(device=name, carrier=Carrier.ELECTRICITY, flow=Flow.IMPORT) for name in devices)


LINE = Node(id="line", name={}, meters=meters("press", "incomer"), children=())
TREE = Node(id="plant", name={}, meters=(), children=(LINE, Node(id="empty", name={}, meters=(), children=())))
PLANT = Plant(site="works", name={}, zone=ZoneInfo("Asia/Shanghai"), region="CN-Chongqing", tree=TREE)


class Readings:
    """A store with two registers, read every minute for a day; one reading is not believed."""

    def __init__(self) -> None:
        times = [START + place * 60 * NS for place in range(1440)]
        self.found = {
            name: [Reading(at, float(place) + 0.1, suspect=place == 7) for place, at in enumerate(times)]
            for name in ("incomer", "press")
        }

    async def inventory(self, site: str) -> dict[str, tuple[str, DeviceInfo]]:
        return {name: ("gateway", device(name)) for name in self.found}

    async def read(self, series: SeriesKey, t0: int, t1: int, *, limit: int) -> list[Reading]:
        return [one for one in self.found[series.device] if t0 <= one.at < t1][:limit]

    async def span(self, series: SeriesKey, t0: int, t1: int) -> Span | None:
        found = await self.read(series, t0, t1, limit=10**6)
        return Span(found[0], found[-1], len(found)) if found else None


class World:
    """Two centres, the broker between them; what the upper one asks stands in its books."""

    def __init__(self, clock: VirtualClock, folder: Path, rule: RawRule | None = RULE) -> None:
        self.clock, self.folder, self.rule = clock, folder, rule
        self.broker, self.store = SimBroker(), Readings()
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, *which: str) -> None:
        for name in which or ("lower", "upper"):
            self.tasks[name] = asyncio.create_task(self._lower() if name == "lower" else self._upper())

    async def kill(self, *which: str) -> None:
        for name in which or ("lower", "upper"):
            self.tasks[name].cancel()
            with suppress(asyncio.CancelledError):
                await self.tasks[name]

    def books(self, name: str) -> Books:
        return Books(self.folder / f"{name}.db", self.clock, inline=True)

    def answers(self, books: Books) -> RawAnswers:
        store = cast("Store", self.store)
        return RawAnswers(
            name="lower", plants={"works": PLANT}, store=store, directory=Directory(store, self.clock), books=books,
            broker=self.broker.client("lower"), clock=self.clock, rule=self.rule,
        )  # fmt: skip

    async def _lower(self) -> None:
        async with self.books("lower") as books:
            await self.answers(books).run()

    async def _upper(self) -> None:
        async with self.books("upper") as books:
            await RawIngest(
                broker=self.broker.client("upper", persistent=True), requests=self.requests(books), clock=self.clock,
                dead_letters=self.folder / "dead",
            ).run()  # fmt: skip

    def requests(self, books: Books) -> RawRequests:
        return RawRequests(books=books, clock=self.clock, sites={"works"})

    async def ask(self, node: str | None = "line", device: str | None = None, **more: datetime) -> str:
        """As another process would: only the books are shared."""
        async with self.books("upper") as books:
            interval = NodeInterval(
                site="works", node="plant", carrier="electricity", flow="import", grain="hour", start=1, end=2,
                unit="kWh", amount=Decimal(1), estimated=Decimal(0), shares=(), revision=1,
            )  # fmt: skip
            parcel = IntervalParcel(site="works", centre="lower", id=ParcelId(epoch=1, seq=1), intervals=(interval,))
            await books.keep(lambda connection: received.take(connection, parcel, 1))
            times = {"start": FROM, "end": TO} | more
            asks = self.requests(books)
            return (await asks.ask("works", node=node, device=device, author="li", reason="audit", **times)).ask.id

    async def found(self, request: str) -> tuple[RawRequest, list[tuple[str, ...]]]:
        async with self.books("upper") as books:
            asks = self.requests(books)
            return await asks.one(request), [row async for row in asks.rows(request)]

    async def audited(self, name: str) -> list[audit.AuditRow]:
        async with self.books(name) as books:
            return list(await books.read(audit.rows))[::-1]

    def expected(self) -> list[tuple[str, ...]]:
        return [
            (name, POINT, str(one.at), repr(one.value), "1" if one.suspect else "")
            for name in ("incomer", "press")
            for one in self.store.found[name]
        ]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding_raw, "_PER_PART", 200)


def test_what_is_asked_for_comes_whole_and_both_sides_have_it_in_their_audit(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path)
        request = await world.ask()
        world.start()
        await asyncio.sleep(300)
        await world.kill()
        made, rows = await world.found(request)
        assert (made.state, made.readings, made.reason) == (RawState.COMPLETE, 2880, None)
        assert rows == world.expected()
        below = await world.audited("lower")
        assert [(row.author, row.reason, row.subject) for row in below] == [
            ("li (centre above)", "audit", f"raw_answer:works/{request}")
        ] * 2
        assert below[0].after["given"] == {f"{name}/{POINT}": 1440 for name in ("incomer", "press")}
        assert (below[0].after["ended"], below[1].after["ended"] > 0) == (None, True)
        above = await world.audited("upper")
        assert [row.author for row in above] == ["li", "centre works/lower"]
        assert (above[1].before["state"], above[1].after["state"]) == ("open", "complete")
        assert decode_asks(world.broker.retained[Topics("works", "lower").asked]) == ()
        assert not (tmp_path / "dead").exists()

    run(main)


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_missing_or_doubled_through_faults_and_kills(seed: int, tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        random = Random(seed)
        world = World(clock, tmp_path, replace(RULE, per_minute=200))
        request = await world.ask()
        world.start()
        for fault in random.sample(["down", "forget", "swallow", "copies", "late", "lower", "upper", "drop"], 6):
            if fault in {"down", "forget"}:
                world.broker.go_down(forget=fault == "forget")
            if fault == "swallow":
                world.broker.swallow = lambda topic: not topic.endswith("committed")
            if fault == "copies":
                world.broker.copies = lambda topic: 3
            if fault == "late":
                world.broker.late_s = lambda topic: random.uniform(0, 200)
            if fault == "drop":
                world.broker.drop(random.choice(["lower", "upper"]))
            if fault in world.tasks:
                await world.kill(fault)
            await asyncio.sleep(random.uniform(1, 120))
            world.broker.come_up()
            world.broker.swallow, world.broker.copies = (lambda topic: False), (lambda topic: 1)
            world.broker.late_s = lambda topic: 0.0
            if fault in world.tasks:
                world.start(fault)
            await asyncio.sleep(random.uniform(1, 60))
        await asyncio.sleep(3 * 3600)
        await world.kill()
        made, rows = await world.found(request)
        assert made.state is RawState.COMPLETE
        assert rows == world.expected()

    run(main)


def test_a_broker_that_acknowledges_and_loses_everything_for_a_while_only_delays(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path, replace(RULE, per_minute=200))
        request = await world.ask()
        world.broker.swallow = lambda topic: True
        world.start()
        for lost in ("", "asked raw", "asked"):
            await asyncio.sleep(200)
            world.broker.swallow = lambda topic, lost=lost: topic.rpartition("/")[2] in lost.split()
        await asyncio.sleep(200)
        assert 0 < (await world.found(request))[0].readings < 2880
        world.broker.swallow = lambda topic: False
        await asyncio.sleep(2 * 3600)
        await world.kill()
        assert (await world.found(request))[1] == world.expected()

    run(main)


def test_books_above_that_are_restored_from_a_backup_get_the_rest_again(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path, replace(RULE, per_minute=200))
        request = await world.ask()
        world.start()
        await asyncio.sleep(400)
        await world.kill("upper")
        with sqlite3.connect(tmp_path / "upper.db") as books, sqlite3.connect(tmp_path / "backup.db") as backup:
            books.backup(backup)
        books.close()
        world.start("upper")
        await asyncio.sleep(3600)
        await world.kill("upper")
        assert (await world.found(request))[0].state is RawState.COMPLETE
        with sqlite3.connect(tmp_path / "upper.db") as books:
            backup.backup(books)
        books.close()
        backup.close()
        assert 0 < (await world.found(request))[0].readings < 2880
        world.start("upper")
        await asyncio.sleep(3600)
        await world.kill()
        assert (await world.found(request))[1] == world.expected()
        assert len(await world.audited("lower")) == 2

    run(main)


@pytest.mark.parametrize(
    ("rule", "asked", "reason"),
    [
        (None, {}, "raw_readings_are_not_given"),
        (replace(RULE, devices=("incomer",)), {}, "not_given_of: press"),
        (RULE, {"node": "hall"}, "unknown_node"),
        (RULE, {"node": None, "device": "pump"}, "unknown_meter"),
        (RULE, {"node": "empty"}, "no_register_known"),
        (RULE, {"end": datetime(2099, 1, 1, tzinfo=UTC)}, "time_is_not_over"),
        (replace(RULE, longest_ns=86_399 * NS), {}, "time_too_long"),
        (replace(RULE, most=2879), {}, "too_many_readings: 2880"),
    ],
)
def test_a_refusal_is_told_with_its_reason_and_audited(
    rule: RawRule | None, asked: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path, rule)
        request = await world.ask(**asked)
        world.start()
        await asyncio.sleep(30)
        await world.kill()
        made, rows = await world.found(request)
        assert (made.state, made.reason, rows) == (RawState.REFUSED, reason, [])
        (below,) = await world.audited("lower")
        assert below.after["refused"] == reason
        assert (await world.audited("upper"))[-1].after["reason"] == reason

    run(main)


def test_no_more_is_given_than_the_rate_and_not_after_it_is_shut(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path, replace(RULE, per_minute=200, devices=("incomer", "press")))
        request = await world.ask()
        world.start()
        await asyncio.sleep(150)
        assert 400 <= (await world.found(request))[0].readings <= 600
        await world.kill("lower")
        world.rule = replace(RULE, devices=("press",))
        world.start("lower")
        await asyncio.sleep(60)
        await world.kill()
        assert (await world.found(request))[0].reason == "not_given_of: incomer"
        assert [row.after["refused"] for row in await world.audited("lower")] == [None, "not_given_of: incomer"]

    run(main)


def test_a_request_that_changed_below_its_id_is_refused_and_a_day_takes_only_so_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding_raw, "_MOST_A_DAY", 1)

    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path, replace(RULE, devices=("incomer",)))
        ask = Ask(id="a", author="li", reason="x", node=None, device="incomer", start=START, end=START + 60 * NS)
        async with world.books("lower") as books:
            answers = world.answers(books)
            part = await answers.part("works", ask)
            assert part is not None
            assert (part.readings, part.next, part.refused) == (1, None, None)
            wider = await answers.part("works", replace(ask, end=START_NS))
            assert (wider and wider.refused) == "id_of_another_request"
            for place in ("x", "a/b/c", f"press/{POINT}/{2**63}", f"press/{POINT}/-1"):
                lost = await answers.part("works", replace(ask, place=place))
                assert (lost and (lost.refused, lost.readings)) in {("no_place_in_this_answer", 0), (None, 1)}
            assert await answers.part("works", replace(ask, id="b")) is None
            assert len(await books.read(lambda of: raw_answers.newest(of, 9))) == 1 == len(await answers.told())

    run(main)


def test_what_is_withdrawn_is_forgotten_and_takes_nothing_more(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path)
        request = await world.ask()
        part = RawPart(
            site="works", centre="lower", request=request, place="", next="incomer/p/9", refused=None, sweeps=()
        )
        async with world.books("upper") as books:
            asks = world.requests(books)
            assert await asks.take(part, seal_raw(part))
            assert not await asks.take(part, seal_raw(part))
            with pytest.raises(RawError, match="not asked"):
                await asks.take(replace(part, centre="other", place="incomer/p/9"), b"")
            far = Sweep(device="incomer", taken_at=1, values={POINT: 1.0}, faults={})
            with pytest.raises(RawError, match="of that time"):
                await asks.take(replace(part, place="incomer/p/9", sweeps=(far,)), b"")
            made = await asks.withdraw(request, author="li", reason="seen")
            assert made.state is RawState.WITHDRAWN
            assert await asks.withdraw(request, author="li", reason="seen") == made
            assert not await asks.take(replace(part, place="incomer/p/9"), b"")
            assert await books.read(lambda of: raw_requests.part(of, request, 1)) is None
            with pytest.raises(FigureError, match="no request"):
                await asks.one("nothing")

    run(main)


def test_a_request_that_makes_no_sense_is_not_made(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        world = World(clock, tmp_path)
        async with world.books("upper") as books:
            ask = world.requests(books).ask
            with pytest.raises(FigureError, match="ever heard"):
                await ask("works", node="a", device=None, start=FROM, end=TO, author="li", reason="x")
        wrong: list[dict[str, Any]] = [{"node": None}, {"device": "x"}, {"start": TO}, {"start": datetime(2026, 1, 1)}]  # noqa: DTZ001
        for one in wrong:
            with pytest.raises(BadQuestion):
                await world.ask(**one)
        for _ in range(MAX_ASKS):
            await world.ask()
        with pytest.raises(FigureError, match="are open"):
            await world.ask()
        async with world.books("upper") as books:
            with pytest.raises(FigureError, match="no member"):
                await world.requests(books).ask(
                    "other", node="a", device=None, start=FROM, end=TO, author="li", reason="x"
                )

    run(main)


# --- on the wire

names = st.from_regex(r"\A[a-z][a-z0-9_-]{0,10}\Z")
asks = st.builds(
    Ask,
    id=names,
    author=st.text("li 王", min_size=1).filter(str.strip),
    reason=st.just("why"),
    node=names,
    device=st.none(),
    start=st.integers(0, 10**18),
    end=st.integers(10**18 + 1, 2 * 10**18),
    place=st.sampled_from(["", "a/b/5"]),
)
sweeps = st.builds(
    Sweep,
    device=names,
    taken_at=st.integers(0, 10**18),
    values=st.dictionaries(
        names, st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 9), min_size=1, max_size=1
    ),
    faults=st.just(dict[str, Fault]()) | st.just({"x": Fault.SUSPECT}),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(asks, max_size=4), st.lists(sweeps, max_size=5), st.none() | st.just("a/b/7"))
def test_requests_and_parts_come_back_as_they_were(wanted: list[Ask], held: list[Sweep], following: str | None) -> None:
    assert decode_asks(encode_asks(wanted)) == tuple(wanted)
    part = RawPart(
        site="works", centre="c", request="r", place="a/b/1", next=following, refused=None, sweeps=tuple(held)
    )
    assert open_raw(seal_raw(part)) == part
    assert read_raw(Topics("works", "c").raw, seal_raw(part)) == part
    with pytest.raises(ValueError, match="on a topic of"):
        read_raw(Topics("other", "c").raw, seal_raw(part))
    with pytest.raises(ValueError, match="not of the form"):
        read_raw("nowhere", seal_raw(part))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "meter,device=a b=1 5",
        "wattline_raw,site=a version=2i 5",
        "wattline_raw,site=a version=1i 5",
        'wattline_raw,site=a,centre=b version=1i,request="r",place="a b",readings=0i 5',
        'wattline_raw,site=a,centre=b version=1i,request="r",place="",readings=3i 5',
    ],
)
def test_what_is_no_part_is_refused(text: str) -> None:
    part = seal_raw(RawPart(site="a", centre="b", request="r", place="", next=None, refused="no", sweeps=()))
    assert open_raw(part).refused == "no"
    for body in (gzip.compress(text.encode()), text.encode(), part[:-9]):
        with pytest.raises(RawError):
            open_raw(body)


def test_what_is_no_request_is_refused() -> None:
    for payload in (b"", b"{}", b'{"version":1}', b'{"version":1,"requests":{}}', b'{"version":1,"requests":[1]}'):
        with pytest.raises(RawError):
            decode_asks(payload)
    good = {"id": "a", "author": "b", "reason": "c", "node": "d", "device": None, "start": 1, "end": 2, "place": ""}
    assert ask_of(good).node == "d"
    for wrong in ({"start": True}, {"end": "2"}, {"place": 'a"b'}, {"node": None}, {"author": "\n"}, {"id": "a/b"}):
        with pytest.raises(RawError):
            ask_of(good | wrong)
