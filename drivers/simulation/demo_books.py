"""What the books of a demo say: carbon and cost with the verdict on their traces, balances, and the alarms raised."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from drivers.simulation.demo_figures import Centre
from wattline.clock import NS

_FIGURES: Final = {
    "carbon, scope 1": "scope1",
    "carbon, scope 2 by location": "scope2/location",
    "carbon, scope 2 by market": "scope2/market",
    "cost of electricity": "cost",
}
_REASONS: Final = {
    "no_common_interval": "verdict with the first whole quarter of an hour",
    "cannot_tell_yet": "cannot tell yet",
}
ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookFigure:
    """A figure of the month; `adds_up`: all its `steps` follow from factor rows, prices and register readings."""

    name: str
    value: Decimal | None
    unit: str
    adds_up: bool
    steps: int
    unverified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BookBalance:
    """A part of the plant with meters of its own and below; `verdict` None: not yet, with a reason.

    `running`: over how many seconds the balance is provisional, with the band in which the loss lies.
    """

    name: str
    carrier: str
    counted: Decimal
    below: Decimal
    unit: str
    verdict: str | None
    reason: str | None
    running: tuple[int, Decimal, Decimal] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookPage:
    """All of it; `alarms` as sentences."""

    month: str
    figures: tuple[BookFigure, ...]
    balances: tuple[BookBalance, ...]
    alarms: tuple[str, ...]

    @property
    def failures(self) -> list[str]:
        """Figures that do not follow from their parts."""
        return [f"{figure.name} does not add up" for figure in self.figures if not figure.adds_up]


def read_books(centre: Centre, site: str, now_ns: int) -> BookPage:
    """The books of the running month; raises CentreSilent."""
    told = centre.get(f"/plants/{site}/tree")
    month = f"{datetime.fromtimestamp(now_ns // NS, ZoneInfo(told['zone'])):%Y-%m}"
    tables = centre.get(f"/reports/{site}/{month}/statement")["tables"]
    example = any(line["confirmed"] == "no" for line in tables["bill"])
    return BookPage(
        month=month,
        figures=tuple(
            _figure(name, centre.get(f"/why/{site}/{month}/{figure}"), tariff=example and figure == "cost")
            for name, figure in _FIGURES.items()
        ),
        balances=tuple(
            balance_of(row, tables["quantities"], told["tree"], tables.get("running_balances", ()))
            for row in tables["balances"]
        ),
        alarms=tuple(
            f"{alarm['title']['en']} ({alarm['state']}): {alarm['text']['en']}"
            for alarm in centre.get(f"/plants/{site}/alarms")["alarms"]
        ),
    )


def _figure(name: str, told: dict[str, Any], *, tariff: bool) -> BookFigure:
    step = told["steps"][told["figure"]]
    rows = [below["factor"] for below in told["steps"].values() if below["factor"]]
    return BookFigure(
        name=name,
        value=None if step["value"] is None else Decimal(step["value"]),
        unit=step["unit"],
        adds_up=told["adds_up"],
        steps=len(told["steps"]),
        unverified=tariff or any(not row["confirmed"] for row in rows),
    )


def balance_of(
    row: dict[str, Any], quantities: list[dict[str, Any]], tree: dict[str, Any], running: Sequence[dict[str, Any]]
) -> BookBalance:
    """The verdict of the books, provisional before the first whole quarter, and beside it what was counted so far."""
    net = {line["node"]: Decimal(line["net"] or 0) for line in quantities if line["carrier"] == row["carrier"]}
    found = next((one for one in running if (one["node"], one["carrier"]) == (row["node"], row["carrier"])), None)
    said = row if found is None else found
    counted, below = net[row["node"]], sum((net.get(child, ZERO) for child in _children(tree, row["node"])), ZERO)
    band = None
    if found is not None and found["band_low"] is not None:
        start, end = (datetime.fromisoformat(found[side]) for side in ("from", "to"))
        band = (round((end - start).total_seconds()), Decimal(found["band_low"]), Decimal(found["band_high"]))
        counted, below = Decimal(found["available"]), Decimal(found["available"]) - Decimal(found["unmetered"])
    return BookBalance(
        name=row["name"]["en"],
        carrier=row["carrier"].removeprefix("carrier_"),
        counted=counted,
        below=below,
        unit=row["unit"],
        verdict=None if said["verdict"] is None else said["verdict"].removeprefix("verdict_"),
        reason=said["reason"],
        running=band,
    )


def _children(tree: dict[str, Any], node: str) -> list[str]:
    if tree["id"] == node:
        return [child["id"] for child in tree["children"]]
    return [found for child in tree["children"] for found in _children(child, node)]


def lines_of(page: BookPage) -> Sequence[tuple[str, str, str]]:
    """Rows of a table for people: what, how much, and what is to be said about it."""
    rows = [(f"books of {page.month}", "value", "note")]
    for figure in page.figures:
        value = "-" if figure.value is None else f"{figure.value:,.{2 if figure.unit == 'CNY' else 4}f} {figure.unit}"
        checked = f"adds up in {figure.steps} steps" if figure.adds_up else "DOES NOT ADD UP"
        rows.append((figure.name, value, f"{checked}{'; unverified rows' if figure.unverified else ''}"))
    for found in page.balances:
        left = found.counted - found.below
        verdict = found.verdict or _REASONS.get(found.reason or "", found.reason or "-")
        if found.running is not None:
            seconds, low, high = found.running
            verdict = f"{low:,.4f} to {high:,.4f} by the meters of {seconds} s; provisional: {verdict}"
        told = f"of {found.counted:,.4f} counted by no meter below; {verdict}"
        rows.append((f"balance of {found.name}, {found.carrier}", f"{left:,.4f} {found.unit}", told))
    rows += [("alarm", "", text) for text in page.alarms]
    return rows if page.alarms else [*rows, ("alarm", "", "none so far")]
