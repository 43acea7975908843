"""What one meter refused, learnt by asking: points left out of its reads for a while, and registers no read may cross.

Pure; times are UTC nanoseconds, for they outlive a restart.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from drivers.modbus.profile import Limits, Point, Profile, Span, Table
from metering.faults import Fault, exception_fault

REFUSED: Final = frozenset({1, 2, 3})
"""Illegal function, address, value: the profile is wrong about the meter. Other exceptions pass by themselves."""
FIRST_S: Final = 3600
LONGEST_S: Final = 24 * 3600
MAX_SEAMS: Final = 256
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shut:
    """A point in quarantine: refused with exception `code` so many `times`, to be asked again at `again_ns`."""

    code: int
    times: int
    again_ns: int

    @property
    def fault(self) -> Fault:
        """What its values are absent for."""
        return exception_fault(self.code)


Seam = tuple[Table, int, int]
"""First and last register that no read may cross; first > last means a read may not join first - 1 and first."""


class Refusals:
    """Of one device; its readers share it and plan anew when `version` has changed."""

    def __init__(self, points: Mapping[str, Shut] | None = None, seams: Collection[Seam] = ()) -> None:
        self.points = dict(points or {})
        self.seams = set(seams)
        self.version = 0

    def shut(self, name: str, code: int, now_ns: int) -> bool:
        """Quarantine a point, longer each time: 1 h, 2 h, 4 h, ... 24 h; True when it was not in quarantine."""
        before = self.points.get(name)
        times = before.times + 1 if before else 1
        after_s = min(FIRST_S * 2 ** min(times - 1, 16), LONGEST_S)
        self.points[name] = Shut(code=code, times=times, again_ns=now_ns + after_s * _NS)
        self.version += 1
        return before is None

    def release(self, names: Collection[str]) -> None:
        """These points answered."""
        for name in names:
            self.points.pop(name, None)
        self.version += 1

    def cut(self, seam: Seam) -> bool:
        """No read crosses this from now on; False when it is known, or too much is."""
        if seam in self.seams or len(self.seams) >= MAX_SEAMS:
            return False
        self.seams.add(seam)
        self.version += 1
        return True

    def due(self, now_ns: int) -> list[str]:
        """The points to ask again. A clock set back must not keep one shut for years."""
        return [name for name, shut in self.points.items() if not 0 < shut.again_ns - now_ns <= LONGEST_S * _NS]

    def within(self, table: Table, limits: Limits, points: Mapping[str, Point]) -> Limits:
        """The limits of a read of `table` with what was learnt."""
        spans: list[Span] = [(low, high) for of, low, high in self.seams if of is table]
        for name in self.points:
            point = points[name]
            if point.table is table:
                spans.append((point.address, point.end - 1))
        return replace(limits, forbidden=(*limits.forbidden, *sorted(spans))) if spans else limits


def advice(profile: Profile, refusals: Refusals) -> Iterator[str]:
    """What to change in the profile so that nothing is left to be refused, a sentence each."""
    for name, shut in sorted(refusals.points.items()):
        point = profile.points[name]
        yield (
            f"the meter refuses {name} ({point.table} {point.address}, exception {shut.code}, {shut.times} times): in"
            f" profile {profile.id} correct its address or table, set `on_request: true`, or remove it"
        )
    for table, low, high in sorted(refusals.seams):
        if low <= high:
            yield (
                f"the meter refuses reads across {table} {low} to {high}: in profile {profile.id} add"
                f" [{low}, {high}] to `limits.forbidden`"
            )
        else:
            yield (
                f"the meter refuses a read that joins {table} {high} and {low}: in profile {profile.id} lower"
                " `limits.max_registers`"
            )
