"""Ingest against a real mosquitto: the order of write, acknowledgement and watermark, and what a break between costs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from centre.ingest import Ingest
from centre.store.base import Written
from centre.store.sqlite import SqliteStore
from metering.parcel import ParcelId, Received, seal
from metering.topics import Topics
from support.mosquitto import Mosquitto
from support.store_contract import EVER, POWER, T0, sweep
from wattline.broker import Connection, Message, Will
from wattline.clock import SystemClock
from wattline.mqtt import Address, PahoBroker

pytestmark = pytest.mark.mosquitto

TOPICS = Topics("works", "press-shop")


class WatchedStore(SqliteStore):
    """Notes when a write is durable; `cut` makes it break off right behind the write, before the acknowledgement."""

    def __init__(self, path: Path, order: list[str]) -> None:
        super().__init__(path)
        self.order = order
        self.cut = False

    async def write(self, parcels: Sequence[Received], *, received_at: int) -> Written:
        written = await super().write(parcels, received_at=received_at)
        self.order += [f"written {parcel.id.seq}" for parcel in parcels]
        if self.cut:
            raise ConnectionAbortedError
        return written


class WatchedBroker:
    """The real broker's adapter, with acknowledgements and committed messages noted."""

    def __init__(self, port: int, order: list[str]) -> None:
        self._broker = PahoBroker(
            Address(host="127.0.0.1", port=port, client_id="centre"), persistent=True, receive_maximum=100
        )
        self._order = order

    @asynccontextmanager
    async def connect(self, *, will: Will | None = None) -> AsyncGenerator[Connection]:
        async with self._broker.connect(will=will) as connection:
            yield WatchedConnection(connection, self._order)


class WatchedConnection:
    def __init__(self, connection: Connection, order: list[str]) -> None:
        self._connection, self._order = connection, order
        self.subscribe = connection.subscribe

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._order.append(f"committed {payload.decode()}")
        await self._connection.publish(topic, payload, retain=retain)

    async def messages(self) -> AsyncIterator[Message]:
        async for message in self._connection.messages():

            def ack(message: Message = message) -> None:
                self._order.append("acknowledged")
                message.ack()

            yield replace(message, ack=ack)


async def publish(port: int, seqs: range) -> None:
    async with PahoBroker(Address(host="127.0.0.1", port=port, client_id="gateway")).connect() as connection:
        for seq in seqs:
            parcel_id = ParcelId(epoch=7, seq=seq)
            parcel = seal(
                [sweep(seq, {"power_active_total": float(seq)})],
                site="works",
                gateway="press-shop",
                parcel_id=parcel_id,
                dropped=0,
            )
            await connection.publish(TOPICS.readings, parcel.body)


async def until(order: list[str], text: str) -> None:
    async with asyncio.timeout(20):
        while not any(text in line for line in order):
            await asyncio.sleep(0.02)


def ingest_of(store: WatchedStore, port: int, folder: Path) -> Ingest:
    broker = WatchedBroker(port, store.order)
    return Ingest(broker=broker, store=store, clock=SystemClock(), dead_letters=folder / "dead")


def test_a_parcel_is_written_before_it_is_acknowledged_and_committed_last(tmp_path: Path) -> None:
    async def main(port: int) -> None:
        order: list[str] = []
        async with WatchedStore(tmp_path / "centre.db", order) as store:
            running = asyncio.create_task(ingest_of(store, port, tmp_path).run())
            await asyncio.sleep(0.5)
            await publish(port, range(1, 2))
            await until(order, "committed")
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        assert order == ["written 1", "acknowledged", 'committed {"version":1,"epochs":{"7":[[1,1]]}}']

    with Mosquitto(tmp_path) as mosquitto:
        asyncio.run(main(mosquitto.port))


def test_an_end_between_write_and_acknowledgement_leaves_the_same_points_once(tmp_path: Path) -> None:
    async def main(port: int) -> None:
        order: list[str] = []
        async with WatchedStore(tmp_path / "centre.db", order) as store:
            running = asyncio.create_task(ingest_of(store, port, tmp_path).run())
            await asyncio.sleep(0.5)
            store.cut = True
            await publish(port, range(1, 31))
            with pytest.raises(ExceptionGroup):
                await running
            assert order
            assert "acknowledged" not in order
            store.cut = False
            running = asyncio.create_task(ingest_of(store, port, tmp_path).run())
            await until(order, "acknowledged")
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            found = await store.read(POWER, 0, EVER, limit=100)
            assert [(reading.at, reading.value) for reading in found] == [
                (T0 + seq * 10**9, float(seq)) for seq in range(1, 31)
            ]
            assert (await store.totals()).redelivered_parcels == sum(line.startswith("written") for line in order) - 30

    with Mosquitto(tmp_path) as mosquitto:
        asyncio.run(main(mosquitto.port))
