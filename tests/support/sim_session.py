"""What the simulated broker keeps of one client: its subscriptions, and the messages that wait for it."""

from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache

_SHARED = "$share/"
_QUEUE = 1000  # max_queued_messages of mosquitto


@dataclass
class Delivery:
    """A message on its way to one client."""

    topic: str
    payload: bytes
    retain: bool


@dataclass
class Session:
    """Bounded as that of mosquitto: what is beyond the bound is dropped."""

    persistent: bool
    filters: list[str] = field(default_factory=list[str])
    waiting: deque[Delivery] = field(default_factory=deque[Delivery])
    unacked: list[Delivery] = field(default_factory=list[Delivery])

    def takes(self, topic: str) -> bool:
        return any(matches(each, topic) for each in self.filters)

    def shares(self, topic: str) -> bool:
        return any(each.startswith(_SHARED) and matches(each.split("/", 2)[2], topic) for each in self.filters)

    def put(self, delivery: Delivery) -> None:
        if len(self.waiting) < _QUEUE:
            self.waiting.append(delivery)

    def begin_again(self) -> None:
        """A new connection: what was not acknowledged comes again, first."""
        self.waiting.extendleft(reversed(self.unacked))
        self.unacked.clear()


@lru_cache(maxsize=256)
def matches(topic_filter: str, topic: str) -> bool:
    wanted, parts = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        return parts[: len(wanted) - 1] == wanted[:-1]
    return len(wanted) == len(parts) and all(w in ("+", p) for w, p in zip(wanted, parts, strict=True))
