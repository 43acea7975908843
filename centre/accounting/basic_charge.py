"""The basic charge of a two-part tariff (rule F6): by capacity, by contract demand, or by the demand of the month."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from centre.accounting.demand import Demand, DemandKind
from centre.accounting.exact import rounded
from centre.accounting.tariff import BasicTerms, ExcessBase

NO_DEMAND: Final = "no_demand"
NO_CAPACITY: Final = "no_capacity"
NO_CONTRACT: Final = "no_contract"


class Method(StrEnum):
    """What the customer chose to pay by."""

    CAPACITY = "capacity"
    CONTRACT = "contract_demand"
    ACTUAL = "actual_demand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """`capacity_kva`: transformers and high-voltage motors. `demand`: how the demand is found that is billed."""

    method: Method
    capacity_kva: Decimal | None = None
    contract_kw: Decimal | None = None
    demand: DemandKind = DemandKind.FIXED


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCharge:
    """`quantity` (kVA or kW) at `price`, and `excess_kw` at `excess_price`; or the reason why there is no amount.

    `raised`: the contract lies below its floor and was charged as the floor.
    """

    method: Method
    quantity: Decimal | None
    price: Decimal
    excess_kw: Decimal
    excess_price: Decimal
    amount: Decimal | None
    raised: bool
    reason: str | None


def basic_charge(terms: BasicTerms, contract: Contract, demand: Demand | None) -> BasicCharge:
    """The charge of one month; the demand is the highest of that month."""
    if contract.method is Method.CAPACITY:
        return _simple(Method.CAPACITY, contract.capacity_kva, terms.per_kva, NO_CAPACITY)
    if contract.method is Method.ACTUAL:
        return _simple(Method.ACTUAL, None if demand is None else demand.kw, terms.per_kw, NO_DEMAND)
    if contract.contract_kw is None:
        return _simple(Method.CONTRACT, None, terms.per_kw, NO_CONTRACT)
    if demand is None:
        return _simple(Method.CONTRACT, None, terms.per_kw, NO_DEMAND)
    return _by_contract(terms, contract.contract_kw, contract.capacity_kva or Decimal(0), demand.kw)


def _by_contract(terms: BasicTerms, agreed: Decimal, capacity: Decimal, demand: Decimal) -> BasicCharge:
    contract = max(agreed, terms.floor_share * capacity)
    limit = contract * terms.tolerance
    excess = max(Decimal(0), demand - limit)
    base = limit if excess and terms.excess_base is ExcessBase.TOLERANCE else contract
    excess_price = terms.per_kw * terms.excess_factor
    amount = Fraction(base) * Fraction(terms.per_kw) + Fraction(excess) * Fraction(excess_price)
    return BasicCharge(
        method=Method.CONTRACT,
        quantity=base,
        price=terms.per_kw,
        excess_kw=excess,
        excess_price=excess_price,
        amount=rounded(amount),
        raised=contract > agreed,
        reason=None,
    )


def _simple(method: Method, quantity: Decimal | None, price: Decimal, reason: str) -> BasicCharge:
    return BasicCharge(
        method=method,
        quantity=quantity,
        price=price,
        excess_kw=Decimal(0),
        excess_price=price,
        amount=None if quantity is None else rounded(Fraction(quantity) * Fraction(price)),
        raised=False,
        reason=reason if quantity is None else None,
    )
