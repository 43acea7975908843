"""Manual data for tests: the small plant of centre_plant, its books, and files to import."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from centre.accounting.factors import load_factors
from centre.books.file import Books
from centre.manual import Manual
from centre.manual_columns import Known
from support.centre_plant import PLANT
from wattline.clock import NS, SystemClock
from wattline.resources import config_dir

NOW = 1_795_104_000 * NS  # 2026-11-20 00:00 in Shanghai
FACTORS = load_factors(config_dir() / "factors.csv")
KNOWN = Known(plants={PLANT.site: PLANT}, fuels={"diesel": ("t", "kg"), "raw_coal": ("t", "kg")}, now=NOW)

PRODUCTION = b"""\
site,node,month,product,batch,produced,unit
works,line-1,2026-10,gear,B1,120.50,t
works,line-1,2026-10,gear,B2,80,t
works,line-2,2026-10,shaft,,33,pcs
"""

BATCH_TOPIC = "wattline/v1/works/mes-1/production"
BATCH: dict[str, Any] = {
    "batch": "B17", "product": "gear", "node": "line-1", "quantity": 120.50, "unit": "t",
    "from": "2026-10-31T20:00:00+08:00", "to": "2026-11-01T00:00:00+08:00",
}  # fmt: skip


def batch_payload(**fields: Any) -> bytes:
    """A batch as a line publishes it; a field of None is left out."""
    return json.dumps({name: value for name, value in (BATCH | fields).items() if value is not None}).encode()


@dataclass(slots=True)
class Fixed(SystemClock):
    """A wall clock that stands at `at` until it is set."""

    at: int = NOW

    def now_ns(self) -> int:
        return self.at


def with_manual(folder: Path, work: Callable[[Manual], Awaitable[object]]) -> None:
    """Run `work` on the books in `folder`."""

    async def main() -> None:
        clock = Fixed()
        async with Books(folder / "books.db", clock, inline=True) as books:
            await work(Manual(books=books, clock=clock, plants={PLANT.site: PLANT}, factors=FACTORS))

    asyncio.run(main())
