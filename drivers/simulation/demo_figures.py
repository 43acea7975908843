"""What the centre of a demo says, asked over its HTTP API: totals for the live line, figures for the final check."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from wattline.clock import NS

_TIMEOUT_S: Final = 5.0


class CentreSilent(Exception):
    """The centre gave no answer, or not the one expected; the message says to what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """For the line: readings stored so far, power of the plant (W), kg CO2 today."""

    stored: int
    power_w: float | None
    co2_kg: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The gateway's word against the store's."""

    stopped: bool  # the gateway has said good-bye, so that its counters are final
    acquired: int
    dropped: int
    stored: int
    ledger_pending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterCount:
    """What one meter counted from its first to its last reading, kWh or m3; `quantity` None: no figure."""

    device: str
    point: str
    carrier: str
    flow: str
    boundary: bool  # of the whole plant
    quantity: Decimal | None
    first_ns: int
    last_ns: int
    last_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierCount:
    """What the whole plant used of a carrier; CO2 with the factor the centre states (None: it states none)."""

    carrier: str
    unit: str
    quantity: Decimal | None
    co2_kg: Decimal | None
    factor: Decimal | None
    factor_unit: str


class Centre:
    """The API at `address` (http://HOST:PORT) for one plant."""

    def __init__(self, address: str, site: str) -> None:
        self._address = address.rstrip("/")
        self._plant = f"/plants/{quote(site)}"
        self._site = site

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at /api/v1`path`; raises CentreSilent."""
        url = f"{self._address}/api/v1{path}"
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as reply:  # noqa: S310 - our own loopback address
                answer: dict[str, Any] = json.load(reply)
        except urllib.error.HTTPError as err:
            with err:
                raise CentreSilent(f"{url}: {err.code} {err.read(500).decode(errors='replace')}") from err
        except (OSError, ValueError) as err:
            raise CentreSilent(f"{url}: {err}") from err
        return answer

    def is_ready(self) -> bool:
        """True when it answers and is connected to the broker."""
        try:
            return self.get("/healthz").get("broker") == "connected"
        except CentreSilent:
            return False

    def stored(self) -> int:
        return int(self.get("/totals")["readings"])

    def live(self) -> Live:
        tree, live, energy = self._tree(), self.get(f"{self._plant}/live"), self.get(f"{self._plant}/energy")
        carriers = energy["nodes"][tree["id"]]["carriers"]
        return Live(
            stored=self.stored(),
            power_w=live["nodes"][tree["id"]]["power_w"],
            co2_kg=sum((Decimal(c["co2_kg"]) for c in carriers if c["co2_kg"] and c["scope"] in {1, 2}), Decimal(0)),
        )

    def delivery(self) -> Delivery:
        totals, gateways = self.get("/totals"), self.get("/gateways")["gateways"]
        counters: list[Mapping[str, int]] = [gateway.get("counters") or {} for gateway in gateways]
        return Delivery(
            stopped=bool(gateways) and all(gateway["state"] == "stopped" for gateway in gateways),
            acquired=sum(each.get("acquired", 0) for each in counters),
            dropped=sum(each.get("dropped", 0) for each in counters),
            stored=int(totals["readings"]),
            ledger_pending=int(totals["ledger_pending"]),
        )

    def counts(self, from_ns: int, to_ns: int) -> tuple[list[CarrierCount], list[MeterCount]]:
        """The accounted figures of all days there are readings of, added up (a demo may run over midnight).

        All readings must lie between `from_ns` and `to_ns`.
        """
        tree = self._tree()
        registers = {
            (each["device"], each["point"]): each
            for each in self.get(f"{self._plant}/registers?from={from_ns}&to={to_ns}")["registers"]
        }
        firsts = [each["first"]["at_ns"] for each in registers.values()]
        lasts = [each["last"]["at_ns"] for each in registers.values()]
        if not firsts:
            raise CentreSilent("the centre has no register reading at all")
        zone = ZoneInfo(self.get(self._plant + "/tree")["zone"])
        days = [self.get(f"{self._plant}/energy?day={day}") for day in _days(min(firsts), max(lasts), zone)]
        boundary = {(meter["device"], meter["carrier"], meter["flow"]) for meter in tree["meters"]}
        carriers = [
            _carrier([c for day in days for c in day["nodes"][tree["id"]]["carriers"] if c["carrier"] == name])
            for name in dict.fromkeys(c["carrier"] for day in days for c in day["nodes"][tree["id"]]["carriers"])
        ]
        meters: list[MeterCount] = []
        keys = dict.fromkeys((m["device"], m["carrier"], m["flow"]) for day in days for m in day["meters"])
        for key in keys:
            figures = [m for day in days for m in day["meters"] if (m["device"], m["carrier"], m["flow"]) == key]
            register = registers.get((key[0], figures[-1]["point"]))
            meters.append(
                MeterCount(
                    device=key[0],
                    point=figures[-1]["point"] or "",
                    carrier=key[1],
                    flow=key[2],
                    boundary=key in boundary,
                    quantity=_sum([m["quantity"] for m in figures]),
                    first_ns=register["first"]["at_ns"] if register else 0,
                    last_ns=register["last"]["at_ns"] if register else 0,
                    last_value=float(register["last"]["value"]) if register else 0.0,
                )
            )
        return carriers, meters

    def _tree(self) -> dict[str, Any]:
        tree: dict[str, Any] = self.get(f"{self._plant}/tree")["tree"]
        return tree


def _carrier(figures: list[dict[str, Any]]) -> CarrierCount:
    factor = next((f["factor"] for f in reversed(figures) if f["factor"]), None)
    return CarrierCount(
        carrier=figures[0]["carrier"],
        unit=figures[0]["unit"],
        quantity=_sum([f["quantity"] for f in figures]),
        co2_kg=_sum([f["co2_kg"] for f in figures]),
        factor=Decimal(factor["value"]) if factor else None,
        factor_unit=factor["value_unit"] if factor else "",
    )


def _sum(texts: list[str | None]) -> Decimal | None:
    known = [Decimal(text) for text in texts if text is not None]
    return sum(known, Decimal(0)) if known else None


def _days(first_ns: int, last_ns: int, zone: ZoneInfo) -> list[date]:
    first, last = (datetime.fromtimestamp(at // NS, zone).date() for at in (first_ns, last_ns))
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
