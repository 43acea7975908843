"""Which row of the factor table counts: a policy that is named, stored with the report, and gives the same row again.

Two questions are kept apart. What the row is for: the activity's day must lie in or after its validity, and where a
data year is not out yet the latest one before it serves. What was known: only rows published by some day are looked at,
and that day is the policy's to say. So a report that is run again keeps its rows unless its policy is to restate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from centre.accounting.factors import NATIONAL, WORLD, FactorRow

LATEST_PUBLISHED: Final = "latest data year published on or before the day"
LATEST_KNOWN: Final = "latest data year known when the report was made"
SAME_YEAR: Final = "the data year of the day"
IN_FORCE: Final = "in force on the day"

SUPPLIED: Final = "supplied"

# sets that hold a plant's own rows, which are not in the shipped table
OWN_SETS: Final = frozenset({"measured", "supplier"})

NOT_IN_TABLE: Final = "not_in_table"
NOT_IN_SETS: Final = "not_in_sets"
NOT_PUBLISHED: Final = "not_published"
NOT_VALID: Final = "not_valid"


class Knowledge(StrEnum):
    """Up to which day publications are known to a report."""

    LATEST_PUBLISHED = "latest_published"  # the activity's own day: what a daily figure could know
    AS_KNOWN = "as_known"  # the day the report was first made
    RESTATE = "restate"  # the day it is run


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorPolicy:
    """How one kind of report chooses its rows.

    `sets`: the factor sets it may use, best first; empty means any, the latest begun first. `national`: a region
    without a row of its own takes the national one. `metrics`: purpose -> metric, where a table offers several.
    `absent`: purpose -> why the table has no row for it, and what to do.
    """

    name: str
    knowledge: Knowledge
    sets: tuple[str, ...] = ()
    national: bool = True
    metrics: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(dict[str, str]()))
    absent: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(dict[str, str]()))

    def metric(self, purpose: str, default: str) -> str:
        """The metric the policy takes for a purpose, such as `natural_gas/coal_equivalent`, or the default one."""
        return self.metrics.get(purpose, default)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDates:
    """The day a report was first made, and the day it is run now; both are inputs of the report and stored with it."""

    made_on: date
    run_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The row, or None; `reason` says why this one, or why none. `known_on`: publications up to then were looked at."""

    row: FactorRow | None
    policy: str
    known_on: date
    reason: str

    @property
    def unverified(self) -> bool:
        """True for a row whose number nobody has seen in a second text: to be shown beside the figure."""
        return self.row is not None and not self.row.confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorBook:
    """What the formulas of one report choose from: the table, its policy and dates, and the region it is for.

    What was chosen once is kept: a year asks the same of every node, month by month.
    """

    rows: Sequence[FactorRow]
    policy: FactorPolicy
    dates: ReportDates
    region: str
    _chosen: dict[tuple[str, str, date], Choice] = field(
        default_factory=dict[tuple[str, str, date], Choice], init=False, repr=False, compare=False
    )

    def find(self, carrier: str, purpose: str, metric: str, day: date) -> Choice:
        """The row for a purpose of a carrier on a day; `metric` unless the policy names another for the purpose."""
        wanted = self.policy.metric(f"{carrier}/{purpose}", metric)
        known = self._chosen.get((carrier, wanted, day))
        if known is None:
            known = choose(
                self.rows, self.policy, carrier=carrier, metric=wanted, region=self.region, day=day, dates=self.dates
            )
            why = self.policy.absent.get(f"{carrier}/{purpose}")
            if known.row is None and why is not None:
                known = replace(known, reason=why)
            self._chosen[carrier, wanted, day] = known
        return known


def supplied(row: FactorRow, day: date) -> Choice:
    """A row that was not chosen but came with what it is for: a contract, a certificate, a supplier's declaration."""
    return Choice(row=row, policy=SUPPLIED, known_on=day, reason=SUPPLIED)


def known_on(policy: FactorPolicy, day: date, dates: ReportDates) -> date:
    """The last day whose publications count for an activity on `day`."""
    if policy.knowledge is Knowledge.RESTATE:
        return dates.run_on
    if policy.knowledge is Knowledge.AS_KNOWN:
        return dates.made_on
    return min(day, dates.run_on)


def choose(
    rows: Sequence[FactorRow], policy: FactorPolicy, *, carrier: str, metric: str, region: str, day: date,
    dates: ReportDates,
) -> Choice:  # fmt: skip
    """The row for an activity on `day`; the order of `rows` makes no difference."""
    known = known_on(policy, day, dates)
    named = [row for row in rows if row.carrier == carrier and row.metric == metric]
    areas = (region, NATIONAL, WORLD) if policy.national else (region,)
    local = [row for row in named if row.region in areas]
    allowed = [row for row in local if not policy.sets or row.factor_set in policy.sets]
    published = [row for row in allowed if row.known_from <= known]
    valid = [row for row in published if _serves(row, day)]
    if not valid:
        steps = ((local, NOT_IN_TABLE), (allowed, NOT_IN_SETS), (published, NOT_PUBLISHED), (valid, NOT_VALID))
        reason = next(reason for left, reason in steps if not left)
        return Choice(row=None, policy=policy.name, known_on=known, reason=reason)
    best = min(
        valid, key=lambda row: (policy.sets.index(row.factor_set) if policy.sets else 0, areas.index(row.region))
    )
    alike = [
        row for row in valid if row.region == best.region and (not policy.sets or row.factor_set == best.factor_set)
    ]
    row = max(alike, key=lambda row: (row.valid_from or date.min, row.known_from, row.id))
    return Choice(row=row, policy=policy.name, known_on=known, reason=_why(row, policy, day))


def _serves(row: FactorRow, day: date) -> bool:
    """A row serves from its first day; one of a published data year also after its last, until the next is out."""
    begun = row.valid_from is None or row.valid_from <= day
    return begun and (row.valid_to is None or day <= row.valid_to or row.published_on is not None)


def _why(row: FactorRow, policy: FactorPolicy, day: date) -> str:
    if row.published_on is None or row.valid_to is None:
        return IN_FORCE
    if day <= row.valid_to:
        return SAME_YEAR
    return LATEST_PUBLISHED if policy.knowledge is Knowledge.LATEST_PUBLISHED else LATEST_KNOWN
