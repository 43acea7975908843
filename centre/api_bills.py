"""API of bills: give in what the supplier billed, see it line by line against ours, ask what would be otherwise."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

from pydantic import Field, StrictInt, StrictStr
from starlette.requests import Request
from starlette.routing import BaseRoute

from centre.accounting.basic_charge import Method
from centre.accounting.file_types import Day
from centre.accounting.reconcile import Reconciliation
from centre.accounting.stated_bill import Stated, stated_of, stated_rows
from centre.accounting.tariff import Tariff
from centre.accounting.tariff_file import load_tariff
from centre.accounting.what_if import Shift
from centre.api_door import Said, api_routes, asked, body
from centre.bills import Bills, Otherwise, Supposed
from centre.books.stated_bills import StatedBill
from centre.errors import BadQuestion, FigureError
from centre.json_views import plain
from centre.manual_csv import utf8
from wattline.errors import ConfigError
from wattline.resources import config_dir
from wattline.strict_yaml import Strict

_HUNDRED: Final = 100
_FINEST: Final = -9  # exponent
Number = StrictStr | StrictInt


class GivenLine(Strict):
    """A line of a supplier's bill; numbers as JSON numbers or text."""

    item: str
    band: str = ""
    section: Day | None = None
    quantity: Number | None = None
    price: Number | None = None
    amount: Number


class GivenBill(Said):
    """A supplier's bill."""

    lines: Annotated[list[GivenLine], Field(min_length=1, max_length=1000)]


def routes(bills: Bills) -> list[BaseRoute]:
    """The routes; only the POST changes something."""
    api = _Api(bills)
    return api_routes(
        {
            ("GET", "/plants/{site}/bills/{month}"): api.reconciled,
            ("POST", "/plants/{site}/bills/{month}"): api.state,
            ("GET", "/plants/{site}/bills/{month}/what-if"): api.what_if,
        }
    )


class _Api:
    def __init__(self, bills: Bills) -> None:
        self._bills = bills

    async def reconciled(self, request: Request) -> object:
        return reconciled_view(*await self._bills.reconciled(*_place(request)))

    async def state(self, request: Request) -> object:
        """JSON, or the CSV file as the body (text/csv) with `author` and `reason` in the query."""
        try:
            if request.headers.get("content-type", "").startswith("text/csv"):
                text = utf8(await body(request, "text/csv"), "bill")
                lines = stated_of(text.splitlines(keepends=True), "bill")
                said = Said(
                    author=request.query_params.get("author", ""), reason=request.query_params.get("reason", "")
                )
            else:
                told = await asked(request, GivenBill)
                lines, said = _lines(told), told
        except ConfigError as err:
            raise FigureError("invalid_rows", str(err), 400) from None
        found = await self._bills.state(*_place(request), lines, author=said.author, reason=said.reason)
        return reconciled_view(*found)

    async def what_if(self, request: Request) -> object:
        """`tariff` (a shipped one), `method`, `capacity_kva`, `contract_kw`, `shift` (percent) with `from` and `to`."""
        site, month = _place(request)
        return supposed_view(site, month, await self._bills.what_if(site, month, otherwise(request.query_params)))


def otherwise(told: Mapping[str, str], tariff: Tariff | None = None) -> Otherwise:
    """What is supposed, of its texts; raises BadQuestion."""
    names = ("tariff", "method", "capacity_kva", "contract_kw", "shift", "from", "to")
    if not told.keys() <= set(names) or not (told or tariff):
        raise BadQuestion(f"say what would be otherwise: {', '.join(names)}")
    percent = _number(told, "shift", most=_HUNDRED)
    if any((name in told) != (percent is not None) for name in ("from", "to")):
        raise BadQuestion("shift (percent of a band), from and to (bands) stand together")
    if told.get("method", Method.ACTUAL) not in set(Method):
        raise BadQuestion(f"method must be one of {', '.join(Method)}")
    return Otherwise(
        tariff=shipped(told["tariff"]) if "tariff" in told else tariff,
        method=Method(told["method"]) if "method" in told else None,
        capacity_kva=_number(told, "capacity_kva"),
        contract_kw=_number(told, "contract_kw"),
        shift=None if percent is None else Shift(share=percent / _HUNDRED, source=told["from"], target=told["to"]),
    )


def shipped(name: str) -> Tariff:
    """One of the tariffs in config/tariffs; raises BadQuestion."""
    known = {file.stem: file for file in (config_dir() / "tariffs").glob("*.yaml")}
    if name not in known:
        raise BadQuestion(f"there is no tariff {name[:40]!r}; shipped are: {', '.join(sorted(known))}")
    return load_tariff(known[name])


def reconciled_view(stated: StatedBill, found: Reconciliation) -> dict[str, Any]:
    """A supplier's bill as JSON shows it: `difference` is theirs less ours."""
    return {
        "site": stated.site,
        "month": stated.month,
        "version": stated.version,
        "author": stated.author,
        "reason": stated.reason,
        "at_ns": stated.at,
        "agrees": found.agrees,
        "ours": plain(found.ours),
        "theirs": plain(found.theirs),
        "difference": plain(found.total),
        "lines": [
            {
                "item": line.item,
                "match": line.match.value,
                "cause": plain(line.cause),
                "ours": plain(line.ours),
                "theirs": plain(line.theirs),
                "difference": plain({"quantity": line.quantity, "price": line.price, "amount": line.amount}),
            }
            for line in found.lines
        ],
    }


def supposed_view(site: str, month: str, found: Supposed) -> dict[str, Any]:
    """A what-if as JSON shows it: `difference` is the other bill less ours."""
    made = found.result
    return {
        "site": site,
        "month": month,
        "tariffs": [made.base.tariff, made.other.tariff],
        "confirmed": made.base.confirmed and made.other.confirmed,
        "missing_ns": made.base.missing_ns,
        "moved_kwh": plain(found.moved_kwh),
        "base": plain(made.base.total),
        "other": plain(made.other.total),
        "difference": None if made.saving is None else plain(-made.saving),
        "lines": plain(made.lines),
    }


def _place(request: Request) -> tuple[str, str]:
    site: str = request.path_params["site"]
    month: str = request.path_params["month"]
    return site, month


def _lines(told: GivenBill) -> tuple[Stated, ...]:
    rows = [
        (
            f"lines.{number}",
            {name: "" if value is None else str(value) for name, value in line.model_dump().items()},
        )
        for number, line in enumerate(told.lines)
    ]
    return stated_rows(rows, "lines")


def _number(told: Mapping[str, str], name: str, most: int = 10**9) -> Decimal | None:
    if name not in told:
        return None
    try:
        value = Decimal(told[name])
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or not 0 < value <= most or int(value.as_tuple().exponent) < _FINEST:
        raise BadQuestion(f"{name} must be a number above 0, at most {most}")
    return value
