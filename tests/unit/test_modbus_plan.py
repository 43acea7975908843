"""The block planner: every point once, within the limits, with the fewest requests there can be."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.plan import Block, PlanError, plan, split, worthwhile_gap
from drivers.modbus.profile import Limits, Point, Table
from support.points import make_point

TYPES = ["u16", "u32", "f32", "u64"]


@st.composite
def maps(draw: st.DrawFn, most: int = 24, top: int = 300) -> list[Point]:
    return [
        make_point(
            f"cfg_{n}",
            draw(st.integers(0, top)),
            draw(st.sampled_from(TYPES)),
            table=draw(st.sampled_from(Table)),
            alone=draw(st.integers(0, 9)) == 0,
        )
        for n in range(draw(st.integers(1, most)))
    ]


limits = st.builds(
    Limits,
    max_registers=st.integers(6, 125),
    max_gap=st.integers(0, 20),
    even_addresses=st.booleans(),
)


def undescribed(block: Block, known: Sequence[Point]) -> int:
    """The longest run of registers inside the block that no point describes."""
    covered = {
        address
        for point in known
        if point.table is block.table and not point.alone
        for address in range(point.address, point.end)
    }
    first, last = min(p.address for p in block.points), max(p.end for p in block.points)
    longest = run = 0
    for address in range(first, last):
        run = 0 if address in covered else run + 1
        longest = max(longest, run)
    return longest


@given(maps(), limits)
def test_every_point_is_in_exactly_one_block_and_whole(points: list[Point], within: Limits) -> None:
    blocks = plan(points, within)
    assert sorted(p.name for b in blocks for p in b.points) == sorted(p.name for p in points)
    for block in blocks:
        for point in block.points:
            assert point.table is block.table
            assert block.address <= point.address
            assert point.end <= block.address + block.count


@given(maps(), limits)
def test_blocks_keep_the_limits(points: list[Point], within: Limits) -> None:
    blocks = plan(points, within)
    assert len(blocks) <= len(points)
    for block in blocks:
        if any(point.alone for point in block.points):
            assert [block.count] == [point.type.registers for point in block.points]
            continue
        assert block.count <= within.max_registers
        assert undescribed(block, points) <= within.max_gap
        if within.even_addresses:
            assert block.address % 2 == 0
            assert block.count % 2 == 0


@given(maps(most=16, top=80), limits, st.tuples(st.integers(0, 80), st.integers(0, 5)))
def test_a_forbidden_register_is_never_read(points: list[Point], within: Limits, hole: tuple[int, int]) -> None:
    low, high = hole[0], hole[0] + hole[1]
    forbidden = Limits(
        max_registers=within.max_registers,
        max_gap=within.max_gap,
        even_addresses=within.even_addresses,
        forbidden=((low, high),),
    )
    try:
        blocks = plan(points, forbidden)
    except PlanError:
        return
    for block in blocks:
        if not block.points[0].alone:
            assert high < block.address or block.address + block.count <= low


def fewest(points: Sequence[Point], within: Limits) -> int:
    """The smallest number of blocks by trying every partition of the points into reads of their own."""
    if not points:
        return 0
    head, rest = points[0], points[1:]
    best = len(points)
    for chosen in range(2 ** len(rest)):
        group = [head, *(p for n, p in enumerate(rest) if chosen >> n & 1)]
        if one_read(group, within, points_all):
            left = [p for n, p in enumerate(rest) if not chosen >> n & 1]
            best = min(best, 1 + fewest(left, within))
    return best


points_all: list[Point] = []


def one_read(group: Sequence[Point], within: Limits, known: Sequence[Point]) -> bool:
    first, end = min(p.address for p in group), max(p.end for p in group)
    if within.even_addresses:
        first, end = first - first % 2, end + end % 2
    block = Block(table=Table.HOLDING, address=first, count=end - first, points=tuple(group))
    return end - first <= within.max_registers and undescribed(block, known) <= within.max_gap


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(TYPES)), min_size=1, max_size=6),
    st.builds(
        Limits, max_registers=st.sampled_from([6, 7, 10, 20]), max_gap=st.integers(0, 6), even_addresses=st.booleans()
    ),
)
def test_no_other_choice_needs_fewer_requests(spans: list[tuple[int, str]], within: Limits) -> None:
    points = [make_point(f"cfg_{n}", address, kind) for n, (address, kind) in enumerate(spans)]
    points_all[:] = points
    assert len(plan(points, within)) == fewest(points, within)


def cheapest(points: Sequence[Point], within: Limits, known: Sequence[Point], worth: int) -> int:
    """The least sum of registers + `worth` a read, by trying every partition of the points into reads of their own."""
    if not points:
        return 0
    head, rest = points[0], points[1:]
    best: int | None = None
    for chosen in range(2 ** len(rest)):
        group = [head, *(p for n, p in enumerate(rest) if chosen >> n & 1)]
        if not one_read(group, within, known):
            continue
        first, end = min(p.address for p in group), max(p.end for p in group)
        if within.even_addresses:
            first, end = first - first % 2, end + end % 2
        left = [p for n, p in enumerate(rest) if not chosen >> n & 1]
        cost = end - first + worth + cheapest(left, within, known, worth)
        best = cost if best is None else min(best, cost)
    assert best is not None
    return best


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(TYPES)), min_size=1, max_size=6),
    st.builds(
        Limits, max_registers=st.sampled_from([6, 7, 10, 20]), max_gap=st.integers(0, 6), even_addresses=st.booleans()
    ),
    st.integers(0, 25),
)
def test_no_other_choice_takes_less_time_on_a_serial_line(
    spans: list[tuple[int, str]], within: Limits, worth: int
) -> None:
    points = [make_point(f"cfg_{n}", address, kind) for n, (address, kind) in enumerate(spans)]
    blocks = plan(points, within, worthwhile_gap=worth)
    assert sum(block.count + worth for block in blocks) == cheapest(points, within, points, worth)
    assert sorted(p.name for block in blocks for p in block.points) == sorted(p.name for p in points)


def test_the_worthwhile_gap_follows_from_baud_and_turnaround() -> None:
    slow, fast = 10 / 9600, 10 / 115200
    assert worthwhile_gap(character_s=slow, turnaround_s=0.005) == 12
    assert worthwhile_gap(character_s=slow, turnaround_s=0.1) == 58
    assert worthwhile_gap(character_s=fast, turnaround_s=0.02) == 125


def test_a_read_crosses_registers_that_other_points_describe() -> None:
    wanted = [make_point("voltage_l1_n", 0, "f32"), make_point("voltage_l3_n", 4, "f32")]
    between = make_point("voltage_l2_n", 2, "f32")
    assert len(plan(wanted, Limits())) == 2
    (block,) = plan(wanted, Limits(), [between])
    assert str(block) == "holding 0+6"


def test_a_fixed_block_is_read_whole_and_only_once() -> None:
    points = [make_point("volume_total", 23, "bcd12"), make_point("temperature_gas", 12, "f32")]
    outside = make_point("frequency", 40)
    blocks = plan([*points, outside], Limits(blocks=((10, 29),)))
    assert [str(block) for block in blocks] == ["holding 10+20", "holding 40+1"]


def test_a_register_that_answers_only_alone_neither_joins_nor_parts_other_reads() -> None:
    points = [make_point("voltage_l3_l1", 10, "i32"), make_point("current_l1", 12, "i32")]
    code = make_point("model_code", 11, alone=True)
    assert [str(block) for block in plan([*points, code], Limits())] == ["holding 10+4", "holding 11+1"]


def test_a_value_longer_than_a_read_may_be_is_refused_by_name() -> None:
    with pytest.raises(PlanError, match=r"energy_active_import_total \(u64 at holding 7\)"):
        plan([make_point("energy_active_import_total", 7, "u64")], Limits(max_registers=3))


def test_a_refused_block_is_parted_at_its_widest_hole() -> None:
    points = [make_point(f"cfg_{n}", address) for n, address in enumerate([0, 1, 5, 7])]
    (block,) = plan(points, Limits(max_gap=5))
    assert [str(part) for part in split(block, Limits(max_gap=5))] == ["holding 0+2", "holding 5+3"]


def test_a_block_of_one_point_and_a_fixed_block_are_not_parted() -> None:
    (single,) = plan([make_point("cfg_a", 3, "u32")], Limits())
    assert split(single, Limits()) == (single,)
    fixed = Limits(blocks=((10, 29),))
    (whole,) = plan([make_point("cfg_a", 10), make_point("cfg_b", 20)], fixed)
    assert split(whole, fixed) == (whole,)


@given(maps(most=12), limits)
def test_parting_a_block_loses_no_point(points: list[Point], within: Limits) -> None:
    for block in plan(points, within):
        parts = split(block, within)
        assert sorted(p.name for part in parts for p in part.points) == sorted(p.name for p in block.points)
        assert len(parts) > 1 or len(block.points) == 1
