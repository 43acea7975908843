"""Unit consumption by industry, so that no firm can be recognised: groups of at least k firms, else the reason. Pure.

Groups of one request are apart from each other, and their total stands beside them: a single group left out could be
had as the difference. So what is left out together has at least k firms too, or nothing is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting.terms import Input, rounded

TOO_FEW: Final = "too_few_firms"
COMPLEMENT: Final = "would_tell_another_group_by_the_difference"
NOTHING_MADE: Final = "no_output"
NO_INDUSTRY: Final = "none"


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
    smallest: int


def division(industry: str | None) -> str:
    """The division of GB/T 4754, two digits; never another length: coarser groups beside finer ones tell the rest."""
    code = industry or NO_INDUSTRY
    return code if len(code) < 2 or industry is None else code.lstrip("ABCDEFGHIJKLMNOPQRST")[:2]


def statistics(firms: Sequence[FirmUse], *, smallest: int) -> Statistics:
    """By division of industry; all of `used` in one unit, and all of `made`."""
    told = [firm for firm in firms if firm.complete]
    by_industry: dict[str, list[FirmUse]] = {}
    for firm in told:
        by_industry.setdefault(division(firm.industry), []).append(firm)
    hidden = left_out({industry: len(found) for industry, found in by_industry.items()}, smallest)
    unit = f"{told[0].used.unit}/{told[0].made.unit}" if told else ""
    groups = tuple(
        _group(industry, found, hidden.get(industry), unit) for industry, found in sorted(by_industry.items())
    )
    return Statistics(
        groups=groups,
        total=_group("all", told, TOO_FEW if len(told) < smallest else None, unit),
        incomplete=len(firms) - len(told),
        smallest=smallest,
    )


def left_out(sizes: Mapping[str, int], smallest: int) -> dict[str, str]:
    """The groups that may not be told, and why; together they have at least `smallest` firms, or they are all."""
    hidden = {name: TOO_FEW for name, size in sizes.items() if size < smallest}
    rest = sorted((size, name) for name, size in sizes.items() if name not in hidden)
    while hidden and rest and sum(sizes[name] for name in hidden) < smallest:
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
