"""The settings of the simulated plant as files: its tree and swaps, a tariff that changes, a factor that is published."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from centre.accounting.registers import Replacement
from centre.settings import Setup, load_setup
from support.plant_year import Year
from support.plant_year_meters import TREE, ZONE
from support.plant_year_registers import Register
from wattline.clock import NS
from wattline.resources import config_dir

SITE: Final = "works"
OLD_GRID: Final = "0.5581"
NEW_GRID: Final = "0.5417"
BANDS: Final = {0: "valley", 480: "flat", 660: "peak", 1020: "flat", 1200: "peak", 1320: "flat"}
PRICES: Final = (
    {"peak": "0.8512", "flat": "0.5320", "valley": "0.2022"},
    {"peak": "0.9127", "flat": "0.5604", "valley": "0.1938"},
)


def middle(year: Year) -> date:
    """The tariff changes and the factor is published then."""
    return year.size.first + timedelta(days=year.size.days // 2)


def setup(year: Year, found: Sequence[Register], folder: Path) -> Setup:
    """Write the files to `folder` and load them through the centre's own door."""
    table = (config_dir() / "factors.csv").read_text(encoding="utf-8")
    row = f"electricity,kWh,grid_co2_factor_average,{NEW_GRID},kgCO2/kWh,CN-Chongqing,2024-01-01,2024-12-31"
    (folder / "factors.csv").write_text(f"{table}{row},{middle(year)},grid,invented,yes\n", encoding="utf-8")
    (folder / "tariff.yaml").write_text(json.dumps(_tariff(year)), encoding="utf-8")
    plant = {
        "site": SITE, "name": _name("works"), "zone": ZONE.key, "region": "CN-Chongqing", "tariff": "tariff.yaml",
        "contract": {"method": "contract_demand", "contract_kw": 2500, "capacity_kva": 3150},
        "tree": _node("plant", found),
    }  # fmt: skip
    centre = {
        "broker": {"url": "mqtt://127.0.0.1:1883"}, "store": {"sqlite": "centre.db"}, "factors": "factors.csv",
        "plants": [plant],
    }  # fmt: skip
    (folder / "centre.yaml").write_text(json.dumps(centre), encoding="utf-8")
    return load_setup(folder / "centre.yaml")


def _name(text: str) -> dict[str, str]:
    return {"en": text, "zh": text}


def _node(name: str, found: Sequence[Register]) -> dict[str, Any]:
    children = [_node(child, found) for child in TREE.get(name, ())]
    own = [_meter(register) for register in found if register.spec.node == name]
    return {"id": name, "name": _name(name), "meters": own, "children": children}


def _meter(register: Register) -> dict[str, Any]:
    spec = register.spec
    return {
        "device": spec.device, "carrier": spec.carrier.value, "flow": spec.flow.value, "limit": spec.peak * 16 // 10_000,
        "replaced": [_swap(change) for change in register.replaced()],
    }  # fmt: skip


def _swap(change: Replacement) -> dict[str, Any]:
    at = datetime.fromtimestamp(change.at // NS, UTC).isoformat()
    return {"at": at, "final": float(change.final), "initial": float(change.initial), "factor": int(change.factor)}


def _tariff(year: Year) -> dict[str, Any]:
    bands = {f"{minute // 60:02}:{minute % 60:02}": band for minute, band in BANDS.items()}
    versions = [
        {
            "valid_from": str(day), "source": "invented", "confirmed": True, "schedules": [{"bands": bands}],
            "items": {"energy": {"name": _name("energy"), "prices": {band: float(text) for band, text in prices.items()}}},
            "basic": {
                "per_kva": 22.6, "per_kw": 36.1, "tolerance": 1.05, "excess_factor": 2, "excess_base": "contract",
                "floor_share": 0.4,
            },
        }
        for day, prices in zip((date(2025, 1, 1), middle(year)), PRICES, strict=True)
    ]  # fmt: skip
    return {
        "id": "invented", "name": _name("invented"), "currency": "CNY",
        "calendar": {"weekend": [6, 7], "holidays": [], "workdays": [], "critical": []}, "versions": versions,
    }  # fmt: skip
