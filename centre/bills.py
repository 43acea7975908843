"""The electricity bill of a month at work: set against what the supplier billed, and made as it might have been."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from centre.accounting.basic_charge import Contract, Method
from centre.accounting.bill import Bill, Usage
from centre.accounting.billing import bill
from centre.accounting.demand import DemandKind
from centre.accounting.reconcile import Reconciliation, reconcile
from centre.accounting.stated_bill import Stated
from centre.accounting.tariff import Tariff
from centre.accounting.what_if import Shift, WhatIf, shifted, what_if
from centre.books import stated_bills
from centre.books.file import Books
from centre.books.stated_bills import StatedBill
from centre.errors import BadQuestion, FigureError
from centre.period import Period
from centre.statements import Statements

_NEEDS: Final = {Method.CAPACITY: "capacity_kva", Method.CONTRACT: "contract_kw"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Otherwise:
    """What is supposed; None: as it is. What of the contract is told holds for the whole month."""

    tariff: Tariff | None = None
    method: Method | None = None
    capacity_kva: Decimal | None = None
    contract_kw: Decimal | None = None
    shift: Shift | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposed:
    """Both bills, item by item, and how many kWh were moved."""

    result: WhatIf
    moved_kwh: Decimal


@dataclass(slots=True, kw_only=True)
class Bills:
    """What can be asked about the bill of a month. Methods raise FigureError or StoreError."""

    statements: Statements

    async def state(
        self, site: str, month: str, lines: Sequence[Stated], *, author: str, reason: str
    ) -> tuple[StatedBill, Reconciliation]:
        """Keep the supplier's bill in the books, and set ours against it; a closed month may have one too.

        One of a month without a bill of ours is not kept.
        """
        period, at = self._month(site, month), self.statements.clock.now_ns()
        found = await self.against(site, month, lines)
        kept = await self._books().change(
            author,
            reason,
            lambda to: stated_bills.state(to, site, period.label, lines, at=at, author=author, reason=reason),
        )
        return kept, found

    async def stated(self, site: str, month: str) -> StatedBill | None:
        """The supplier's bill of a month, as it was given in last."""
        label = self._month(site, month).label
        return await self._books().read(lambda of: stated_bills.newest(of, site, label))

    async def reconciled(self, site: str, month: str) -> tuple[StatedBill, Reconciliation]:
        """The supplier's bill that was given in, with ours set against it as it is now."""
        found = await self.stated(site, month)
        if found is None:
            raise FigureError("no_stated_bill", f"no supplier's bill of {month} was given in for {site}", 404)
        return found, await self.against(site, month, found.lines)

    async def against(self, site: str, month: str, lines: Sequence[Stated]) -> Reconciliation:
        """Ours set against some lines; keeps nothing."""
        usage, tariff = await self._usage(site, month)
        return reconcile(self._bill(site, usage, tariff), lines)

    async def what_if(self, site: str, month: str, supposed: Otherwise) -> Supposed:
        """The bill of a month as it is and as it would be; changes nothing."""
        usage, tariff = await self._usage(site, month)
        base, other = self._bill(site, usage, tariff), supposed.tariff or tariff
        changed, moved = _contracted(usage, supposed), Decimal(0)
        if supposed.shift is not None:
            bands = {band for version in other.versions for item in version.items for band in item.prices}
            for band in (supposed.shift.source, supposed.shift.target):
                if band not in bands:
                    raise BadQuestion(f"there is no band {band[:40]!r} in {other.id}: {', '.join(sorted(bands))}")
            changed, moved = shifted(changed, other, supposed.shift)
        return Supposed(result=what_if(base, self._bill(site, changed, other)), moved_kwh=moved)

    def _bill(self, site: str, usage: Usage, tariff: Tariff) -> Bill:
        return bill(usage, tariff, self.statements.rules[site].power_factors)

    async def _usage(self, site: str, month: str) -> tuple[Usage, Tariff]:
        period = self._month(site, month)
        tariff = self.statements.rules[site].terms.tariff
        if tariff is None:
            raise FigureError("no_tariff", f"no tariff is set for {site}", 404)
        usage = await self.statements.usage(site, period)
        if usage is None:
            raise FigureError("no_energy", f"nothing is known of what {site} bought in {month}", 404)
        return usage, tariff

    def _month(self, site: str, text: str) -> Period:
        found = self.statements.period(site, text)
        if found.month is None:
            raise BadQuestion("a bill is that of a month such as 2026-10")
        return found

    def _books(self) -> Books:
        if self.statements.books is None:
            raise FigureError("no_books", "there are no books beside this store", 404)
        return self.statements.books.books


def _contracted(usage: Usage, supposed: Otherwise) -> Usage:
    """The usage under what is supposed of the contract."""
    if supposed.method is None and supposed.capacity_kva is None and supposed.contract_kw is None:
        return usage
    return replace(
        usage,
        contract=_contract(usage.contract, supposed),
        sections=tuple(replace(section, contract=_contract(section.contract, supposed)) for section in usage.sections),
    )


def _contract(found: Contract | None, supposed: Otherwise) -> Contract:
    method = supposed.method or (None if found is None else found.method)
    if method is None:
        raise BadQuestion(f"there is no contract: tell its method, one of {', '.join(Method)}")
    made = Contract(
        method=method,
        capacity_kva=supposed.capacity_kva or (None if found is None else found.capacity_kva),
        contract_kw=supposed.contract_kw or (None if found is None else found.contract_kw),
        demand=DemandKind.FIXED if found is None else found.demand,
    )
    needed = _NEEDS.get(method)
    if needed is not None and getattr(made, needed) is None:
        raise BadQuestion(f"{method} needs {needed}")
    for name in _NEEDS.values():
        if getattr(supposed, name) is not None and needed != name:
            raise BadQuestion(f"{name} does not count by {method}: tell the method too")
    return made
