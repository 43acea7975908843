"""What the alarms watch, out of the results of the rules; a result that could not be had is a value not known."""

from decimal import Decimal
from fractions import Fraction

from centre.accounting.alarms import Measured
from centre.accounting.balance import Balance, Verdict
from centre.accounting.budget import Budget, Outturn
from centre.accounting.demand import Forecast
from centre.accounting.exact import rounded
from centre.accounting.leak import Leak, LeakState


def demand_forecast_percent(at: int, found: Forecast) -> Measured:
    """The demand the running period will have, in percent of the contract."""
    value = None if found.kw is None or not found.contract_kw else _percent(found.kw, found.contract_kw)
    return Measured(at=at, value=value, basis=found.reason or f"{found.kw} of {found.contract_kw} kW")


def unmetered_percent(at: int, found: Balance) -> Measured:
    """The unmetered share as far as it is beyond doubt: 0 within twice its uncertainty."""
    if found.unmetered is None or found.uncertainty is None or found.share_percent is None:
        return Measured(at=at, value=None, basis=found.reason or "nothing came in")
    sure = found.unmetered > 2 * found.uncertainty
    basis = f"{found.unmetered} unmetered, uncertainty {found.uncertainty}, {found.covered} of the period compared"
    return Measured(at=at, value=found.share_percent if sure else Decimal(0), basis=basis)


def meter_fault(at: int, found: Balance) -> Measured:
    """1 where sub-meters count more than came in, beyond doubt."""
    value = None if found.verdict is None else Decimal(found.verdict is Verdict.FAULT)
    basis = found.reason or f"{found.unmetered} unmetered, uncertainty {found.uncertainty}"
    return Measured(at=at, value=value, basis=basis)


def leak(at: int, found: Leak) -> Measured:
    """1 on a night judged a leak or a step."""
    value = None if found.state is None else Decimal(found.state in {LeakState.LEAK, LeakState.STEP})
    basis = found.reason or f"{found.flow} m3/h against {found.threshold}, {found.per_day:.1f} m3 a day"
    return Measured(at=at, value=value, basis=basis)


def budget_percent(at: int, budget: Budget, found: Outturn) -> Measured:
    """The forecast year end in percent of the budget."""
    total = sum(budget.plan, Decimal(0))
    value = None if found.year_end is None or not total else _percent(found.year_end, total)
    return Measured(at=at, value=value, basis=found.reason or f"{found.year_end} of {total} {budget.unit}")


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    return rounded(Fraction(part) / Fraction(whole) * 100, 4)
