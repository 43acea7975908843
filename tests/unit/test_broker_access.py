"""Of several brokers the one that worked last comes first; what all of them said is told together."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from support.sim_broker import SimBroker
from wattline.broker import Broker, BrokerRefused, BrokerSilent, BrokerUnreachable, Connection, Will
from wattline.broker_access import ConfiguredBroker
from wattline.broker_settings import BrokerSettings
from wattline.dialling import Address

URLS = ("mqtts://one.example", "mqtts://two.example:9000", "mqtts://three.example")


class Brokers:
    """`answers` says of each host what it does with a connection."""

    def __init__(self) -> None:
        self.answers: dict[str, Exception | None] = {}
        self.asked: list[str] = []

    def make(self, address: Address) -> Broker:
        return _Door(self, address)


class _Door:
    def __init__(self, brokers: Brokers, address: Address) -> None:
        self._brokers, self._address = brokers, address

    @asynccontextmanager
    async def connect(self, *, will: Will | None = None) -> AsyncGenerator[Connection]:
        self._brokers.asked.append(f"{self._address.host}:{self._address.port}")
        error = self._brokers.answers.get(self._address.host)
        if error is not None:
            raise error
        async with SimBroker().client("gateway").connect(will=will) as connection:
            yield connection


def asked(brokers: Brokers, broker: ConfiguredBroker) -> list[str]:
    """Whom one connection asked, in order."""

    async def main() -> None:
        async with broker.connect():
            pass

    brokers.asked.clear()
    asyncio.run(main())
    return brokers.asked


def test_the_addresses_are_tried_in_turn_and_the_last_good_one_first() -> None:
    brokers = Brokers()
    broker = ConfiguredBroker(BrokerSettings(url=URLS).access("gateway"), brokers.make)
    assert asked(brokers, broker) == ["one.example:8883"]
    brokers.answers["one.example"] = BrokerUnreachable("one: no answer")
    assert asked(brokers, broker) == ["one.example:8883", "two.example:9000"]
    brokers.answers["one.example"] = None
    assert asked(brokers, broker) == ["two.example:9000"], "no way back without need"
    brokers.answers["two.example"] = BrokerRefused("two: not authorized")
    assert asked(brokers, broker) == ["two.example:9000", "one.example:8883"]


def test_when_none_of_them_takes_us_all_causes_are_told() -> None:
    brokers = Brokers()
    broker = ConfiguredBroker(BrokerSettings(url=URLS).access("gateway"), brokers.make)
    brokers.answers = {f"{name}.example": BrokerUnreachable(f"{name}: no answer") for name in ("one", "two", "three")}
    with pytest.raises(BrokerUnreachable, match="one: no answer; two: no answer; three: no answer"):
        asked(brokers, broker)
    brokers.answers["two.example"] = BrokerRefused("two: not authorized")
    with pytest.raises(BrokerRefused, match="two: not authorized"):
        asked(brokers, broker)


def test_a_loss_of_the_connection_is_the_callers_and_no_reason_to_try_another() -> None:
    brokers = Brokers()
    broker = ConfiguredBroker(BrokerSettings(url=URLS).access("gateway"), brokers.make)

    async def main() -> None:
        async with broker.connect():
            raise BrokerUnreachable("of something else")

    with pytest.raises(BrokerUnreachable, match="of something else"):
        asyncio.run(main())
    assert brokers.asked == ["one.example:8883"]


@pytest.mark.parametrize("error", [BrokerSilent("it acknowledges nothing"), BrokerRefused("no subscription")])
def test_a_broker_that_lets_us_in_and_is_of_no_use_is_not_tried_first_again(error: Exception) -> None:
    brokers = Brokers()
    broker = ConfiguredBroker(BrokerSettings(url=URLS).access("gateway"), brokers.make)

    async def main() -> None:
        async with broker.connect(), asyncio.TaskGroup():
            raise error

    with pytest.raises(ExceptionGroup):
        asyncio.run(main())
    assert asked(brokers, broker) == ["two.example:9000"]


@pytest.mark.parametrize(
    ("url", "exposed", "spread_s"),
    [
        ("mqtt://127.0.0.1", False, 0.0),
        (["mqtt://localhost", "mqtt://[::1]:1884"], False, 0.0),
        (["mqtt://localhost", "mqtt://broker.example"], True, 5.0),
        ("mqtts://broker.example", False, 5.0),
    ],
)
def test_what_leaves_the_host_in_clear_text_is_known_and_a_fleet_is_spread(
    url: str | list[str], exposed: bool, spread_s: float
) -> None:
    access = BrokerSettings.model_validate({"url": url}).access("gateway")
    assert (access.exposed, access.spread_s) == (exposed, spread_s)


@pytest.mark.parametrize("url", [[], ["mqtts://x", 3], ["mqtts://x", "mqtt://y"], ["http://x"], 7])
def test_a_list_of_brokers_is_checked_to_the_last(url: object) -> None:
    with pytest.raises(ValueError, match="mqtts://"):
        BrokerSettings.model_validate({"url": url})
