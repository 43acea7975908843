"""Which clients of the broker the ingest has: one for each worker, with the session it keeps while the worker is away.

A worker alone has a plain subscription, and its session lasts a week: the broker queues for it. Several share one, and
a broker goes on giving an absent one its share as long as its session lasts: that is short, and the gateways send what
is not confirmed to the others.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Final

from centre.settings import CentreSettings
from wattline.broker import BrokerError
from wattline.broker_access import ConfiguredBroker
from wattline.broker_settings import BrokerSettings
from wattline.clock import NS, Clock
from wattline.mqtt import PahoBroker

SHARED_SESSION_S: Final = 300
_SESSION_S: Final = 7 * 86400
_NAME: Final = "wattline-centre"
_RECEIVE_MAXIMUM: Final = 100
_RETIRE_EVERY_S: Final = 60.0


def brokers_of(settings: CentreSettings) -> tuple[ConfiguredBroker, ...]:
    """The broker as each worker sees it; raises ConfigError for a secret."""
    name, workers = settings.broker.client_id or _NAME, settings.ingest.workers
    if workers == 1:
        return (_client(settings.broker, name, _SESSION_S),)
    return tuple(_client(settings.broker, f"{name}-{n}", SHARED_SESSION_S) for n in range(1, workers + 1))


async def retire(settings: CentreSettings, clock: Clock) -> None:
    """Where there are several workers, end the session of the one that was alone before; returns when it is ended."""
    if settings.ingest.workers == 1:
        return
    broker = _client(settings.broker, settings.broker.client_id or _NAME, 0)
    while True:
        with suppress(BrokerError):
            async with broker.connect():
                return
        await clock.sleep_until(clock.now_ns() + int(_RETIRE_EVERY_S * NS))


def _client(settings: BrokerSettings, client_id: str, session_s: int) -> ConfiguredBroker:
    return ConfiguredBroker(
        replace(settings.access(client_id), client_id=client_id),
        lambda address: PahoBroker(
            address, persistent=session_s > 0, session_expiry_s=session_s, receive_maximum=_RECEIVE_MAXIMUM
        ),
    )
