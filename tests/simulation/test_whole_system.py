"""Agent and centre whole, in virtual time: days of plant life with faults, nothing lost, nothing doubled."""

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from support.sim_plant import SimPlant
from support.virtual_time import VirtualClock, run
from wattline.events import capture_events

HOUR = 3600.0


def test_a_day_of_twenty_devices_with_the_broker_away_for_two_hours_loses_nothing(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        plant = SimPlant(clock, tmp_path, buses=4, devices=5, every="1min", seed=1)
        plant.start_centre()
        plant.start_agent()
        await plant.sleep(6 * HOUR)
        plant.broker.go_down(forget=True)
        plant.links[3].silent.add(5)
        await plant.sleep(2 * HOUR)
        plant.broker.come_up()
        plant.links[3].silent.clear()
        await plant.sleep(16 * HOUR)
        await plant.stop_agent()
        await plant.sleep(5)
        await plant.kill_centre()
        stored = await plant.stored()
        assert stored == plant.ledger
        assert len(stored) == pytest.approx(20 * 24 * 60 - 120, abs=40)
        assert plant.refused == 0

    with capture_events() as events:
        run(main)
    names = [event["event"] for event in events]
    assert names.count("broker.connected") == 4  # agent and ingest, twice
    assert {"broker.lost", "broker.unreachable", "device.silent", "device.back"} <= set(names)
    assert names.count("broker.unreachable") == 2, "two hours of attempts are one line each for agent and ingest"
    assert not [event for event in events if event["level"] in ("error", "critical")]


@pytest.mark.parametrize("seed", range(6))
def test_six_hours_of_kills_and_outages_of_everything_lose_nothing_that_was_durable(tmp_path: Path, seed: int) -> None:
    async def main(clock: VirtualClock) -> None:
        plant = SimPlant(clock, tmp_path, buses=2, devices=3, every="20s", seed=seed)
        chance = plant.random
        plant.start_centre()
        plant.start_agent()
        for what in itertools.islice(itertools.cycle(("broker", "agent", "centre", "cut", "swallow")), 25):
            await plant.sleep(chance.uniform(1, 1500))
            if what == "broker":
                plant.broker.go_down(forget=chance.random() < 0.5)
                await plant.sleep(chance.uniform(1, 1200))
                plant.broker.come_up()
            elif what == "agent":
                await plant.kill_agent()
                await plant.sleep(chance.uniform(1, 60))
                plant.start_agent()
            elif what == "centre":
                await plant.kill_centre()
                await plant.sleep(chance.uniform(1, 600))
                plant.start_centre()
            elif what == "cut":
                plant.broker.drop(chance.choice(["agent", "centre"]))
            else:  # the broker acknowledges and loses
                plant.broker.swallow = lambda topic: topic.endswith("/readings")
                await plant.sleep(chance.uniform(1, 300))
                plant.broker.swallow = lambda topic: False
        await plant.sleep(2000)  # longer than the longest time after which a parcel is sent again
        await plant.stop_agent()
        await plant.sleep(5)
        await plant.kill_centre()
        stored = await plant.stored()
        assert plant.durable <= stored, f"lost: {sorted(plant.durable - stored)[:5]}"
        assert stored <= plant.ledger
        lost = plant.ledger - stored
        assert len(lost) <= 5 * 6 * 3, "each of five kills of the agent may cost 30 s and the poll under way"

    with capture_events() as events:
        run(main)
    assert "committed.invalid" not in {event["event"] for event in events}


def test_with_release_by_puback_nothing_waits_for_a_centre(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        plant = SimPlant(clock, tmp_path, buses=1, devices=2, every="10s", seed=3)
        plant.plan = replace(plant.plan, release="puback")
        plant.broker.keep_published = True
        plant.start_agent()
        await plant.sleep(600)
        await plant.stop_agent()
        assert plant.durable == set()
        topics = [topic for topic, _ in plant.broker.published]
        assert topics.count("works/hall-1/readings") == 0
        assert topics.count("wattline/v1/works/hall-1/readings") >= 60
        await asyncio.sleep(0)

    run(main)
