"""Unit consumption by industry, so that no firm can be recognised: safe groups only, else the reason. Pure.

A group is safe that has at least k firms, the few largest of which make less of it than a share (of the energy, and of
the output). Groups of one request are apart from each other, and their total stands beside them: what is left out
could be had as the difference. So what is left out together is safe too, or everything but the total is left out.

That is enough: all that sums of the told ones give is what is left out, a union of groups told, or of both. A union of
safe sets apart from each other has k firms, and its few largest are at most those of its parts, each within its share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter
from typing import Final

from centre.accounting.terms import Input, rounded

TOO_FEW: Final = "too_few_firms"
DOMINATED: Final = "dominated_by_few_firms"
COMPLEMENT: Final = "would_tell_another_group_by_the_difference"
NOTHING_MADE: Final = "no_output"
NO_INDUSTRY: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """At least `smallest` firms; the `largest` of them make less than `percent` of the energy, and of the output."""

    smallest: int
    largest: int
    percent: Decimal

    def hidden(self, firms: Sequence["FirmUse"]) -> str | None:
        """Why a set of firms may not be told; None: it is safe."""
        if len(firms) < self.smallest:
            return TOO_FEW
        used, made = ([of(firm).value for firm in firms] for of in (attrgetter("used"), attrgetter("made")))
        return DOMINATED if self._dominated(used) or self._dominated(made) else None

    def _dominated(self, values: Sequence[Decimal | None]) -> bool:
        """By size, whatever the sign. A sum of nothing tells that everyone had nothing: it is dominated, too."""
        sizes = sorted((abs(Fraction(value)) for value in values if value is not None), reverse=True)
        return sum(sizes[: self.largest]) * 100 >= sum(sizes) * Fraction(self.percent)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmUse:
    """One firm in the period; `industry` is its code of GB/T 4754."""

    site: str
    industry: str | None
    used: Input
    made: Input

    @property
    def complete(self) -> bool:
        return self.used.value is not None and self.made.value is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """`value` in `unit` over `firms` firms; both None when it may not be told, for `reason`."""

    industry: str
    firms: int | None
    value: Decimal | None
    unit: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """`total` over all firms that told both; `incomplete` firms stand in no group."""

    groups: tuple[Group, ...]
    total: Group
    incomplete: int
    rule: Disclosure


def division(industry: str | None) -> str:
    """The division of GB/T 4754, two digits; never another length: coarser groups beside finer ones tell the rest."""
    code = industry or NO_INDUSTRY
    return code if len(code) < 2 or industry is None else code.lstrip("ABCDEFGHIJKLMNOPQRST")[:2]


def statistics(firms: Sequence[FirmUse], rule: Disclosure) -> Statistics:
    """By division of industry; all of `used` in one unit, and all of `made`."""
    told = [firm for firm in firms if firm.complete]
    by_industry: dict[str, list[FirmUse]] = {}
    for firm in told:
        by_industry.setdefault(division(firm.industry), []).append(firm)
    hidden = left_out(by_industry, rule)
    unit = f"{told[0].used.unit}/{told[0].made.unit}" if told else ""
    groups = tuple(
        _group(industry, found, hidden.get(industry), unit) for industry, found in sorted(by_industry.items())
    )
    return Statistics(
        groups=groups,
        total=_group("all", told, rule.hidden(told), unit),
        incomplete=len(firms) - len(told),
        rule=rule,
    )


def left_out(groups: Mapping[str, Sequence[FirmUse]], rule: Disclosure) -> dict[str, str]:
    """The groups that may not be told, and why; together they are safe, or they are all.

    To those that are not safe the smallest of the others are added, by their number of firms, until it is so.
    """
    hidden = {name: reason for name, found in groups.items() if (reason := rule.hidden(found)) is not None}
    rest = sorted((len(found), name) for name, found in groups.items() if name not in hidden)
    while hidden and rest and rule.hidden([firm for name in hidden for firm in groups[name]]) is not None:
        hidden[rest.pop(0)[1]] = COMPLEMENT
    return hidden


def _group(industry: str, found: Sequence[FirmUse], reason: str | None, unit: str) -> Group:
    used = sum((Fraction(firm.used.value) for firm in found if firm.used.value is not None), Fraction(0))
    made = sum((Fraction(firm.made.value) for firm in found if firm.made.value is not None), Fraction(0))
    if reason is None and made <= 0:
        reason = NOTHING_MADE
    if reason is not None:
        return Group(industry=industry, firms=None, value=None, unit=unit, reason=reason)
    return Group(industry=industry, firms=len(found), value=rounded(used / made), unit=unit)
