"""What the demo plant made in three days: products that share a node in every way there is, and batches that overlap."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from centre.books import entities as entity_rows
from centre.books.file import Books, Writing
from centre.entities import Entity, entities_of
from centre.manual import Manual
from centre.settings import Setup
from centre.statement_books import StatementBooks
from centre.statements import Statements
from support.books_plant import CLOCK, filled, setup, statements

SITE = "jiangjin-1"
T = TypeVar("T")

_PRODUCTION = """\
node,product,batch,begin,end,produced,unit,scrap,mass_kg,value_cny
workshop-1,gear,,,,10,t,,,
workshop-1,shaft,S1,,,12,t,,,
workshop-1,shaft,S2,,,8000,kg,,,
workshop-2,door,,,,100,pcs,2,500,1000
workshop-2,hood,,,,50,pcs,,700.5,9000
furnace,ingot,H1,2026-11-01T08:07:00+08:00,2026-11-01T11:52:30+08:00,5,t,1,,
furnace,ingot,H2,2026-11-01T10:00:00+08:00,2026-11-01T14:00:00+08:00,7,t,,,
furnace,ingot,H3,2026-11-01T14:00:00+08:00,2026-11-01T14:20:00+08:00,1,t,,,
compressor,fan,,,,3,pcs,,,10
compressor,nut,,,,4,pcs,,,30
press-1,cup,,,,2,pcs,,,
press-1,lid,,,,3,pcs,,,
"""
_DIESEL = {"node": "workshop-2", "fuel": "diesel", "stock_begin": "1", "purchased": "2", "sold": "0",
           "stock_end": "1", "unit": "t"}  # fmt: skip


def _tagged(entity: Entity) -> Entity:
    return replace(entity, products={"line-1": ("gear",), "line-2": ("shaft",)}.get(entity.id, ()))


async def _fill(books: Books, found: Setup) -> None:
    def work(connection: Writing) -> None:
        entity_rows.put(connection, entities_of(tuple(_tagged(entity) for entity in found.entities)), expected=None)

    await books.change("settings", "a test", work)
    manual = Manual(books=books, clock=CLOCK, plants={SITE: found.plants[0]}, factors=found.factors)
    header, *lines = _PRODUCTION.splitlines()
    production: list[dict[str, str]] = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    forms: dict[str, list[dict[str, str]]] = {"production": production, "fuel": [_DIESEL]}
    for form, rows in forms.items():
        told = [{"site": SITE, "month": "2026-11", **row} for row in rows]
        row = await manual.take_rows(form, told, author="li", reason="a test")
        await manual.submit(row.id, author="li", reason="a test")
        await manual.approve(row.id, author="wang", reason="a test")


async def with_products(
    factory: pytest.TempPathFactory, folder: Path, work: Callable[[Statements], Awaitable[T]]
) -> T:  # fmt: skip
    """What `work` gives, of the demo's statements with books that tell of products."""
    found = setup()
    async with await filled(factory) as store, Books(folder / "books.db", CLOCK, inline=True) as books:
        await _fill(books, found)
        service = statements(store, found)
        service.books = StatementBooks(books=books)
        return await work(service)
