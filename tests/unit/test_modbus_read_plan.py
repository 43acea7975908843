"""ReadPlan: whatever a meter refuses, all it does give is read soon, and nothing it refuses is asked for ever."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.plan import Block
from drivers.modbus.profile import Limits, Point, Profile, Table
from drivers.modbus.read_plan import ReadPlan
from drivers.modbus.refusals import FIRST_S, LONGEST_S, MAX_SEAMS, Refusals
from metering.faults import Fault
from support.points import make_point, make_profile

NS = 1_000_000_000


@dataclass
class Meter:
    """Refuses a read that touches `holes`, or that reaches across one of `seams` (the register after it)."""

    holes: Collection[int] = ()
    seams: Collection[int] = ()
    code: int = 2
    moody: bool = False
    asked: list[str] = field(default_factory=list)

    def ask(self, block: Block) -> bytes | Fault:
        self.asked.append(str(block))
        end = block.address + block.count
        holes = any(block.address <= hole < end for hole in self.holes)
        if self.moody or holes or any(block.address < seam < end for seam in self.seams):
            return Fault(f"exception_{self.code}")
        return bytes(2 * block.count)


class Life:
    """A plan swept again and again; what each sweep brought, and what was told."""

    def __init__(
        self, profile: Profile, meter: Meter, refusals: Refusals | None = None, gap: int | None = None
    ) -> None:
        self.refusals = refusals or Refusals()
        self.meter = meter
        self.gap = gap
        self.plan = ReadPlan(profile, profile.points.keys(), self.refusals, gap)
        self.news: list[tuple[str, dict[str, Any]]] = []
        self.now = 0
        self.requests = self.refused = 0
        self.all: set[str] = set()

    def tell(self, event: str, **fields: object) -> None:
        self.news.append((event, dict(fields)))

    def sweep(self) -> set[str]:
        """The points that came. Asserts that every point came, or has a fault."""
        if self.plan.stale:
            self.plan.renew(self.gap)
        self.now += NS
        before = len(self.meter.asked)
        blocks, shut = self.plan.blocks, self.plan.shut
        replies = [self.meter.ask(block) for block in blocks]
        everything = [p.name for b in (*blocks, *(b for b, _ in shut)) for p in b.points]
        assert len(everything) == len(set(everything)), "no point twice"
        self.all = set(everything)
        self.plan.swept(replies, self.now, self.tell)
        if (block := self.plan.trial(self.now)) is not None:
            reply = self.meter.ask(block)
            self.plan.tried(block, reply if isinstance(reply, Fault) else None, self.now, self.tell)
        self.requests = len(self.meter.asked) - before
        assert self.requests <= len(blocks) + 1, "one request more at most"
        self.refused = sum(isinstance(reply, Fault) for reply in replies)
        return {p.name for b, r in zip(blocks, replies, strict=True) if not isinstance(r, Fault) for p in b.points}


def profile_of(count: int, **limits: Any) -> Profile:
    return make_profile(*(make_point(f"cfg_{n}", n) for n in range(count)), **limits)


def test_one_register_the_meter_does_not_have_costs_its_neighbours_few_sweeps() -> None:
    life = Life(profile_of(40), Meter(holes={17}))
    came = [len(life.sweep()) for _ in range(12)]
    assert came == [0, 20, 30, 35, 37, 39, 39, 39, 39, 39, 39, 39]
    assert [str(block) for block in life.plan.blocks] == ["holding 0+17", "holding 18+22"]
    assert [event for event, _ in life.news].count("points.quarantined") == 1
    assert life.refused == 0


@st.composite
def meters(draw: st.DrawFn) -> tuple[Profile, Meter]:
    top = 48
    points: list[Point] = []
    at = 0
    while at < top and len(points) < 30:
        at += draw(st.integers(0, 4))
        kind = draw(st.sampled_from(["u16", "u32", "u64"]))
        table = draw(st.sampled_from([Table.HOLDING, Table.HOLDING, Table.INPUT]))
        points.append(make_point(f"cfg_{len(points)}", at, kind, table=table, alone=draw(st.integers(0, 12)) == 0))
        at = points[-1].end
    inside = {a for p in points for a in range(p.address + 1, p.end)}
    profile = make_profile(
        *points,
        max_registers=draw(st.integers(6, 60)),
        max_gap=draw(st.integers(0, 5)),
        even_addresses=draw(st.booleans()),
    )
    holes = draw(st.sets(st.integers(0, top), max_size=8))
    seams = draw(st.sets(st.integers(1, top), max_size=4)) - inside
    return profile, Meter(holes=holes, seams=seams, code=draw(st.sampled_from([2, 3])))


def gives(meter: Meter, point: Point, limits: Limits) -> bool:
    """Whether the meter answers the smallest read that the limits allow for this point."""
    first, end = point.address, point.end
    if limits.even_addresses and not point.alone:
        first, end = first - first % 2, end + end % 2
    block = Block(table=point.table, address=first, count=end - first, points=(point,))
    return not isinstance(Meter(holes=meter.holes, seams=meter.seams).ask(block), Fault)


@given(meters(), st.sampled_from([None, 3, 12]))
def test_whatever_is_refused_all_the_rest_is_read_soon_and_nothing_is_refused_any_more(
    plant: tuple[Profile, Meter], gap: int | None
) -> None:
    profile, meter = plant
    readable = {p.name for p in profile.points.values() if gives(meter, p, profile.limits)}
    life = Life(profile, meter, gap=gap)
    bound = 8 + 8 * (len(meter.holes) + len(meter.seams) + 1)
    came: set[str] = set()
    for _ in range(bound):
        came = life.sweep()
        assert life.all == set(profile.points)
    if readable:
        assert came == readable
        assert life.refused == 0
    assert life.requests <= max(len(profile.points), 1)


def told(life: Life, event: str) -> list[dict[str, Any]]:
    return [fields for name, fields in life.news if name == event]


def test_a_seam_is_learnt_once_and_costs_one_request_more() -> None:
    life = Life(profile_of(40), Meter(seams={20}))
    assert [len(life.sweep()) for _ in range(6)] == [0, 40, 40, 40, 40, 40]
    assert [str(block) for block in life.plan.blocks] == ["holding 0+20", "holding 20+20"]
    assert told(life, "block.seam") == [{"block": "holding 0+40", "first": 20, "last": 19}]
    assert not life.plan.learning


def test_a_mood_of_the_meter_teaches_nothing() -> None:
    life = Life(profile_of(40), Meter(moody=True))
    for _ in range(10):
        life.sweep()
        assert life.requests <= 8, "a meter that refuses everything is asked little"
    assert not told(life, "points.quarantined")
    life.meter.moody = False
    came = [len(life.sweep()) for _ in range(8)]
    assert came[2:] == [40] * 6
    assert [str(block) for block in life.plan.blocks] == ["holding 0+40"]
    assert not life.refusals.points
    assert not life.refusals.seams


def test_a_meter_that_gives_each_value_only_alone_is_understood_at_last() -> None:
    life = Life(profile_of(40), Meter(seams=range(1, 40)))
    for _ in range(60):
        life.sweep()
    assert len(life.sweep()) == len(life.plan.blocks) == 40
    assert len(life.refusals.seams) == 39 < MAX_SEAMS


def test_a_function_the_meter_does_not_know_is_not_bisected() -> None:
    profile = make_profile(*(make_point(f"cfg_{n}", n) for n in range(9)), make_point("status", 0, table=Table.INPUT))
    life = Life(profile, Meter())
    life.meter.ask = lambda block: Fault.EXCEPTION_1 if block.table is Table.INPUT else bytes(2 * block.count)  # type: ignore[method-assign]
    assert [len(life.sweep()) for _ in range(4)] == [9, 9, 9, 9]
    assert [str(block) for block in life.plan.blocks] == ["holding 0+9"]
    assert life.refusals.points["status"].code == 1


def test_a_point_in_quarantine_is_asked_again_after_an_hour_then_later_and_back_when_it_answers() -> None:
    life = Life(profile_of(4), Meter(holes={2}))
    for _ in range(8):
        life.sweep()
    assert life.refusals.points.keys() == {"cfg_2"}
    for times in (2, 3):
        before = life.refusals.points["cfg_2"]
        life.now = before.again_ns
        life.sweep()
        life.sweep()
        shut = life.refusals.points["cfg_2"]
        assert (shut.times, shut.again_ns - life.now) == (times, FIRST_S * 2 ** (times - 1) * NS - NS)
        assert life.requests == len(life.plan.blocks)
    life.meter.holes = ()
    life.now = life.refusals.points["cfg_2"].again_ns
    assert [len(life.sweep()) for _ in range(3)] == [3, 4, 4]
    assert [str(block) for block in life.plan.blocks] == ["holding 0+4"]
    assert told(life, "points.released") == [{"points": "cfg_2"}]


def test_silence_to_a_trial_is_no_answer_either() -> None:
    life = Life(profile_of(10), Meter(seams={5}))
    life.sweep()
    life.plan.swept([bytes(10), bytes(10)], life.now, life.tell)
    whole = life.plan.trial(life.now)
    assert whole is not None
    life.plan.tried(whole, Fault.TIMEOUT, life.now, life.tell)
    assert life.plan.trial(life.now) is None, "it is not asked at every sweep, at the price of a time-out each"
    assert life.refusals.seams


def test_what_is_known_of_the_meter_is_left_out_from_the_first_sweep_on() -> None:
    first = Life(profile_of(40), Meter(holes={17}, seams={30}))
    for _ in range(20):
        first.sweep()
    again = Life(profile_of(40), Meter(holes={17}, seams={30}), first.refusals)
    assert len(again.sweep()) == 39
    assert again.refused == 0


def test_a_meter_all_of_whose_points_are_in_quarantine_is_still_asked() -> None:
    refusals = Refusals()
    for name in ("cfg_0", "cfg_1"):
        refusals.shut(name, 2, 0)
    life = Life(profile_of(2), Meter(), refusals)
    assert [len(life.sweep()) for _ in range(2)] == [1, 1]
    life.now = LONGEST_S * NS
    assert [len(life.sweep()) for _ in range(2)][-1] >= 1


def test_what_one_reader_of_a_device_learnt_the_other_heeds() -> None:
    refusals = Refusals()
    one, other = (Life(profile_of(4), Meter(holes={2}), refusals) for _ in range(2))
    for _ in range(8):
        one.sweep()
    assert len(other.sweep()) == 3
    assert other.refused == 0
