"""Readings that cannot be stored are taken out of their parcel, and nothing else is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre.aside import Aside
from centre.sifting import MAX_AHEAD_NS, as_lines, misdated, reasons_of, split
from centre.store.base import EARLIEST_NS, RefusedReading, SeriesKey
from metering.faults import Fault
from metering.lineprotocol import decode_sweeps, parse_line
from metering.sweep import Sweep
from support.store_contract import T0, parcel, sweep
from wattline.clock import SystemClock
from wattline.events import EventLog


@pytest.mark.parametrize(
    ("at", "refused"), [(EARLIEST_NS - 1, True), (EARLIEST_NS, False), (T0 + MAX_AHEAD_NS, False), (T0 + MAX_AHEAD_NS + 1, True)]
)  # fmt: skip
def test_a_time_before_2020_or_more_than_a_day_ahead_is_none(at: int, refused: bool) -> None:
    found = misdated(parcel(1, Sweep(device="d", taken_at=at, values={"frequency": 50.0}, faults={})), T0)
    assert [one.at for one in found] == [at] * refused


points = st.sampled_from(["frequency", "voltage_l1_n", "status", "power_active_total"])
sweeps = st.builds(
    lambda device, at, values, faults: Sweep(
        device=device, taken_at=T0 + at, values=dict.fromkeys(values, 1.0), faults=dict.fromkeys(faults, Fault.SUSPECT)
    ),
    st.sampled_from(["a", "b"]), st.integers(0, 3), st.sets(points), st.sets(points),
)  # fmt: skip


def told(some: tuple[Sweep, ...]) -> list[tuple[str, int, str, object]]:
    values = [(one.device, one.taken_at, point, value) for one in some for point, value in one.values.items()]
    return sorted(
        [*values, *((one.device, one.taken_at, p, str(f)) for one in some for p, f in one.faults.items())], key=str
    )


@given(st.lists(sweeps, max_size=5), st.sets(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3), points)))
def test_what_is_kept_and_what_is_taken_out_are_the_whole(those: list[Sweep], bad: set[tuple[str, int, str]]) -> None:
    before = parcel(1, *those)
    refused = [RefusedReading(SeriesKey("works", device, point), T0 + at, "why") for device, at, point in bad]
    kept, taken, reasons = split(before, reasons_of(refused))
    assert reasons == ("why",) * bool(taken)
    assert told((*kept.sweeps, *taken)) == told(before.sweeps)
    assert {(device, at - T0, point) for device, at, point, _ in told(taken)} <= bad
    assert not {(device, at - T0, point) for device, at, point, _ in told(kept.sweeps)} & bad
    assert kept.readings == sum(len(one.values) for one in kept.sweeps)
    assert kept.id == before.id
    lines = as_lines(before, taken).decode().splitlines()
    assert told(tuple(decode_sweeps(iter(parse_line(line) for line in lines)))) == told(taken)


class Asked(dict[tuple[SeriesKey, int], str]):
    """Of a batch that is refused as a whole: may be asked of a reading, and not be gone through for each parcel."""

    def __iter__(self) -> Iterator[tuple[SeriesKey, int]]:
        raise AssertionError("gone through")

    keys = values = items = __iter__  # type: ignore[assignment]


def test_a_parcel_costs_what_is_in_it_however_much_of_its_batch_is_refused(tmp_path: Path) -> None:
    those = [parcel(seq, sweep(seq, {"frequency": 50.0, "voltage_l1_n": 230.0})) for seq in (1, 2, 3)]
    refused = Asked(reasons_of(one for found in those[:2] for one in misdated(found, 0)))
    aside = Aside(tmp_path, SystemClock(), EventLog())
    assert [aside.readings(found, refused).readings for found in those] == [0, 0, 2]
    assert len([*tmp_path.glob("*.payload")]) == 2
