"""Ingest in virtual time: write, then acknowledge, then tell; nothing acknowledged that is not durable."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from metering.status import State, encode_status
from metering.topics import decode_committed
from support.ingest_rig import START, TOPICS, FailingStore, Rig, body, play
from support.sim_broker import not_authorised
from support.store_contract import EVER, POWER, PRESS, device, status, sweep
from wattline.cancellation import end
from wattline.clock import NS
from wattline.events import capture_events


def test_a_parcel_is_stored_acknowledged_and_committed(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        rig.deliver(body(1))
        rig.deliver(body(2))
        rig.deliver(body(4))
        await rig.sleep(3)
        assert [r.value for r in await rig.store.read(POWER, 0, EVER, limit=9)] == [1.0, 2.0, 4.0]
        assert rig.unacked == 0
        assert rig.committed()[-1] == {7: ((1, 2), (4, 4))}
        assert TOPICS.committed in rig.broker.retained
        assert (rig.ingest.counts.parcels, rig.ingest.counts.readings) == (3, 3)

    play(tmp_path, check)


def test_nothing_is_acknowledged_or_committed_while_the_store_fails(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        assert isinstance(rig.store, FailingStore)
        rig.store.broken = True
        for seq in range(1, 301):
            rig.deliver(body(seq))
        await rig.sleep(120)
        assert rig.unacked == 300
        assert rig.committed() == []
        rig.store.broken = False
        await rig.sleep(60)
        assert rig.unacked == 0
        assert rig.committed()[-1] == {7: ((1, 300),)}
        assert (await rig.store.totals()).readings == 300

    with capture_events() as events:
        play(tmp_path, check)
    names = [event["event"] for event in events]
    assert names.count("store.failed") == 1
    assert names.count("store.back") == 1


def test_a_failing_store_bounds_what_waits_in_memory(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        assert isinstance(rig.store, FailingStore)
        rig.store.broken = True
        for seq in range(1, 1001):
            rig.deliver(body(seq))
        await rig.sleep(60)
        taken = len(rig.broker.sessions["centre"].unacked)
        assert taken <= 2 * rig.ingest.max_batch + 1

    play(tmp_path, check)


def test_a_lost_connection_between_write_and_ack_stores_every_reading_once(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        for seq in range(1, 41):
            rig.deliver(body(seq))
            if seq % 7 == 0:
                await rig.sleep(0.21)
                rig.broker.drop("centre")
                await rig.sleep(5)
        await rig.sleep(60)
        assert rig.unacked == 0
        assert [r.value for r in await rig.store.read(POWER, 0, EVER, limit=99)] == [float(seq) for seq in range(1, 41)]
        assert rig.committed()[-1] == {7: ((1, 40),)}

    play(tmp_path, check)


def test_a_redelivered_parcel_is_acknowledged_and_counted(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        for _ in range(3):
            rig.deliver(body(1))
            await rig.sleep(2)
        totals = await rig.store.totals()
        assert (totals.readings, totals.parcels, totals.redelivered_parcels) == (1, 1, 2)
        assert rig.ingest.counts.redelivered == 2
        assert rig.unacked == 0

    play(tmp_path, check)


def test_committed_is_published_at_most_twice_a_second_and_again_after_each_start(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        for seq in range(1, 101):
            rig.deliver(body(seq))
            await rig.sleep(0.1)
        await rig.sleep(3)
        assert 10 <= len(rig.committed()) <= 24
        await rig.stop()
        rig.broker.retained.clear()
        rig.start()
        await rig.sleep(5)
        assert decode_committed(rig.broker.retained[TOPICS.committed]).watermark(7) == 100

    play(tmp_path, check)


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (TOPICS.readings, b"no parcel", "parcel cannot be read"),
        (TOPICS.readings, body(1)[:-9], "parcel truncated"),
        (TOPICS.readings, body(1, gateway="other"), "of works/other, and on a topic of works/press-shop"),
        (TOPICS.readings, body(0), "out of range"),
        (TOPICS.readings, body(2**60, sweep(0, {"frequency": 50.0})), "out of range"),
        (TOPICS.status, b"{}", "not a message of version 1"),
        (TOPICS.status, encode_status(status(epoch=2**80)), "out of range"),
        (TOPICS.status, encode_status(replace(status(), counters={"x": 2**64})), "out of range"),
        ("wattline/v1/../../readings", body(1), "not a name"),
    ],
)
def test_a_message_no_one_can_read_is_put_aside_with_its_reason(
    tmp_path: Path, topic: str, payload: bytes, reason: str
) -> None:
    async def check(rig: Rig) -> None:
        rig.deliver(payload, topic)
        rig.deliver(body(2))
        await rig.sleep(3)
        assert rig.unacked == 0
        assert (await rig.store.totals()).parcels == 1
        (kept,) = (tmp_path / "dead").glob("*.payload")
        assert kept.read_bytes() == payload
        assert reason in kept.with_suffix(".txt").read_text()

    with capture_events() as events:
        play(tmp_path, check)
    (error,) = [event["error"] for event in events if event["event"] == "ingest.refused"]
    assert reason in error


def test_a_status_becomes_inventory_and_state(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        rig.deliver(encode_status(status(devices=(device(),))), TOPICS.status, retain=True)
        await rig.sleep(2)
        rig.deliver(encode_status(status(State.LOST)), TOPICS.status, retain=True)
        await rig.sleep(2)
        (row,) = await rig.store.gateways()
        assert row.state is State.LOST
        assert await rig.store.inventory("works") == {"incomer": ("press-shop", device())}

    with capture_events() as events:
        play(tmp_path, check)
    assert [event["event"] for event in events if event["event"].startswith("gateway.")] == [
        "gateway.online",
        "gateway.lost",
    ]


def test_an_inventory_survives_a_last_will_in_the_same_batch(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        rig.deliver(encode_status(status(devices=(device(),))), TOPICS.status)
        rig.deliver(encode_status(status(State.LOST)), TOPICS.status)
        await rig.sleep(2)
        assert await rig.store.inventory("works") == {"incomer": ("press-shop", device())}
        assert (await rig.store.gateways())[0].state is State.LOST

    play(tmp_path, check)


def test_each_start_of_an_agent_that_is_heard_of_late_has_its_own_settings(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        await rig.stop()
        starts = [(START // NS + hour * 3600, every) for hour, every in ((0, "1"), (1, "10"), (2, "1"))]
        for epoch, every in starts:
            told = replace(status(devices=(device(interval_s=every),), epoch=epoch), at=epoch * NS)
            rig.deliver(encode_status(told), TOPICS.status, retain=True)
            rig.deliver(encode_status(replace(told, state=State.STOPPED, devices=None)), TOPICS.status, retain=True)
        rig.start()
        await rig.sleep(3)
        plans = (await rig.store.plans("works"))["incomer"]
        assert [(plan.since // NS, plan.info and str(plan.info.interval_s)) for plan in plans] == starts
        assert (await rig.store.gateways())[0].state is State.STOPPED

    play(tmp_path, check)


def test_the_broker_may_be_away_for_long_and_is_told_once(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        rig.broker.go_down()
        await rig.sleep(7200)
        rig.broker.come_up()
        rig.deliver(body(1))
        await rig.sleep(60)
        assert rig.ingest.connected
        assert (await rig.store.totals()).parcels == 1

    with capture_events() as events:
        play(tmp_path, check)
    names = [event["event"] for event in events]
    assert names.count("broker.lost") == 1
    assert names.count("broker.unreachable") == 1


@pytest.mark.parametrize("turns", range(6))
def test_a_stop_in_the_very_moment_the_connection_is_lost_is_heeded(tmp_path: Path, turns: int) -> None:
    async def check(rig: Rig) -> None:
        rig.broker.go_down()
        for _ in range(turns):
            await asyncio.sleep(0)
        assert rig.running is not None
        began = rig.clock.monotonic()
        await end([rig.running])
        assert rig.clock.monotonic() == began, "it hears the first time"

    play(tmp_path, check)


def test_a_refused_committed_message_does_not_stop_the_intake(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        rig.broker.refuse = not_authorised
        for seq in range(1, 6):
            rig.deliver(body(seq))
            await rig.sleep(2)
        assert (await rig.store.committed())[PRESS].watermark(7) == 5

    with capture_events() as events:
        play(tmp_path, check)
    assert [event["event"] for event in events].count("committed.refused") == 1


def test_what_is_stored_is_repeated_for_a_broker_that_forgot_it(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        rig.deliver(body(1))
        await rig.sleep(5)
        rig.broker.retained.clear()
        await rig.sleep(330)
        assert decode_committed(rig.broker.retained[TOPICS.committed]).watermark(7) == 1
        await rig.sleep(3600)
        assert len(rig.committed()) <= 15

    play(tmp_path, check)


def test_a_gap_is_seen_told_and_healed_by_sending_again(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        for seq in (1, 2, 5):
            rig.deliver(body(seq))
        await rig.sleep(90)
        rig.deliver(body(3))
        rig.deliver(body(4))
        await rig.sleep(30)
        assert rig.committed()[-1] == {7: ((1, 5),)}

    with capture_events() as events:
        play(tmp_path, check)
    told = [(event["event"], event.get("ranges")) for event in events if event["event"].startswith("gateway.")]
    assert told == [("gateway.missing", "7:3-4"), ("gateway.whole", None)]
