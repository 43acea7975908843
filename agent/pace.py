"""Pace: how soon the next bytes may be sent over a link that is paid for by the byte. A token bucket; no I/O."""

from typing import Final

_BURST_S: Final = 10.0
OVERHEAD: Final = 150
"""Bytes of a message beside its payload: topic and header of MQTT, records of TLS, headers of TCP and IP."""


class Pace:
    """`bytes_s` on average, and what 10 s bring at once; one message may overdraw it. Times are monotonic seconds."""

    def __init__(self, bytes_s: float) -> None:
        self._bytes_s = bytes_s
        self._left = bytes_s * _BURST_S
        self._at = 0.0

    def spend(self, size: int, now: float) -> None:
        """A message with a payload of `size` bytes is being sent."""
        self._left = min(self._left + max(0.0, now - self._at) * self._bytes_s, self._bytes_s * _BURST_S)
        self._left -= size + OVERHEAD
        self._at = now

    def takes_s(self, size: int) -> float:
        """How long such a message takes of what may be sent."""
        return (size + OVERHEAD) / self._bytes_s

    def ready_at(self) -> float:
        """From when on the next message may be sent."""
        return self._at - min(self._left, 0.0) / self._bytes_s
