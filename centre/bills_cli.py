"""The commands `wattline centre reconcile` and `wattline centre what-if`: a month's bill against another one."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from centre.accounting.basic_charge import Method
from centre.accounting.factor_choice import ReportDates
from centre.accounting.reconcile import Difference, Reconciliation, Side
from centre.accounting.stated_bill import load_stated
from centre.accounting.tariff_file import load_tariff
from centre.api_bills import otherwise
from centre.bills import Bills, Otherwise, Supposed
from centre.period import Period
from centre.report.cli import asked, parser_of
from centre.settings import load_setup
from centre.statements import Statements

_RECONCILE: Final = """\
Sets a supplier's bill against ours, line by line; keeps nothing (POST /api/v1/plants/SITE/bills/MONTH does).

  wattline centre reconcile centre.yaml jiangjin-1 2026-10 bill.csv

The CSV has the columns item,band,section,quantity,price,amount; band and section (the first day of a part of the month
that was billed by itself) may be empty, or be left out both; so may quantity and price be empty. Differences are theirs
less ours. Exit status: 0 all lines agree, 1 lines differ or there is no bill of ours.
"""
_WHAT_IF: Final = """\
What a month would have cost under another tariff or contract, or with load moved; changes nothing.

  wattline centre what-if centre.yaml jiangjin-1 2026-10 --tariff offer.yaml
  wattline centre what-if centre.yaml jiangjin-1 2026-10 --method contract_demand --contract-kw 900
  wattline centre what-if centre.yaml jiangjin-1 2026-10 --shift 20 --from peak --to valley

--shift PERCENT of a band's load is moved, each day by itself, evenly into the other band; reactive energy stays.
"""
_NONE: Final = "-"


def reconcile_command(argv: Sequence[str]) -> int:
    """`wattline centre reconcile`; raises ConfigError."""
    parser = parser_of("reconcile", _RECONCILE)
    parser.add_argument("bill", type=Path, metavar="BILL.csv")
    options = parser.parse_args(argv)
    setup, lines = load_setup(options.settings), load_stated(options.bill)

    async def make(service: Statements, period: Period, _dates: ReportDates) -> Reconciliation:
        return await Bills(statements=service).against(options.site, period.label, lines)

    found = asked(setup, options, make)
    if found is None:
        return 1
    print(f"{'item':<34}{'':10}{'quantity':>16}{'price':>12}{'amount':>16}  likely cause")
    for line in found.lines:
        print("\n".join(_rows(line)))
    print(f"{'total':<34}{'ours':<10}{_text(found.ours):>44}\n{'':34}{'theirs':<10}{_text(found.theirs):>44}")
    print(f"{'':34}{'difference':<10}{_text(found.total):>44}")
    differing = sum(line.match != "agrees" for line in found.lines)
    print("all lines agree" if found.agrees else f"{differing} of {len(found.lines)} lines differ")
    return 0 if found.agrees else 1


def _rows(line: Difference) -> list[str]:
    if line.cause is None:
        return [_row(line.item, "agree", line.theirs)]
    rows = [("ours", line.ours), ("theirs", line.theirs)]
    shown = [
        _row(line.item if place == 0 else "", name, side)
        for place, (name, side) in enumerate((name, side) for name, side in rows if side is not None)
    ]
    if line.ours is None or line.theirs is None:
        return [f"{shown[0]}  {line.cause} ({line.match})"]
    difference = Side(quantity=line.quantity, price=line.price, amount=line.amount)
    return [*shown, f"{_row('', 'difference', difference)}  {line.cause}"]


def _row(item: str, name: str, side: Side | None) -> str:
    values = (None, None, None) if side is None else (side.quantity, side.price, side.amount)
    quantity, price, amount = (_text(value) for value in values)
    return f"{item:<34}{name:<10}{quantity:>16}{price:>12}{amount:>16}"


def what_if_command(argv: Sequence[str]) -> int:
    """`wattline centre what-if`; raises ConfigError."""
    parser = parser_of("what-if", _WHAT_IF)
    parser.add_argument("--tariff", metavar="NAME|FILE.yaml", help="a shipped tariff, or a file")
    parser.add_argument("--method", choices=[method.value for method in Method], help="of the basic charge")
    parser.add_argument("--contract-kw", metavar="KW", help="contract demand")
    parser.add_argument("--capacity-kva", metavar="KVA", help="of the transformers")
    parser.add_argument("--shift", metavar="PERCENT", help="share of the load of a band that is moved")
    parser.add_argument("--from", metavar="BAND")
    parser.add_argument("--to", metavar="BAND")
    options = parser.parse_args(argv)
    setup = load_setup(options.settings)
    names = ("method", "contract_kw", "capacity_kva", "shift", "from", "to")
    told: dict[str, str] = {name: value for name in names if (value := getattr(options, name)) is not None}
    named: str = options.tariff or ""
    tariff = load_tariff(Path(named)) if named.endswith(".yaml") else None
    if named and tariff is None:
        told["tariff"] = named

    async def make(service: Statements, period: Period, _dates: ReportDates) -> Supposed:
        supposed: Otherwise = otherwise(told, tariff)
        return await Bills(statements=service).what_if(options.site, period.label, supposed)

    found = asked(setup, options, make)
    if found is None:
        return 1
    made = found.result
    print(f"{'item':<34}{'as it is':>16}{'otherwise':>16}{'difference':>16}")
    for line in made.lines:
        print(f"{line.item:<34}{_text(line.base):>16}{_text(line.other):>16}{_text(line.difference):>16}")
    difference = None if made.saving is None else -made.saving
    print(f"{'total':<34}{_text(made.base.total):>16}{_text(made.other.total):>16}{_text(difference):>16}")
    if found.moved_kwh:
        print(f"moved: {found.moved_kwh:f} kWh")
    return 0


def _text(value: Decimal | None) -> str:
    return _NONE if value is None else f"{value:f}"
