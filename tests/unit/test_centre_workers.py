"""Several workers of one ingest: parcels are shared, the word of the store is one, a worker that is gone costs nothing."""

from pathlib import Path

import pytest

from centre.brokers import brokers_of
from centre.settings import CentreSettings
from centre.store.base import GatewayKey, SeriesKey
from metering.status import State, encode_status
from metering.topics import ALL_STATUS, SHARED_READINGS, Topics, decode_committed
from support.ingest_rig import FailingStore, Rig, body, play
from support.store_contract import EVER, device, status, sweep
from wattline.events import capture_events

GATEWAYS = ("press-shop", "paint-shop", "utilities")
PARCELS = 60


def topics(gateway: str) -> Topics:
    return Topics("works", gateway)


def parcel(gateway: str, seq: int) -> bytes:
    return body(seq, sweep(seq, {"power_active_total": float(seq)}, device=f"meter-{gateway}"), gateway=gateway)


def unconfirmed(rig: Rig, gateway: str, last: int) -> list[int]:
    """Which parcels to `last` the retained word does not hold: what a gateway sends again."""
    payload = rig.broker.retained.get(topics(gateway).committed)
    held = None if payload is None else decode_committed(payload)
    return [seq for seq in range(1, last + 1) if held is None or not held.holds(7, seq)]


def send(rig: Rig, last: int) -> None:
    for gateway in GATEWAYS:
        for seq in unconfirmed(rig, gateway, last):
            rig.deliver(parcel(gateway, seq), topics(gateway).readings)


async def assert_all_stored_once(rig: Rig) -> None:
    for gateway in GATEWAYS:
        series = SeriesKey("works", f"meter-{gateway}", "power_active_total")
        found = await rig.store.read(series, 0, EVER, limit=1000)
        assert [reading.value for reading in found] == [float(seq) for seq in range(1, PARCELS + 1)]
        assert (await rig.store.committed())[GatewayKey("works", gateway)].epochs == {7: ((1, PARCELS),)}


def assert_the_word_only_grew(rig: Rig) -> None:
    for gateway in GATEWAYS:
        held: set[int] = set()
        for epochs in rig.committed(topics(gateway)):
            now = {seq for first, last in epochs[7] for seq in range(first, last + 1)}
            assert now >= held
            held = now
        assert held == set(range(1, PARCELS + 1))


def test_each_parcel_goes_to_one_worker_and_each_gateway_hears_what_all_of_them_stored(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        send(rig, PARCELS)
        assert {len(rig.broker.sessions[name].waiting) for name in ("centre", "centre-2")} == {3 * PARCELS // 2}
        await rig.sleep(5)
        assert (rig.ingest.connected, rig.ingest.counts.parcels, rig.ingest.counts.redelivered) == (2, 3 * PARCELS, 0)
        await assert_all_stored_once(rig)
        assert_the_word_only_grew(rig)
        assert all(len(rig.committed(topics(gateway))) <= 5 for gateway in GATEWAYS)

    play(tmp_path, check, workers=2)


@pytest.mark.parametrize("fault", ["dropped", "frozen", "expired"])
def test_a_worker_that_is_cut_stuck_or_forgotten_loses_nothing_and_doubles_nothing(tmp_path: Path, fault: str) -> None:
    async def check(rig: Rig) -> None:
        for second in range(PARCELS):
            for gateway in GATEWAYS:
                rig.deliver(parcel(gateway, second + 1), topics(gateway).readings)
            if second % 20 == 5:
                if fault == "frozen":
                    rig.broker.freeze("centre-2", seen_after_s=12)
                else:
                    rig.broker.drop("centre-2")
                if fault == "expired":
                    rig.broker.expire("centre-2")
            await rig.sleep(1)
        for _ in range(4):
            await rig.sleep(60)
            send(rig, PARCELS)
        await rig.sleep(5)
        assert rig.ingest.connected == 2
        await assert_all_stored_once(rig)
        assert_the_word_only_grew(rig)

    with capture_events() as events:
        play(tmp_path, check, workers=2)
    lost = [event for event in events if event["event"] == "broker.lost"]
    assert [event["worker"] for event in lost] == [2, 2, 2]


def test_a_store_that_fails_is_told_once_however_many_workers_wait_for_it(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        assert isinstance(rig.store, FailingStore)
        rig.store.broken = True
        send(rig, PARCELS)
        await rig.sleep(300)
        assert all(rig.committed(topics(gateway)) == [] for gateway in GATEWAYS)
        rig.store.broken = False
        await rig.sleep(60)
        await assert_all_stored_once(rig)

    with capture_events() as events:
        play(tmp_path, check, workers=3)
    assert [event["event"] for event in events if event["event"].startswith("store.")] == ["store.failed", "store.back"]


def test_what_a_gateway_says_of_itself_is_taken_by_one_worker_in_order(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        assert rig.broker.sessions["centre"].filters == [SHARED_READINGS, ALL_STATUS]
        assert rig.broker.sessions["centre-2"].filters == [SHARED_READINGS]
        for state in (State.ONLINE, State.LOST, State.ONLINE, State.STOPPED):
            rig.deliver(
                encode_status(status(state, devices=(device("incomer"),))), topics("press-shop").status, retain=True
            )
        await rig.sleep(5)
        (row,) = await rig.store.gateways()
        assert row.state is State.STOPPED

    play(tmp_path, check, workers=2)


def test_a_word_that_is_stuck_with_one_worker_is_told_by_another_and_holds_up_no_other_gateway(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        stuck = [topics("press-shop").committed]
        rig.broker.ack_after_s = lambda topic: float("inf") if topic in stuck else 0.0
        rig.deliver(parcel("press-shop", 1), topics("press-shop").readings)
        await rig.sleep(5)  # its word has reached the broker, the acknowledgement never comes
        rig.deliver(parcel("press-shop", 2), topics("press-shop").readings)
        for seq in (1, 2):
            rig.deliver(parcel("utilities", seq), topics("utilities").readings)
        await rig.sleep(5)
        assert unconfirmed(rig, "utilities", 2) == []
        assert unconfirmed(rig, "press-shop", 2) == [2]
        stuck.clear()
        await rig.sleep(130)
        assert unconfirmed(rig, "press-shop", 2) == []

    play(tmp_path, check, workers=2)


def test_workers_have_names_of_their_own_and_one_alone_keeps_the_plain_one() -> None:
    def names(**more: object) -> list[str]:
        broker = {"url": "mqtt://127.0.0.1"}
        plant = {"site": "works", "name": {"en": "Works", "zh": "x"}, "zone": "Asia/Shanghai", "region": "CN-Chongqing"}
        tree = {"id": "plant", "name": {"en": "Works", "zh": "x"}}
        settings = {"broker": broker, "store": {"sqlite": "x"}, "plants": [plant | {"tree": tree}], **more}
        return [client.access.client_id for client in brokers_of(CentreSettings.model_validate(settings))]

    assert names() == ["wattline-centre"]
    assert names(ingest={"workers": 3}) == ["wattline-centre-1", "wattline-centre-2", "wattline-centre-3"]
    named = {"url": "mqtt://127.0.0.1", "client_id": "north"}
    assert names(ingest={"workers": 2}, broker=named) == ["north-1", "north-2"]
