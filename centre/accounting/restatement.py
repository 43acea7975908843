"""A figure as it was reported beside the same figure with what is known now: both totals, and which rows changed."""

from dataclasses import dataclass
from decimal import Decimal

from centre.accounting.factors import FactorRow
from centre.accounting.terms import Total


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One line whose rows are others now."""

    label: str
    before: tuple[FactorRow, ...]
    after: tuple[FactorRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restatement:
    """Neither total replaces the other; `difference` is restated - original, None where one of them is missing."""

    original: Total
    restated: Total
    difference: Decimal | None
    changed: tuple[Changed, ...]


def compare(original: Total, restated: Total) -> Restatement:
    """Both totals of the same activities; ValueError where their lines or units are not the same."""
    if [part.label for part in original.terms] != [part.label for part in restated.terms]:
        raise ValueError("these totals are not made of the same lines")
    if original.unit != restated.unit:
        raise ValueError(f"one total is in {original.unit}, the other in {restated.unit}")
    both = (original.value, restated.value)
    changed: list[Changed] = []
    for old, new in zip(original.terms, restated.terms, strict=True):
        before, after = (tuple(choice.row for choice in part.choices if choice.row is not None) for part in (old, new))
        if before != after:
            changed.append(Changed(label=old.label, before=before, after=after))
    return Restatement(
        original=original,
        restated=restated,
        difference=None if both[0] is None or both[1] is None else both[1] - both[0],
        changed=tuple(changed),
    )
