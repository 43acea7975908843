"""What is absent has a reason in the store: the agent, the wire and the ingest whole, in virtual time."""

from pathlib import Path

from centre.store.base import SeriesKey
from centre.store.sqlite import SqliteStore
from metering.faults import Fault
from support.sim_plant import POINTS, SITE, SimPlant
from support.virtual_time import VirtualClock, run
from wattline.clock import NS

MINUTES = 60
IMPORT, EXPORT = POINTS


def test_each_minute_of_each_point_is_a_value_or_a_reason_in_the_store(tmp_path: Path) -> None:
    async def main(clock: VirtualClock) -> None:
        plant = SimPlant(clock, tmp_path, buses=2, devices=2, every="1min", seed=1)
        plant.start_centre()
        plant.start_agent()
        await plant.sleep(10 * 60 + 30)
        plant.links[0].silent.add(1)
        plant.links[0].holes.add((2, 74))  # EXPORT
        await plant.sleep(20 * 60)
        plant.links[0].silent.clear()
        plant.links[1].cut = True
        await plant.sleep(10 * 60)
        plant.links[1].cut = False
        await plant.sleep(MINUTES * 60 - 41 * 60)
        await plant.stop_agent()
        await plant.sleep(5)
        await plant.kill_centre()
        absent = await absences(tmp_path, plant.start_ns)
        silent, refusing, cut = absent["bus-0-1"], absent["bus-0-2"], absent["bus-1-1"]
        assert set(silent[IMPORT]) == {Fault.TIMEOUT, Fault.BACKOFF}
        assert sum(silent[IMPORT].values()) == 20
        assert refusing == {IMPORT: {Fault.EXCEPTION_2: 1}, EXPORT: {Fault.EXCEPTION_2: MINUTES - 11}}
        assert cut == absent["bus-1-2"] == {point: {Fault.LINK_DOWN: 10} for point in POINTS}

    run(main)


async def absences(folder: Path, start_ns: int) -> dict[str, dict[str, dict[Fault, int]]]:
    """Reasons by device and point; asserts that none lacks one, and that no minute has both."""
    found: dict[str, dict[str, dict[Fault, int]]] = {}
    end = start_ns + (MINUTES * 60 - 30) * NS
    async with SqliteStore(folder / "centre.db", inline=True) as store:
        for device in ("bus-0-1", "bus-0-2", "bus-1-1", "bus-1-2"):
            for point in POINTS:
                read = await store.read(SeriesKey(SITE, device, point), start_ns, end, limit=1000)
                # a meter that is back is read at once, beside its minutes
                values = [reading for reading in read if (reading.at - start_ns) % (60 * NS) < NS]
                reasons = await store.fault_counts(SITE, device, [point, "all_points"], start_ns, end)
                assert len(values) + sum(reasons.values()) == MINUTES, (device, point, len(values), reasons)
                found.setdefault(device, {})[point] = dict(reasons)
    return found
