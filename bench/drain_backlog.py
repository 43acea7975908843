"""Makes the backlog of the drain measurement: a spool as an outage leaves it, sealed and committed by the agent's code.

    python bench/drain_backlog.py SPOOL_DIRECTORY METERS SECONDS BUDGET_MIB

The plant's own meters are decoded as the agent decodes them, each simulated second, and the sweeps become parcels of
15,000 readings under an epoch of their own. Prints JSON: epoch, parcels, readings, bytes of the parcels, seconds taken.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # -P and PYTHONSAFEPATH leave them out

from plant import Meter  # noqa: E402
from processes import GATEWAY, SITE  # noqa: E402

from agent.spool_disk import FILE, Change  # noqa: E402
from agent.spool_file import SpoolFile  # noqa: E402
from drivers.modbus import catalogue  # noqa: E402
from drivers.modbus.decode import compile_block  # noqa: E402
from drivers.modbus.plan import plan  # noqa: E402
from metering.faults import Fault  # noqa: E402
from metering.parcel import Parcel, ParcelId, seal  # noqa: E402
from metering.sweep import Sweep, Value  # noqa: E402

NS = 1_000_000_000
PARCEL = 15_000  # readings: where the spool seals while no broker is there
COMMIT = 32  # parcels; more than an outage has, only to be quick


def parcels(meters: int, first_s: int, seconds: int) -> Iterator[Parcel]:
    """What the plant said from `first_s` on; the epoch is that second, as that of an agent started then."""
    profile = catalogue.load("bench-meter", HERE / "profiles")
    [block] = plan(profile.standard_points, profile.limits)
    decode = compile_block(block.address, block.count, block.points)
    plant = [Meter(number) for number in range(meters)]
    sweeps: list[Sweep] = []
    readings = seq = 0
    for second in range(first_s, first_s + seconds):
        for number, meter in enumerate(plant):
            values: dict[str, Value] = {}
            faults: dict[str, Fault] = {}
            decode(meter.answer(), values, faults)
            taken_at = second * NS + (number + 1) * 1_000_000 + number  # the reply, some milliseconds after the second
            sweeps.append(Sweep(device=f"meter-{number}", taken_at=taken_at, values=values, faults=faults))
            readings += len(values)
        if readings >= PARCEL or second == first_s + seconds - 1:
            seq += 1
            yield seal(sweeps, site=SITE, gateway=GATEWAY, parcel_id=ParcelId(epoch=first_s, seq=seq), dropped=0)
            sweeps, readings = [], 0


def main(directory: Path, meters: int, seconds: int, budget_mib: int) -> dict[str, float]:
    """Fill the spool; returns what is told."""
    began = time.monotonic()
    directory.mkdir(parents=True)
    first_s = int(time.time()) - seconds - 60
    file = SpoolFile(directory / FILE, budget=budget_mib * 1024 * 1024)
    file.open()
    waiting: list[Parcel] = []
    count = readings = size = 0
    for parcel in parcels(meters, first_s, seconds):
        count, readings, size = count + 1, readings + parcel.readings, size + len(parcel.body)
        waiting.append(parcel)
        if len(waiting) == COMMIT:
            file.commit(Change(epoch=first_s, insert=waiting))
            waiting = []
    stored = file.commit(Change(epoch=first_s, insert=waiting))
    file.close()
    if stored.dropped or stored.parcels != count:
        raise SystemExit(f"the spool's budget of {budget_mib} MiB is too small for {readings} readings")
    return {
        "epoch": first_s,
        "parcels": count,
        "readings": readings,
        "bytes": size,
        "seconds": time.monotonic() - began,
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), *(int(each) for each in sys.argv[2:]))), flush=True)
