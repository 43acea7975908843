"""plan(points, limits) -> blocks: the fewest reads that bring all points and that the meter answers. Pure.

A read may be any window of registers as long as the limits allow, and every part of an allowed window is allowed too.
So it is enough to start a block at the first point that is still missing and to stretch it as far as it goes: no other
choice of windows needs fewer (exchange argument; the tests compare with brute force).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from drivers.modbus.profile import Limits, Point, Span, Table


class PlanError(ValueError):
    """A point that no read within the limits can bring; the message names the point and the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One read: `count` registers from `address`, and the points whose registers it brings, by address."""

    table: Table
    address: int
    count: int
    points: tuple[Point, ...]

    def __str__(self) -> str:
        return f"{self.table} {self.address}+{self.count}"


def worthwhile_gap(*, character_s: float, turnaround_s: float) -> int:
    """How many unwanted registers a read on a serial line may rather cross than be two reads.

    A register is 2 characters. A read of its own costs 8 characters of request, 5 of reply, two silences of 3.5 and the
    device's turnaround. Source: MODBUS over Serial Line V1.02, 2.5.1. On TCP it always pays: give plan() None.
    """
    return int((20 * character_s + turnaround_s) / (2 * character_s))


def plan(
    points: Collection[Point],
    limits: Limits,
    described: Collection[Point] = (),
    *,
    worthwhile_gap: int | None = None,
) -> tuple[Block, ...]:
    """The blocks, by table and address; every point is in exactly one. Raises PlanError.

    `described` are points that are not wanted but whose registers exist, so that a read may cross them. With
    `worthwhile_gap` the sum of registers + `worthwhile_gap` x reads is the least; without it the number of reads.
    """
    blocks: list[Block] = []
    for table in Table:
        wanted = sorted((p for p in points if p.table is table), key=lambda p: (p.address, p.end))
        known = [p for p in (*wanted, *described) if p.table is table and not p.alone]
        blocks += _plan_table(table, wanted, limits, _gaps(known, limits.max_gap), worthwhile_gap)
    return tuple(sorted(blocks, key=lambda block: (block.table, block.address, block.count)))


def _plan_table(
    table: Table, wanted: list[Point], limits: Limits, gaps: list[Span], worth: int | None
) -> Iterable[Block]:
    free: list[Point] = []
    fixed: dict[Span, list[Point]] = {}
    for point in wanted:
        span = next((s for s in limits.blocks if s[0] <= point.address and point.end <= s[1] + 1), None)
        if point.alone:
            yield Block(table=table, address=point.address, count=point.type.registers, points=(point,))
        elif span is not None:
            fixed.setdefault(span, []).append(point)
        else:
            free.append(point)
    for (first, last), inside in fixed.items():
        yield Block(table=table, address=first, count=last - first + 1, points=tuple(inside))
    if worth is not None and free:
        yield from _cheapest(table, free, limits, gaps, worth)
        return
    while free:
        start = free[0].address
        taken = [point for point in free if _allowed(start, point.end, limits, gaps)]
        if not taken or taken[0] is not free[0]:
            raise PlanError(f"no read within the limits brings {free[0].name} ({free[0].type} at {table} {start})")
        free = [point for point in free if point not in taken]
        first, end = _aligned(start, max(point.end for point in taken), limits)
        yield Block(table=table, address=first, count=end - first, points=tuple(taken))


def _cheapest(table: Table, free: list[Point], limits: Limits, gaps: list[Span], worth: int) -> Iterable[Block]:
    """The blocks of least cost: the cheapest way to read the first n points, for each n."""
    none = (0, 0, Block(table=table, address=0, count=0, points=()))
    ways: list[tuple[int, int, Block]] = [none]  # cost of the first n points, where the last block begins, that block
    for n in range(1, len(free) + 1):
        best: tuple[int, int, Block] | None = None
        end = 0
        for begin in range(n - 1, -1, -1):
            end = max(end, free[begin].end)
            if not _allowed(free[begin].address, end, limits, gaps):
                if end - free[begin].address > limits.max_registers:
                    break
                continue
            first, after = _aligned(free[begin].address, end, limits)
            cost = ways[begin][0] + worth + after - first
            if best is None or cost <= best[0]:
                block = Block(table=table, address=first, count=after - first, points=tuple(free[begin:n]))
                best = (cost, begin, block)
        if best is None:
            point = free[n - 1]
            raise PlanError(f"no read within the limits brings {point.name} ({point.type} at {table} {point.address})")
        ways.append(best)
    n = len(free)
    while n:
        _, n, block = ways[n]
        yield block


def _aligned(start: int, end: int, limits: Limits) -> Span:
    return (start - start % 2, end + end % 2) if limits.even_addresses else (start, end)


def _allowed(start: int, end: int, limits: Limits, gaps: list[Span]) -> bool:
    """True when one read may bring the registers from `start` up to, not including, `end`."""
    first, after = _aligned(start, end, limits)
    return (
        after - first <= limits.max_registers
        and not any(low < after and first <= high for low, high in limits.forbidden)
        and not any(start <= low and high < end for low, high in gaps)
    )


def readable(point: Point, limits: Limits) -> bool:
    """True when plan() finds a read for this point."""
    fixed = any(first <= point.address and point.end <= last + 1 for first, last in limits.blocks)
    return point.alone or fixed or _allowed(point.address, point.end, limits, [])


def _gaps(known: Collection[Point], max_gap: int) -> list[Span]:
    """The runs of more than `max_gap` registers between `known` points that none of them describes."""
    gaps: list[Span] = []
    reached: int | None = None
    for point in sorted(known, key=lambda p: p.address):
        if reached is not None and point.address - reached > max_gap:
            gaps.append((reached, point.address - 1))
        reached = max(reached or 0, point.end)
    return gaps


def split(block: Block, limits: Limits) -> tuple[Block, ...]:
    """Two smaller blocks for one the meter refused: parted at its widest hole, or in the middle when it has none.

    The block itself, alone, when it cannot be parted.
    """
    points = sorted(block.points, key=lambda p: (p.address, p.end))
    whole = any(block.address == first and block.count == last - first + 1 for first, last in limits.blocks)
    if len(points) < 2 or whole:
        return (block,)
    holes = [after.address - before.end for before, after in pairwise(points)]
    cut = holes.index(max(holes)) + 1 if max(holes) > 0 else len(points) // 2
    return (*plan(points[:cut], limits, points), *plan(points[cut:], limits, points))
