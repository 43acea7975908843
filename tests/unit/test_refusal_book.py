"""RefusalBook: what meters refused outlives the process; a file that makes no sense costs nothing but to learn again."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.bus import ModbusDevice, ModbusTcpBus
from drivers.modbus.profile import Table
from drivers.modbus.refusal_book import NAME, RefusalBook
from drivers.modbus.refusals import advice
from support.points import make_point, make_profile
from wattline.clock import SystemClock

PROFILE = make_profile(*(make_point(f"cfg_{n}", n) for n in range(4)))


def written(path: Path) -> RefusalBook:
    book = RefusalBook(path)
    page = book.page("incomer", PROFILE)
    page.shut("cfg_2", 2, 7)
    page.cut((Table.HOLDING, 1, 0))
    page.cut((Table.HOLDING, 3, 3))
    assert book.changed
    book.write(book.text())
    assert not book.changed
    return book


def test_what_was_refused_is_known_after_a_restart(tmp_path: Path) -> None:
    before = written(tmp_path / NAME).page("incomer", PROFILE)
    book = RefusalBook(tmp_path / NAME)
    page = book.page("incomer", PROFILE)
    assert (page.points, page.seams) == (before.points, before.seams)
    assert page is book.page("incomer", PROFILE)
    assert book.quarantined == 1
    assert not book.changed


def test_another_device_or_a_changed_profile_starts_with_nothing(tmp_path: Path) -> None:
    written(tmp_path / NAME)
    book = RefusalBook(tmp_path / NAME)
    assert not book.page("line-1", PROFILE).points
    assert not book.page("incomer", make_profile(make_point("cfg_2", 9))).points


def test_what_the_meter_at_a_wrong_unit_id_refused_is_not_held_against_the_right_one() -> None:
    clock, book = SystemClock(), RefusalBook()

    def device(unit: int, host: str) -> ModbusDevice:
        bus = ModbusTcpBus("hall", host, 502, clock=clock)
        bus.refusals, bus.where = book, host
        return bus.add_device("incomer", unit, PROFILE)

    device(2, "10.0.0.1").refusals.shut("cfg_2", 2, 7)
    assert device(2, "10.0.0.1").refusals.points
    assert not device(3, "10.0.0.1").refusals.points
    assert not device(2, "10.0.0.2").refusals.points


def test_advice_says_what_to_change_in_the_profile(tmp_path: Path) -> None:
    first, hole, seam = sorted(advice(PROFILE, written(tmp_path / NAME).page("incomer", PROFILE)), key=len)[::-1]
    assert "refuses cfg_2 (holding 2, exception 2, 1 times)" in first
    assert {"`limits.forbidden`" in hole, "`limits.forbidden`" in seam} == {True, False}


def test_a_failed_write_is_tried_again(tmp_path: Path) -> None:
    book = RefusalBook(tmp_path / "missing" / NAME)
    book.page("incomer", PROFILE).shut("cfg_2", 2, 7)
    with pytest.raises(OSError, match="No such file"):
        book.write(book.text())
    assert book.changed


WHATEVER = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70000) | st.floats() | st.sampled_from(["cfg_1", "holding", "x"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["cfg_1", "points", "seams", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(WHATEVER, WHATEVER)
def test_a_file_of_nonsense_is_read_as_far_as_it_makes_sense(points: object, seams: object) -> None:
    with TemporaryDirectory() as folder:
        _check_nonsense(Path(folder) / NAME, points, seams)


def _check_nonsense(path: Path, points: object, seams: object) -> None:
    written(path)
    told = json.loads(path.read_text())
    for page in told["devices"].values():
        page.update(points=points, seams=seams)
    path.write_text(json.dumps(told))
    page = RefusalBook(path).page("incomer", PROFILE)
    assert page.points.keys() <= {"cfg_1"}
    assert len(list(advice(PROFILE, page))) == len(page.points) + len(page.seams)


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b"[" * 100_000, b'{"version": 2}', b'{"version": 1, "devices": 3}']
)
def test_a_damaged_file_counts_as_empty(content: bytes, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(content)
    assert not RefusalBook(tmp_path / NAME).page("incomer", PROFILE).points
