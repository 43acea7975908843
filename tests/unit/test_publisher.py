"""The publisher against a simulated broker in virtual time: outages, refusals, amnesia, stop."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent.publisher import Publisher, backoff_s
from agent.spool import Spool
from agent.spool_disk import SqliteDisk
from metering.parcel import ParcelId, open_parcel
from metering.status import State, Status, decode_status
from metering.sweep import Sweep
from metering.topics import Committed, Topics, encode_committed
from support.sim_broker import SimBroker, not_authorised
from support.virtual_time import START_NS, VirtualClock, run
from wattline.broker import BrokerRefused, MessageTooLarge
from wattline.events import EventLog, capture_events

TOPICS = Topics("s", "g")


@dataclass
class Rig:
    """A spool and its publisher, a broker, and a centre that confirms every parcel within a second when it is `there`."""

    clock: VirtualClock
    broker: SimBroker
    spool: Spool
    publisher: Publisher
    centre: bool = True
    _seen: int = 0
    _ids: list[ParcelId] = field(default_factory=list)

    def sent(self) -> list[ParcelId]:
        published = self.broker.published
        while self._seen < len(published):
            topic, body = published[self._seen]
            self._seen += 1
            if topic == TOPICS.readings:
                self._ids.append(open_parcel(body).id)
        return self._ids

    def states(self) -> list[State]:
        return [decode_status(body).state for topic, body in self.broker.published if topic == TOPICS.status]

    async def confirm(self) -> None:
        while True:
            if self.centre:
                held: dict[int, list[tuple[int, int]]] = {}
                for parcel_id in sorted(set(self.sent())):
                    held.setdefault(parcel_id.epoch, []).append((parcel_id.seq, parcel_id.seq))
                word = Committed(epochs={epoch: tuple(ranges) for epoch, ranges in held.items()})
                self.broker.route(TOPICS.committed, encode_committed(word), retain=True)
            await asyncio.sleep(1.0)

    async def feed(self, seconds: int) -> None:
        """A sweep a second."""
        for _ in range(seconds):
            self.spool.append(Sweep(device="d", taken_at=self.clock.now_ns(), values={"frequency": 50.0}, faults={}))
            await asyncio.sleep(1.0)


def play(
    folder: Path, plot: Callable[[Rig], Awaitable[None]], *, software: str = "t", **how: Any
) -> list[dict[str, Any]]:
    async def main(clock: VirtualClock) -> None:
        broker = SimBroker()

        def status(state: State) -> Status:
            return Status(state=state, software=software, epoch=spool.epoch, at=clock.now_ns(), counters={}, devices=())

        disk = SqliteDisk(folder, budget=64 * 1024 * 1024)
        async with Spool(site="s", gateway="g", disk=disk, clock=clock, events=EventLog()) as spool:
            publisher = Publisher(
                spool=spool,
                broker=broker.client("g"),
                topics=TOPICS,
                clock=clock,
                events=EventLog(),
                random=Random(1),
                status=status,
                **how,
            )
            rig = Rig(clock, broker, spool, publisher)
            work = [asyncio.create_task(each) for each in (spool.run(), publisher.run(), rig.confirm())]
            try:
                await plot(rig)
            finally:
                for task in work:
                    task.cancel()
                await asyncio.wait(work)
            for task in work:
                if not task.cancelled():
                    task.result()

    with capture_events() as events:
        run(main)
    return [event for event in events if event["event"] != "spool.opened"]


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def test_each_parcel_is_published_once_and_released_when_the_store_has_it(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        await rig.feed(300)
        await asyncio.sleep(8)
        assert rig.sent() == [ParcelId(epoch=rig.spool.epoch, seq=seq) for seq in range(1, rig.spool.newest.seq + 1)]
        assert rig.spool.stats().parcels_pending == 0

    assert names(play(tmp_path, plot)) == ["broker.connected"]


def test_without_the_stores_word_nothing_is_released_and_it_is_sent_again(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        rig.centre = False
        await rig.feed(5)
        await asyncio.sleep(200)
        assert rig.sent() == [rig.spool.newest] * 3  # at once, after 60 s, 120 s later
        assert rig.spool.stats().parcels_pending == 1
        rig.centre = True
        await asyncio.sleep(3)
        assert rig.spool.stats().parcels_pending == 0

    play(tmp_path, plot)


def test_while_the_centre_is_away_sending_pauses_at_a_bound_and_the_rest_waits_on_disk(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        rig.centre = False
        await rig.feed(3000)
        assert len(set(rig.sent())) == 256
        assert rig.spool.newest.seq > 490
        rig.centre = True
        await asyncio.sleep(30)
        assert len(set(rig.sent())) == rig.spool.newest.seq
        await asyncio.sleep(30)
        assert rig.spool.stats().parcels_pending == 0

    play(tmp_path, plot)


def test_after_an_outage_live_parcels_go_first_and_the_backlog_follows_in_order(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        rig.broker.delay_s = 2.0
        rig.broker.go_down()
        await rig.feed(3600)
        rig.broker.come_up()
        before = rig.spool.newest.seq
        await rig.feed(120)
        sent = [parcel_id.seq for parcel_id in rig.sent()]
        backlog = [seq for seq in sent if seq <= before + 1]
        live = [seq for seq in sent if seq > before + 1]
        assert backlog == sorted(backlog)
        assert live == sorted(live)
        assert set(sent) == set(range(1, max(sent) + 1))
        assert sent.index(before + 3) < len(sent) - 1

    events = play(tmp_path, plot)
    assert names(events) == ["broker.unreachable", "broker.connected"]


def wait_as(folder: Path, topics: Topics, parcels: int) -> None:
    """An agent of these names leaves so many parcels in the spool."""

    async def main(clock: VirtualClock) -> None:
        disk = SqliteDisk(folder, budget=64 * 1024 * 1024)
        async with Spool(site=topics.site, gateway=topics.gateway, disk=disk, clock=clock, events=EventLog()) as spool:
            for number in range(parcels):
                at = clock.now_ns() - number
                spool.append(Sweep(device="d", taken_at=at, values={"frequency": 50.0}, faults={}))
                spool.seal()

    run(main)


def test_what_waits_under_earlier_names_goes_out_under_them_and_only_the_word_on_them_releases_it(
    tmp_path: Path,
) -> None:
    earlier = Topics("s", "earlier")
    wait_as(tmp_path, earlier, 300)

    async def plot(rig: Rig) -> None:
        await rig.feed(300)
        assert 300 <= rig.spool.stats().parcels_pending <= 302, "what is live passes what nobody confirms"
        bodies = [(topic, open_parcel(body)) for topic, body in rig.broker.published if topic.endswith("readings")]
        assert {topic for topic, _ in bodies} == {TOPICS.readings, earlier.readings}
        assert all(topic == Topics(each.site, each.gateway).readings for topic, each in bodies)
        epoch = min(each.id.epoch for _, each in bodies)
        forged = Committed(epochs={epoch: ((1, 300),), rig.spool.epoch: ((1, rig.spool.newest.seq),)})
        rig.broker.route(TOPICS.committed, encode_committed(forged), retain=False)
        await asyncio.sleep(0.1)
        assert rig.spool.stats().parcels_pending >= 300
        rig.broker.route(earlier.committed, encode_committed(Committed(epochs={epoch: ((1, 300),)})), retain=True)
        rig.broker.drop("g")
        await rig.feed(120)
        assert rig.spool.stats().parcels_pending <= 2

    assert names(play(tmp_path, plot)).count("publish.earlier_names") == 2, "once a connection"


@pytest.mark.parametrize("leaf", ["readings", "committed"])
def test_earlier_names_that_the_broker_denies_are_told_and_hold_up_nothing(tmp_path: Path, leaf: str) -> None:
    earlier = Topics("s", "earlier")
    wait_as(tmp_path, earlier, 300)

    async def plot(rig: Rig) -> None:
        if leaf == "readings":
            rig.broker.refuse = lambda topic: not_authorised(topic) if topic == earlier.readings else None
        else:
            rig.broker.refuse_to_hear = earlier.committed
        await rig.feed(300)
        assert 300 <= rig.spool.stats().parcels_pending <= 302
        sent = [open_parcel(body).gateway for topic, body in rig.broker.published if topic.endswith("readings")]
        assert set(sent) == {"g"}

    events = play(tmp_path, plot)
    (refused,) = [event for event in events if event["event"] == "publish.refused"]
    assert refused["topic"] == f"wattline/v1/s/earlier/{leaf}"


def test_a_user_who_may_write_nothing_is_told_once_a_topic(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        rig.broker.refuse = not_authorised
        await rig.feed(900)

    events = play(tmp_path, plot)
    refused = [event["topic"] for event in events if event["event"] == "publish.refused"]
    assert sorted(refused) == [TOPICS.readings, TOPICS.status]


def test_a_denied_topic_is_told_once_kept_and_sent_after_the_fix(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        rig.broker.refuse = lambda topic: not_authorised(topic) if topic.endswith("readings") else None
        await rig.feed(600)
        assert rig.sent() == []
        assert rig.publisher.connected
        rig.broker.refuse = lambda topic: None
        await rig.feed(310)
        await asyncio.sleep(10)
        assert set(rig.sent()) == {ParcelId(epoch=rig.spool.epoch, seq=n) for n in range(1, rig.spool.newest.seq + 1)}
        assert rig.spool.stats().parcels_pending == 0

    events = play(tmp_path, plot)
    assert names(events) == ["broker.connected", "publish.refused", "publish.resumed"]
    assert events[1]["reason"] == "Not authorized"


def test_a_parcel_that_is_too_large_is_split_told_once_and_all_of_it_passes(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        first: list[bool] = []

        def refuse(topic: str) -> Exception | None:
            if topic.endswith("readings") and not first:
                first.append(True)
                return MessageTooLarge(topic, "packet too large")
            return None

        rig.broker.refuse = refuse
        await rig.feed(600)
        await asyncio.sleep(10)
        assert sorted(rig.sent()) == [
            ParcelId(epoch=rig.spool.epoch, seq=n) for n in range(1, rig.spool.newest.seq + 1)
        ]
        assert rig.spool.stats().parcels_pending == 0

    events = play(tmp_path, plot)
    assert names(events) == ["broker.connected", "publish.split"]
    assert events[1]["reason"] == "packet too large"


def test_a_committed_message_of_someone_else_or_of_garbage_releases_nothing(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        rig.centre = False
        rig.broker.swallow = lambda topic: topic.endswith("readings")
        await rig.feed(10)
        for word in (b"nonsense", b'{"version":2,"epochs":{}}', b'{"version":1,"epochs":{"1":[[1,99]]}}'):
            rig.broker.route(TOPICS.committed, word, retain=True)
        await asyncio.sleep(1)
        assert rig.spool.stats().parcels_pending == rig.spool.stats().parcels_sealed > 0

    assert names(play(tmp_path, plot)) == ["broker.connected", "committed.invalid", "committed.invalid"]


@pytest.mark.parametrize(
    "forge",
    [lambda epoch: {epoch: [[1, 1 << 40]]}, lambda epoch: {other: [[1, 1 << 62]] for other in range(epoch - 9, epoch)}],
)
def test_a_forged_watermark_releases_nothing_that_was_not_sent_of_this_or_any_earlier_epoch(
    tmp_path: Path, forge: Callable[[int], object]
) -> None:
    async def fill(rig: Rig) -> None:
        rig.broker.go_down()
        await rig.feed(100)

    async def forged(rig: Rig) -> None:
        rig.centre = False
        rig.broker.refuse = lambda topic: not_authorised(topic) if topic.endswith("readings") else None
        backlog = rig.spool.stats().readings_pending
        word = json.dumps({"version": 1, "epochs": forge(rig.spool.epoch)}).encode()
        rig.broker.route(TOPICS.committed, word, retain=True)
        await rig.feed(100)
        assert rig.spool.stats().readings_pending >= backlog > 90
        rig.broker.refuse = lambda topic: None
        rig.broker.retained.clear()
        rig.centre = True
        await asyncio.sleep(400)
        assert rig.spool.stats().parcels_pending == 0
        assert (
            sum(open_parcel(body).readings for topic, body in rig.broker.published if topic == TOPICS.readings) >= 199
        )

    play(tmp_path, fill)
    play(tmp_path, forged)


def test_a_broker_that_stops_acknowledging_is_left_and_met_again(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        await rig.feed(30)
        rig.broker.mute = True
        await rig.feed(200)
        rig.broker.mute = False
        await rig.feed(100)
        await asyncio.sleep(10)
        assert rig.spool.stats().parcels_pending == 0

    events = play(tmp_path, plot)
    assert names(events)[:2] == ["broker.connected", "broker.lost"]
    assert "acknowledges nothing" in events[1]["error"]


def test_the_status_is_retained_on_connecting_every_minute_and_at_the_stop_and_the_will_names_no_devices(
    tmp_path: Path,
) -> None:
    async def plot(rig: Rig) -> None:
        await asyncio.sleep(130)
        assert rig.states() == [State.ONLINE] * 3
        await rig.publisher.publish_status()
        assert len(rig.states()) == 4
        rig.broker.drop("g")
        await asyncio.sleep(70)
        assert State.LOST in rig.states()
        will = next(body for topic, body in rig.broker.published if topic == TOPICS.status and b'"lost"' in body)
        assert decode_status(will).devices is None
        await rig.publisher.stop()
        assert decode_status(rig.broker.retained[TOPICS.status]).state is State.STOPPED

    play(tmp_path, plot)


def test_a_stop_sends_what_is_left_and_waits_for_the_stores_word(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        await rig.feed(33)
        rig.spool.seal()
        await rig.publisher.stop(5.0)
        assert rig.sent()[-1] == rig.spool.newest
        assert rig.spool.stats().parcels_pending == 0
        assert not rig.publisher.connected

    play(tmp_path, plot)


def test_a_stop_without_a_broker_is_at_once(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        rig.broker.go_down()
        await rig.feed(100)
        before = rig.clock.monotonic()
        await rig.publisher.stop(5.0)
        assert rig.clock.monotonic() - before < 0.1

    play(tmp_path, plot)


def test_a_refused_log_in_is_tried_less_often_and_told_once(tmp_path: Path) -> None:
    async def plot(rig: Rig) -> None:
        tries = 0

        def refuse(client_id: str) -> BrokerRefused:
            nonlocal tries
            tries += 1
            return BrokerRefused("Not authorized")

        await asyncio.sleep(5)
        rig.broker.door = refuse
        rig.broker.drop("g")
        await asyncio.sleep(3600)
        assert 60 <= tries <= 200
        rig.broker.door = lambda client_id: None
        await asyncio.sleep(120)
        assert rig.publisher.connected

    assert names(play(tmp_path, plot)) == ["broker.connected", "broker.lost", "broker.refused", "broker.connected"]


def test_the_back_off_grows_to_a_bound_and_is_spread_over_all_of_it() -> None:
    random = Random(1)
    for attempt, most in enumerate([1, 2, 4, 8, 16, 32, 60, 60]):
        delays = [backoff_s(attempt, random) for _ in range(500)]
        assert max(delays) <= most
        assert max(delays) > 0.9 * most
        assert min(delays) < 0.1 * most


def test_a_metered_link_carries_no_more_than_its_rate_and_live_parcels_do_not_wait_for_the_backlog(
    tmp_path: Path,
) -> None:
    """A backlog of incompressible parcels at 8 kbit/s, in virtual time."""
    rate = 1000.0

    async def plot(rig: Rig) -> None:
        rig.broker.go_down()
        await asyncio.sleep(1)
        chance = Random(1)
        for number in range(30):
            values = {f"power_active_l{n}": chance.random() for n in range(200)}
            rig.spool.append(Sweep(device="d", taken_at=START_NS + number, values=values, faults={}))
            rig.spool.seal()
        backlog = rig.spool.newest.seq
        rig.broker.come_up()
        while not rig.publisher.connected:
            await asyncio.sleep(0.1)
        began = rig.clock.monotonic()
        rig.broker.published.clear()
        rig._seen = 0
        await rig.feed(20)
        assert len(rig.sent()) < 30
        assert max(each.seq for each in rig.sent()) > backlog
        while rig.spool.stats().parcels_pending > 1:
            await asyncio.sleep(1)
        took = rig.clock.monotonic() - began
        size = sum(len(body) for topic, body in rig.broker.published if topic != TOPICS.committed)
        assert 0.8 * rate * took < size < rate * (took + 10)

    play(tmp_path, plot, bytes_s=rate)


def test_a_status_that_is_long_for_a_metered_link_leaves_half_of_it_to_the_readings(tmp_path: Path) -> None:
    rate, size = 1000.0, 70_000

    async def plot(rig: Rig) -> None:
        await rig.feed(1200)
        statuses = rig.states()
        assert 1200 * rate / size / 3 < len(statuses) < 1200 * rate / size / 1.5
        assert rig.spool.stats().parcels_pending < 40, "of 240"

    play(tmp_path, plot, software="t" * size, bytes_s=rate)
