"""Connected for ever: what is served over a broker's connection is served again after every loss."""

from collections.abc import Awaitable, Callable
from typing import Final

from centre.store.base import StoreError
from wattline.broker import Broker, BrokerError, Connection
from wattline.clock import NS, Clock
from wattline.events import EventLog

_FIRST_BACKOFF_S: Final = 1.0
_MAX_BACKOFF_S: Final = 60.0


async def reconnecting(
    broker: Broker, clock: Clock, log: EventLog, event: str, serve: Callable[[Connection], Awaitable[None]]
) -> None:
    """`serve` until cancelled; after 1, 2, 4, ... 60 s again. The cause of a loss is told once, as `event`."""
    backoff, told = _FIRST_BACKOFF_S, ""
    while True:
        lost = ""
        try:
            async with broker.connect() as connection:
                backoff, told = _FIRST_BACKOFF_S, ""
                await serve(connection)
        except* (BrokerError, StoreError) as errors:
            lost = _text(errors)
        if lost != told:
            log.warning(event, error=lost)
            told = lost
        await clock.sleep_until(clock.now_ns() + int(backoff * NS))
        backoff = min(backoff * 2, _MAX_BACKOFF_S)


def _text(errors: BaseExceptionGroup[BrokerError | StoreError]) -> str:
    first = errors.exceptions[0]
    return _text(first) if isinstance(first, BaseExceptionGroup) else str(first)
