"""The broker as agent and ingest see it: a connection that publishes until acknowledged and hands out messages.

This is the port; wattline.mqtt holds the one real implementation, tests/simulation a simulated one.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


class BrokerError(Exception):
    """Root of what can go wrong between us and the broker; the message names the cause in words."""


class BrokerUnreachable(BrokerError):
    """No connection could be made (name, route, port, TLS): back off and try again."""


class BrokerRefused(BrokerError):
    """The broker answered and said no (password, client id, permission): back off longer and tell the operator."""


class BrokerLost(BrokerError):
    """An established connection ended; what was not acknowledged must be sent again."""


class BrokerSilent(BrokerLost):
    """It answers, and has owed an acknowledgement for too long."""


class PublishRefused(BrokerError):
    """The broker acknowledged one message with an error; the connection lives. `reason` is MQTT's reason code text."""

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(f"the broker refused a message on {topic}: {reason}")
        self.topic = topic
        self.reason = reason


class MessageTooLarge(PublishRefused):
    """The broker takes no message of this size: sending it again changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the broker publishes for us when the connection ends without a good-bye."""

    topic: str
    payload: bytes
    retain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One received message. It is redelivered after a reconnect until `ack()` was called (QoS 1)."""

    topic: str
    payload: bytes
    retain: bool
    ack: Callable[[], None]


class Connection(Protocol):
    """One established connection; every method raises BrokerLost once it has ended."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Return when the broker has acknowledged the message (QoS 1); concurrent calls share the in-flight window.

        Raises PublishRefused when the acknowledgement carries an error reason, MessageTooLarge when that is the size.
        """
        ...

    async def subscribe(self, topic_filter: str) -> None:
        """Return when the broker granted QoS 1 on `topic_filter`; raises BrokerRefused when it did not."""
        ...

    def messages(self) -> AsyncIterator[Message]:
        """Received messages in order of arrival; bounded by the receive maximum, so a slow reader slows the broker."""
        ...


class Broker(Protocol):
    """A broker one can connect to, with address, credentials and client id already given."""

    def connect(self, *, will: Will | None = None) -> AbstractAsyncContextManager[Connection]:
        """Enter: connected and accepted. Leave: disconnected, in order when no error is under way.

        Raises BrokerUnreachable or BrokerRefused on entering.
        """
        ...
