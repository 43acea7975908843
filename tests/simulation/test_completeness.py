"""The completeness ledger against a whole simulated Wattline: what meters told is expected, received or explained."""

from dataclasses import replace
from pathlib import Path

from centre.accounting.hours import DeviceHour
from centre.figures import Figures
from centre.points import Directory
from centre.store.sqlite import SqliteStore
from support.centre_plant import PLANT
from support.sim_plant import SITE, SimPlant
from support.virtual_time import VirtualClock, run

HOUR_S = 3600


async def ledger(plant: SimPlant) -> dict[str, tuple[DeviceHour, ...]]:
    """Of everything since the start, by device."""
    async with SqliteStore(plant.folder / "centre.db", inline=True) as store:
        sites = {SITE: replace(PLANT, site=SITE)}
        directory = Directory(store, plant.clock)
        figures = Figures(store=store, clock=plant.clock, plants=sites, factors=(), directory=directory)
        found = await figures.hours(SITE, plant.start_ns, plant.clock.now_ns())
        return {device.device: device.hours for device in found.devices}


def test_after_outages_of_everything_but_the_agent_nothing_is_missing_and_silence_has_its_reason(
    tmp_path: Path,
) -> None:
    async def main(clock: VirtualClock) -> None:
        plant = SimPlant(clock, tmp_path, buses=2, devices=3, every="10s", seed=5)
        plant.start_centre()
        plant.start_agent()
        await plant.sleep(HOUR_S)
        plant.broker.go_down()
        await plant.sleep(2000)
        plant.links[0].silent.add(2)
        await plant.sleep(1600)
        plant.broker.come_up()
        plant.links[0].silent.clear()
        await plant.kill_centre()
        await plant.sleep(900)
        plant.start_centre()
        await plant.sleep(1800)
        found = await ledger(plant)
        assert len(found) == 6
        for device, hours in found.items():
            assert all(hour.missing == 0 and not hour.lost for hour in hours), (device, hours)
            assert sum(hour.late for hour in hours) > 400
            told = {reason for hour in hours for reason in hour.faulty}
            assert told == ({"timeout", "backoff"} if device == "bus-0-2" else set())
            for hour in hours[:-1]:
                assert hour.expected == hour.received + sum(hour.faulty.values())
        await plant.stop_agent()
        await plant.kill_centre()

    run(main)


def test_what_a_killed_agent_did_not_read_is_told_by_device_and_hour(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        plant = SimPlant(clock, tmp_path, buses=1, devices=2, every="10s", seed=6)
        plant.start_centre()
        plant.start_agent()
        await plant.sleep(1800)
        await plant.kill_agent()
        await plant.sleep(600)
        plant.start_agent()
        await plant.sleep(1800)
        for hours in (await ledger(plant)).values():
            gone = sum(hour.lost.get("ended", 0) for hour in hours)
            assert 2 * 59 <= gone <= 2 * 64  # ten minutes, and what was under way
            assert sum(hour.missing for hour in hours) == 0
        await plant.stop_agent()
        await plant.kill_centre()

    run(main)
