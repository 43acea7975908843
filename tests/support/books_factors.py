"""The shipped factor table and policies, as books of the tests choose from them."""

from datetime import date
from decimal import Decimal

from centre.accounting.factor_choice import FactorBook, ReportDates
from centre.accounting.factor_policies import load_policies
from centre.accounting.factors import load_factors
from centre.accounting.terms import Input
from wattline.resources import config_dir

TABLE = load_factors(config_dir() / "factors.csv")
POLICIES = load_policies(config_dir() / "factor_policies.yaml", TABLE)
DAY = date(2026, 3, 31)


def book(policy: str, *, made_on: date = DAY, run_on: date = DAY, region: str = "CN-Chongqing") -> FactorBook:
    """The shipped table under a named policy."""
    dates = ReportDates(made_on=made_on, run_on=run_on)
    return FactorBook(rows=TABLE, policy=POLICIES[policy].policy, dates=dates, region=region)


def given(value: str | Decimal | int | None, unit: str, name: str = "form/1") -> Input:
    """An input as a form or meter gives it."""
    return Input(id=name, value=None if value is None else Decimal(value), unit=unit)
