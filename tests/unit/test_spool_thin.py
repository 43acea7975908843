"""Thinning: what stays of a parcel is a part of what was in it, and holds the registers energy is made of."""

import random
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given

from agent.spool_file import Change, SpoolFile, Stored
from agent.spool_thin import thin, thinned
from metering.faults import ALL_POINTS, Fault
from metering.parcel import Parcel, ParcelId, TimeQuality, open_parcel, seal
from metering.sweep import Sweep, Value
from support.virtual_time import START_NS
from wattline.clock import NS

GAUGE, COUNTER, STATE = "power_active_total", "energy_active_import_total", "status"
QUARTER = 900 * NS
MIB = 1024 * 1024
BUDGET = 640 * 1024
SECONDS = 30


def sweep(second: int, *, device: str = "incomer", faults: dict[str, Fault] | None = None) -> Sweep:
    at = START_NS + second * NS + 40_000_000
    noise = random.Random(second)
    values: dict[str, Value] = {f"power_active_{n}": noise.random() for n in range(1, 20)}
    values |= {GAUGE: 1000 + second, COUNTER: Decimal("4711.0000000000000001") + second, STATE: f"s{second // 7}"}
    return Sweep(device=device, taken_at=at, values=values, faults=faults or {})


@lru_cache(2000)
def parcel(seq: int) -> Parcel:
    """Thirty sweeps, one a second, of the half minute `seq`."""
    sweeps = [sweep(second) for second in range(seq * SECONDS, (seq + 1) * SECONDS)]
    return seal(
        sweeps,
        site="s",
        gateway="g",
        parcel_id=ParcelId(epoch=7, seq=seq),
        dropped=5,
        thinned=4,
        time_quality=TimeQuality.STEPPED,
    )


def test_gauges_stay_once_a_minute_and_counters_and_states_at_both_ends_of_it() -> None:
    left = thin([sweep(second) for second in range(150)])
    seconds = [(each.taken_at - START_NS) // NS for each in left]
    assert seconds == [0, 59, 60, 119, 120, 149]
    assert all(GAUGE in each.values for each in left[::2])
    assert all(each.values.keys() == {COUNTER, STATE} for each in left[1::2])


def test_the_register_on_both_sides_of_each_quarter_hour_stays() -> None:
    sweeps = [sweep(second) for second in range(0, 3700, 10)]
    left = [each for each in thin(sweeps) if COUNTER in each.values]
    for bound in range(START_NS + QUARTER, START_NS + 4 * QUARTER, QUARTER):
        before = max((each for each in sweeps if each.taken_at < bound), key=lambda each: each.taken_at)
        after = min((each for each in sweeps if each.taken_at >= bound), key=lambda each: each.taken_at)
        assert {before.taken_at, after.taken_at} <= {each.taken_at for each in left}


def test_devices_and_points_that_are_read_at_their_own_times_do_not_push_each_other_out() -> None:
    fast = [Sweep(device="a", taken_at=START_NS + n * NS, values={GAUGE: n}, faults={}) for n in range(60)]
    slow = Sweep(device="a", taken_at=START_NS + 30 * NS + 1, values={COUNTER: 7}, faults={})
    other = Sweep(device="b", taken_at=START_NS + 30 * NS, values={GAUGE: 1}, faults={})
    left = thin([*fast[:31], slow, other, *fast[31:]])
    assert left == [fast[0], slow, other]


def test_a_reason_of_absence_stays_once_a_minute_beside_the_values() -> None:
    silent = [
        Sweep(device="a", taken_at=START_NS + n * NS, values={}, faults={ALL_POINTS: Fault.TIMEOUT}) for n in range(30)
    ]
    back = [Sweep(device="a", taken_at=START_NS + n * NS, values={GAUGE: n}, faults={}) for n in range(30, 60)]
    assert thin([*silent, *back]) == [silent[0], silent[-1], back[0]]


@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from("ab"), st.booleans()), max_size=60))
def test_what_stays_is_a_part_of_what_was_and_thinning_twice_takes_nothing_more(
    taken: list[tuple[int, str, bool]],
) -> None:
    whole = [
        sweep(second, device=device, faults={GAUGE: Fault.SUSPECT} if suspect else None)
        for second, device, suspect in sorted(taken)
    ]
    left = thin(whole)
    known = {(each.device, each.taken_at, point, value) for each in whole for point, value in each.values.items()}
    assert {
        (each.device, each.taken_at, point, value) for each in left for point, value in each.values.items()
    } <= known
    assert thin(left) == left


def test_a_thinned_parcel_keeps_its_id_and_its_values_to_the_last_digit() -> None:
    small = thinned(parcel(3))
    assert small is not None
    assert (small.id, len(small.body) < len(parcel(3).body) / 3) == (parcel(3).id, True)
    was, now = open_parcel(parcel(3).body), open_parcel(small.body)
    assert (now.site, now.gateway, now.dropped, now.readings) == ("s", "g", 5, small.readings)
    assert (now.thinned, now.time_quality) == (4, TimeQuality.STEPPED)
    before = {each.taken_at: each.values for each in was.sweeps}
    for each in now.sweeps:
        assert each.values.items() <= before[each.taken_at].items()
    assert thinned(small) is None


def fill(file: SpoolFile, parcels: int) -> Stored:
    stored = file.open()
    for first in range(1, parcels, 10):
        stored = file.commit(Change(epoch=7, insert=[parcel(seq) for seq in range(first, first + 10)]))
    return stored


def found(file: SpoolFile) -> list[Parcel]:
    return list(file.read(0, 1 << 62, 100_000, 1 << 40).parcels)


def test_a_full_budget_thins_the_oldest_before_anything_is_dropped_and_counts_it(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "spool.sqlite3", budget=MIB)
    stored = fill(file, 300)
    left = found(file)
    acquired = sum(parcel(seq).readings for seq in range(1, 301))
    assert [each.id.seq for each in left] == list(range(1, 301)), "no parcel is gone"
    assert stored.thinned == stored.dropped == acquired - sum(each.readings for each in left)
    assert stored.readings == sum(each.readings for each in left)
    whole = [each.id.seq for each in left if each == parcel(each.id.seq)]
    assert whole == list(range(whole[0], 301)), "the newest are whole"
    assert len(whole) >= 30, "the newest quarter of an hour is never thinned"
    assert stored.bytes <= MIB
    file.close()
    assert file.open().thinned == stored.thinned
    file.close()


def test_when_all_is_thinned_the_oldest_is_dropped_and_all_is_counted(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "spool.sqlite3", budget=BUDGET)
    stored = fill(file, 700)
    left = found(file)
    acquired = sum(parcel(seq).readings for seq in range(1, 701))
    assert left[0].id.seq > 1
    assert [each.id.seq for each in left] == list(range(left[0].id.seq, 701))
    assert stored.dropped == acquired - sum(each.readings for each in left)
    assert 0 < stored.thinned < stored.dropped
    assert len(left) > 2 * BUDGET // len(parcel(500).body), "far more than would fit if nothing were thinned"
    file.close()


def test_thinning_that_gains_nothing_ends_soon_and_the_oldest_goes(tmp_path: Path) -> None:
    """Parcels of one sweep a minute: a commit tries a few and does not walk through all of the backlog."""
    file = SpoolFile(tmp_path / "spool.sqlite3", budget=MIB)
    stored = file.open()
    for seq in range(0, 2000, 50):
        insert = [
            seal([sweep(60 * n)], site="s", gateway="g", parcel_id=ParcelId(epoch=7, seq=n + 1), dropped=0)
            for n in range(seq, seq + 50)
        ]
        stored = file.commit(Change(epoch=7, insert=insert))
    assert stored.thinned == 0
    assert stored.dropped > 0
    file.close()


def test_thinning_survives_salvage_in_the_count(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "spool.sqlite3", budget=MIB)
    stored = fill(file, 300)
    file.salvage("for the test")
    again = file.open()
    assert (again.thinned, again.dropped, again.readings) == (stored.thinned, stored.dropped, stored.readings)
    file.close()
