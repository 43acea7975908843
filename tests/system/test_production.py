"""Batches over a real mosquitto: acknowledged when they stand in the books, and none is lost while the centre is away."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from centre.accounting.calendar import Month
from centre.aside import Aside
from centre.batch_ingest import BatchIngest
from centre.books.file import Books, Writing
from centre.dead_letters import DeadLetters
from centre.manual import Manual
from centre.store.base import StoreError
from metering.topics import Topics
from support.books_manual import FACTORS
from support.centre_plant import PLANT
from support.mosquitto import Mosquitto
from wattline.cancellation import end
from wattline.clock import SystemClock
from wattline.events import EventLog
from wattline.mqtt import Address, PahoBroker

pytestmark = pytest.mark.mosquitto

TOPIC = Topics("works", "mes-1").production
MARCH = [Month(2026, 3)]


class FailingBooks(Books):
    """Fails `failures` times, after the change was asked for and before anything of it is durable."""

    failures = 0

    async def change(self, author: str, reason: str, function: Callable[[Writing], Any]) -> Any:
        if self.failures:
            self.failures -= 1
            raise StoreError("the disk is full")
        return await super().change(author, reason, function)


def batch(name: str, quantity: object) -> bytes:
    return json.dumps({
        "batch": name, "product": "gear", "node": "line-1", "quantity": quantity, "unit": "t",
        "from": "2026-03-02T08:00:00+08:00", "to": "2026-03-02T11:30:00+08:00",
    }).encode()  # fmt: skip


@asynccontextmanager
async def running(folder: Path, port: int, failures: int = 0) -> AsyncGenerator[tuple[Manual, BatchIngest]]:
    clock = SystemClock()
    async with FailingBooks(folder / "books.db", clock) as books:
        books.failures = failures
        manual = Manual(books=books, clock=clock, plants={PLANT.site: PLANT}, factors=FACTORS)
        broker = PahoBroker(
            Address(host="127.0.0.1", port=port, client_id="centre-batches"), persistent=True, receive_maximum=16
        )
        aside = Aside(folder / "letters", clock, EventLog())
        ingest = BatchIngest(broker=broker, manual=manual, aside=aside, approval=False)
        task = asyncio.create_task(ingest.run())
        try:
            await until(lambda: done(ingest.connected))
            yield manual, ingest
        finally:
            await end([task])


async def done(value: object) -> bool:
    return bool(value)


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await what():
            await asyncio.sleep(0.02)


async def publish(port: int, *payloads: bytes) -> None:
    async with PahoBroker(Address(host="127.0.0.1", port=port, client_id="mes")).connect() as connection:
        for payload in payloads:
            await connection.publish(TOPIC, payload)


async def told(manual: Manual) -> dict[str, str]:
    entries = await manual.entries("works", "production", MARCH)
    return {entry.values["batch"]: entry.values["produced"] for entry in entries}


def test_batches_reach_the_books_once_and_what_is_none_the_dead_letters(tmp_path: Path) -> None:
    async def main(port: int) -> None:
        async with running(tmp_path, port, failures=1) as (manual, ingest):
            await publish(port, batch("B1", 1), batch("B1", 1), b"{}", batch("B2", "2"), batch("B1", 3), batch("B3", 4))
            await until(lambda: done(ingest.taken == 4))
            assert await told(manual) == {"B1": "3", "B3": "4"}
            assert {row.form.made_by for row in await manual.batches()} == {"mqtt:works/mes-1"}
            letters = DeadLetters(tmp_path / "letters").newest()
            assert {letter.topic for letter in letters} == {TOPIC}
            reasons = sorted(letter.reason for letter in letters)
            assert reasons[1] == "quantity: must be a number"
            assert reasons[0].startswith("batch: is missing; product: is missing")

    with Mosquitto(tmp_path) as broker:
        asyncio.run(main(broker.port))


def test_what_was_published_while_the_centre_was_away_or_could_not_write_comes_later(tmp_path: Path) -> None:
    async def main(port: int) -> None:
        async with running(tmp_path, port, failures=1000) as (manual, ingest):
            await publish(port, batch("B1", 1))
            await asyncio.sleep(0.2)
            assert (ingest.taken, await told(manual)) == (0, {})
        await publish(port, batch("B2", 2))
        async with running(tmp_path, port) as (manual, ingest):
            await until(lambda: done(ingest.taken == 2))
            assert await told(manual) == {"B1": "1", "B2": "2"}

    with Mosquitto(tmp_path) as broker:
        asyncio.run(main(broker.port))
