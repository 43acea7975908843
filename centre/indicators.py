"""The indicators that alarms watch, out of accounted intervals and readings; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from centre.accounting import alarm_sources
from centre.accounting.alarms import Measured
from centre.accounting.balance import BalanceMeter, balance
from centre.accounting.budget import outturn
from centre.accounting.demand import forecast, sliding_forecast
from centre.accounting.exact import rounded
from centre.accounting.intervals import QUARTER_NS, Interval
from centre.accounting.leak import LeakRule, LeakState, Night, assess
from centre.accounting.management_file import Management
from centre.budgets import PlantBudget
from centre.carriers import Carrier
from centre.day import Place, place_of
from centre.plant import Plant
from centre.statement_balance import balanced
from wattline.clock import NS

DEMAND: Final = "demand_forecast_percent"
UNMETERED: Final = "unmetered_percent"
METER_FAULT: Final = "meter_fault"
LEAK: Final = "leak"
BUDGET: Final = "budget_percent"
CALIBRATION_LEFT: Final = "calibration_days_left"
CALIBRATION_OVER: Final = "calibration_days_over"
TOO_LITTLE_KNOWN: Final = "too_little_known"
NO_READING_YET: Final = "no_reading_in_this_period"
_DAY_QUARTERS: Final = 96
_KW_PLACES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What an indicator shows at a place: `node`, of a `carrier`, or of a `device` or `budget`."""

    indicator: str
    site: str
    measured: Measured
    node: str | None = None
    carrier: Carrier | None = None
    device: str | None = None
    budget: str | None = None

    @property
    def id(self) -> str:
        """Of the alarm, for ever."""
        place = [part for part in (self.node, self.carrier, self.device, self.budget) if part is not None]
        return "/".join((f"{self.indicator}:{self.site}", *place))


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """A billed meter in the running period: its interval so far, and its mean power of each of the last minutes, kW.

    The newest minute is the last; None: no reading in it.
    """

    interval: Interval | None
    minutes: Sequence[Decimal | None]


def demand_sign(plant: Plant, supplies: Sequence[Supply], *, until: int, now: int, contract_kw: Decimal) -> Sign:
    """The demand of the running 15 minutes, of which readings up to `until` are there.

    Where the beginning of the period is not known, its power is taken as that of the rest; the basis tells how much is.
    """
    start = now - now % QUARTER_NS
    elapsed = until - start
    energy, known = Fraction(0), Fraction(1)
    for supply in supplies:
        found = supply.interval
        if found is None or found.amount is None or not found.known_ns or elapsed < NS:
            measured = Measured(at=now, value=None, basis=NO_READING_YET)
            return Sign(indicator=DEMAND, site=plant.site, node=plant.tree.id, measured=measured)
        part = min(Fraction(found.known_ns, elapsed), Fraction(1))
        energy += Fraction(found.amount) / part
        known = min(known, part)
    result = forecast(
        energy_kwh=rounded(energy, _KW_PLACES),
        elapsed_s=elapsed // NS,
        powers_kw=_sums([supply.minutes for supply in supplies]),
        contract_kw=contract_kw,
    )
    measured = alarm_sources.demand_forecast_percent(now, result)
    basis = f"{measured.basis}; {rounded(known * 100, 0)} % of the period so far known"
    return Sign(
        indicator=DEMAND,
        site=plant.site,
        node=plant.tree.id,
        measured=Measured(at=now, value=measured.value, basis=basis if measured.value is not None else measured.basis),
    )


def sliding_demand_sign(
    plant: Plant, energies: Sequence[Decimal | None], powers: Sequence[Sequence[Decimal | None]], *, now: int,
    contract_kw: Decimal,
) -> Sign:  # fmt: skip
    """Where the contract is of any 15 minutes: what all meters counted in the last ones, and their power in each."""
    found = sliding_forecast(minutes=energies, powers_kw=_sums(powers), contract_kw=contract_kw)
    measured = alarm_sources.demand_forecast_percent(now, found)
    return Sign(indicator=DEMAND, site=plant.site, node=plant.tree.id, measured=measured)


def _sums(minutes: Sequence[Sequence[Decimal | None]]) -> list[Decimal]:
    """The power of all meters together in each minute; a minute that one of them lacks is left out."""
    sums: list[Decimal] = []
    for powers in zip(*minutes, strict=True):
        known = [power for power in powers if power is not None]
        if len(known) == len(powers):
            sums.append(sum(known, Decimal(0)))
    # without the newest minute the power of now is not known
    return sums if minutes and all(found[-1] is not None for found in minutes if found) else []


def balance_signs(
    plant: Plant, quarters: Mapping[Place, Sequence[Interval]], now: int, rules: Management
) -> list[Sign]:
    """Unmetered loss and meter fault of every balance of the tree, over the quarters given: those of the last day."""
    signs: list[Sign] = []
    for node in plant.tree.walk():
        for carrier in Carrier:
            roles = balanced(node, carrier)
            if not roles:
                continue
            meters = [
                BalanceMeter(
                    id=f"meter:{plant.site}/{meter.device}/{meter.flow}",
                    role=role,
                    accuracy=meter.accuracy or rules.accuracy[meter.carrier],
                    intervals=[part for part in quarters.get(place_of(meter), ()) if _whole(part)],
                )
                for meter, role in roles
            ]
            found = balance(meters, expected=_DAY_QUARTERS, limit_percent=rules.balance_limit_percent)
            both = {
                UNMETERED: alarm_sources.unmetered_percent(now, found),
                METER_FAULT: alarm_sources.meter_fault(now, found),
            }
            if found.reason is None and found.covered < rules.balance_least_covered:
                unknown = Measured(at=now, value=None, basis=f"{TOO_LITTLE_KNOWN}: {found.covered} of the day")
                both = dict.fromkeys(both, unknown)
            signs += [
                Sign(indicator=indicator, site=plant.site, node=node.id, carrier=carrier, measured=measured)
                for indicator, measured in both.items()
            ]
    return signs


def _whole(interval: Interval) -> bool:
    return interval.known_ns == interval.end - interval.start and not interval.open


def leak_sign(site: str, device: str, nights: Sequence[Night], now: int, rule: LeakRule) -> Sign:
    """Of the last night; nights judged leaks on the way are no measure of later ones."""
    judged: list[Night] = []
    found = None
    for night in nights:
        found = assess([*judged, night], rule)
        leaking = found.state in {LeakState.LEAK, LeakState.STEP}
        judged.append(
            Night(
                day=night.day,
                flow=night.flow,
                start=night.start,
                estimated=night.estimated,
                leaking=leaking,
                reason=night.reason,
            )
        )
    measured = Measured(at=now, value=None, basis="no_night") if found is None else alarm_sources.leak(now, found)
    return Sign(indicator=LEAK, site=site, device=device, measured=measured)


def calibration_signs(site: str, due: Mapping[str, date], today: date, now: int) -> list[Sign]:
    """How long the calibration of each meter still holds, and how long it has been over, by device."""
    signs: list[Sign] = []
    for device, day in sorted(due.items()):
        left = (day - today).days
        for indicator, days in ((CALIBRATION_LEFT, max(left, 0)), (CALIBRATION_OVER, max(-left, 0))):
            measured = Measured(at=now, value=Decimal(days), basis=f"due {day}")
            signs.append(Sign(indicator=indicator, site=site, device=device, measured=measured))
    return signs


def budget_sign(site: str, budget: PlantBudget, used: Mapping[int, Decimal], now: int) -> Sign:
    """The forecast of the year end."""
    measured = alarm_sources.budget_percent(now, budget.budget, outturn(budget.budget, used))
    return Sign(indicator=BUDGET, site=site, node=budget.node, budget=budget.budget.id, measured=measured)
