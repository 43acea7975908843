"""Publishing that waits for the broker's word, and ends a connection over which none comes."""

import asyncio
from typing import Final

from wattline.broker import BrokerLost, Connection

_SILENT_S: Final = 120.0  # without it, one lost acknowledgement would silence the centre for good


async def publish(connection: Connection, topic: str, payload: bytes, *, retain: bool = False) -> None:
    """Return when the broker has acknowledged it; raises PublishRefused, and BrokerLost when it says nothing."""
    try:
        async with asyncio.timeout(_SILENT_S):
            await connection.publish(topic, payload, retain=retain)
    except TimeoutError as err:
        raise BrokerLost("the broker acknowledges nothing") from err
