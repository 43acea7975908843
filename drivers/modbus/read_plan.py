"""ReadPlan: which blocks to read now: as planned, in parts where the meter refused, without the quarantined. Pure.

A refused block (exception 2 or 3) is read in two halves from the next sweep on, and those again, until all answers but
single points. A point refused twice by a meter that answers other blocks goes into quarantine. Where both halves of a
refused block answer, it is asked whole once more: refused again, its seam is remembered and no read crosses it;
answered, the refusal was a mood. When nothing is left to find out, all is planned anew, in the fewest reads that leave
out what was learnt. A meter that refuses everything teaches nothing, and is asked a few blocks a sweep.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from drivers.modbus.plan import Block, plan, readable, split
from drivers.modbus.profile import Point, Profile
from drivers.modbus.refusals import FIRST_S, REFUSED, Refusals
from metering.faults import Fault, exception_fault
from metering.quantities import Kind

REFUSALS: Final = {exception_fault(code): code for code in REFUSED}
_NO_ANSWER: Final = frozenset({Fault.TIMEOUT, Fault.LINK_DOWN})
_PASSING: Final = frozenset({Fault.LINK_DOWN, Fault.EXCEPTION_4, Fault.EXCEPTION_5, Fault.EXCEPTION_6})
_AT_ONCE: Final = 8
_TWICE: Final = 2
_MOST_TOLD: Final = 64

Tell = Callable[..., None]
"""As EventLog.warning."""


@dataclass(slots=True, eq=False)
class _Read:
    """A block and how its last read went: with `fault` it is a suspect, refused or a part of what was.

    `strikes` count its refusals while the meter answered others; `answered` is of the last sweep.
    """

    block: Block
    fault: Fault | None = None
    strikes: int = 0
    answered: bool = False


@dataclass(slots=True, eq=False)
class _Parted:
    """A refused block that is read in parts to find out why."""

    whole: Block
    parts: tuple[_Read, ...]


class ReadPlan:
    """Of one reader; `refusals` are the device's, `gap` is what plan() takes as `worthwhile_gap`.

    `blocks` are to be read now; those of `shut` are not, each with the fault of its points.
    """

    def __init__(self, profile: Profile, names: Collection[str], refusals: Refusals, gap: int | None) -> None:
        self._profile = profile
        self._members = profile.registers_of(names)
        self._refusals = refusals
        self._told: set[str] = set()
        self.blocks: tuple[Block, ...] = ()
        self.renew(gap)

    @property
    def stale(self) -> bool:
        """True when this reader or another of the device has learnt something, and nothing is open here: `renew`."""
        return (self._learnt or self._version != self._refusals.version) and not self._open

    @property
    def learning(self) -> bool:
        """False when a sweep without refusals has nothing to teach."""
        return self._open or bool(self._refusals.points)

    def renew(self, gap: int | None) -> None:
        """Plan anew with all that is known."""
        self._gap = gap
        self._version = self._refusals.version
        self._learnt = False
        known = self._refusals.points
        members = [point for point in self._members if point.name not in known]
        if not members:  # one is asked all the same: a device that is asked nothing would seem alive for ever
            members = [self._members[0]]
        self._quarantined = [(_single(p), known[p.name].fault) for p in self._members if p not in members]
        self._parted: list[_Parted] = []
        self._reads = [_Read(block) for block in self._blocks_of(members)]
        self._arrange()

    def _blocks_of(self, members: Collection[Point]) -> Iterator[Block]:
        limits, described = self._profile.limits, self._profile.points
        for table in sorted({point.table for point in members}):
            learnt = self._refusals.within(table, limits, described)
            mine = [point for point in members if point.table is table]
            apart = [point for point in mine if not readable(point, learnt)]
            yield from plan([p for p in mine if p not in apart], learnt, described.values(), worthwhile_gap=self._gap)
            for point in apart:  # no read that heeds all that was learnt brings it: then it is asked by itself
                yield from plan([point], limits)

    def _arrange(self, most_suspects: int | None = None) -> None:
        asked = {id(read) for read in [read for read in self._reads if read.fault][:most_suspects]}
        # the stamp is that of the last reply, and the differences of counters are what is accounted: they come last
        self._asked = sorted(
            (read for read in self._reads if not read.fault or id(read) in asked),
            key=lambda read: _counters(read.block),
        )
        blocks = tuple(read.block for read in self._asked)
        if blocks != self.blocks:  # the same tuple means: nothing to prepare anew
            self.blocks = blocks
        waiting = [(read.block, read.fault) for read in self._reads if read.fault and id(read) not in asked]
        self.shut = (*self._quarantined, *waiting)
        self._look_open()

    def _look_open(self) -> None:
        # kept, because every sweep asks
        self._open = bool(self._parted) or any(read.fault for read in self._reads)

    def swept(self, replies: Sequence[bytes | Fault], now_ns: int, tell: Tell) -> None:
        """Learn from one sweep of `blocks`; a block that was not asked after all has the fault that says why."""
        answered = any(not isinstance(reply, Fault) for reply in replies)
        told = {id(read): reply for read, reply in zip(self._asked, replies, strict=True)}
        reads = [read for read in self._reads if id(read) not in told]  # who waited comes first next time
        for read in self._asked:
            reply = told[id(read)]
            read.answered = not isinstance(reply, Fault)
            if reply in REFUSALS:
                read.fault = Fault(reply)
                reads += self._examine(read, now_ns, tell, answered=answered)
                continue
            reads.append(read)
            if reply not in _NO_ANSWER:
                read.fault, read.strikes = None, 0
            if read.answered:
                self._release(read.block, tell)
        self._reads = reads
        self._parted = [each for each in self._parted if all(part in reads for part in each.parts)]
        self._arrange(None if answered else _AT_ONCE)

    def _examine(self, read: _Read, now_ns: int, tell: Tell, *, answered: bool) -> Iterable[_Read]:
        """What a refused block becomes: its parts; itself once more; nothing, when it goes into quarantine."""
        assert read.fault is not None
        # a refused function is the table's, and all of the block's
        parts = (read.block,) if read.fault is Fault.EXCEPTION_1 else split(read.block, self._profile.limits)
        if len(parts) > 1:
            reads = tuple(_Read(part, read.fault) for part in parts)
            self._parted.append(_Parted(read.block, reads))
            self._tell_split(read.block, parts, tell)
            return reads
        read.strikes += answered
        if read.strikes < _TWICE:
            return (read,)
        self._quarantine(read.block, read.fault, now_ns, tell)
        return ()

    def _tell_split(self, block: Block, parts: Sequence[Block], tell: Tell) -> None:
        if str(block) not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(str(block))
            tell("block.split", block=str(block), into=", ".join(map(str, parts)))

    def _quarantine(self, block: Block, fault: Fault, now_ns: int, tell: Tell) -> None:
        self._learnt = True
        self._quarantined += [(_single(point), fault) for point in block.points]
        code = REFUSALS[fault]
        if new := [point.name for point in block.points if self._refusals.shut(point.name, code, now_ns)]:
            what = {"points": ", ".join(new[:8]), "count": len(new), "fault": fault, "again_in_s": FIRST_S}
            tell("points.quarantined", block=str(block), **what)

    def _release(self, block: Block, tell: Tell) -> None:
        if back := [point.name for point in block.points if point.name in self._refusals.points]:
            self._refusals.release(back)
            self._learnt = True
            tell("points.released", points=", ".join(back))

    def trial(self, now_ns: int) -> Block | None:
        """What to ask once beside the sweep just told: a block all of whose parts answered, or a point due again."""
        for each in self._parted:
            if all(part.answered for part in each.parts):
                return each.whole
        if self._refusals.points and any(read.answered for read in self._reads):
            due = set(self._refusals.due(now_ns))
            if point := next((point for point in self._members if point.name in due), None):
                return plan([point], self._profile.limits)[0]
        return None

    def tried(self, block: Block, fault: Fault | None, now_ns: int, tell: Tell) -> None:
        """The outcome of a trial: answered (None), or what came instead. Silence means no as well."""
        parted = next((each for each in self._parted if each.whole is block), None)
        if fault is None:
            self._parted.clear()  # all of it may have been a mood, and what was not is found again
            self._learnt = True
            self._release(block, tell)
        elif fault in _PASSING:
            return  # another sweep
        elif parted is None:
            for point in block.points:
                shut = self._refusals.points[point.name]
                self._refusals.shut(point.name, REFUSALS.get(fault, shut.code), now_ns)
        else:
            self._parted.remove(parted)
            for one, other in pairwise(part.block for part in parted.parts):
                low, high = one.address + one.count, other.address - 1
                if self._refusals.cut((block.table, low, high)):
                    self._learnt = True
                    tell("block.seam", block=str(block), first=low, last=high)
        self._look_open()


def _single(point: Point) -> Block:
    return Block(table=point.table, address=point.address, count=point.type.registers, points=(point,))


def _counters(block: Block) -> tuple[bool, bool, bool]:
    """Sorts blocks without counters first, then those with them, with totals, and with the energy that is paid for."""
    counters = [point.name for point in block.points if point.quantity.kind is Kind.COUNTER]
    return (
        any(counters),
        any(name.endswith("_total") for name in counters),
        "energy_active_import_total" in counters,
    )
