"""A serial port in virtual time: what the meters behind it send arrives when they say. Stands where SerialPort does."""

import heapq
import struct
import zlib
from collections.abc import Callable, Iterable

from drivers.modbus.serial_line import SerialLine

LINE = SerialLine.parse("9600 8N1")

Sent = Iterable[tuple[float, bytes]]
"""What comes on the line, and at which monotonic second its last byte is there."""


class SimulatedPort:
    """`answer(request, now)` is asked at each write; `now` is when the last byte of the request has left."""

    def __init__(self, answer: Callable[[bytes, float], Sent], *, paced: bool) -> None:
        self.paced = paced
        self._answer = answer
        self._now = 0.0
        self._order = 0
        self._coming: list[tuple[float, int, bytes]] = []

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds

    doze = sleep

    def write(self, data: bytes) -> None:
        for at, sent in self._answer(data, self._now + len(data) * LINE.character_s):
            self._order += 1
            heapq.heappush(self._coming, (at, self._order, sent))

    def read(self) -> bytes:
        data = b""
        while self._coming and self._coming[0][0] <= self._now:
            data += heapq.heappop(self._coming)[2]
        return data

    def wait(self, until: float, at_least: int = 1) -> bool:
        have, at = 0, self._now
        for arrives, _, data in sorted(self._coming):
            if arrives > until:
                break
            have, at = have + len(data), arrives
            if have >= at_least:
                self._now = max(self._now, at)
                return True
        self._now = max(self._now, until)
        return False

    def check_still_there(self) -> None:
        pass


def truth(unit: int, function: int, address: int, count: int) -> bytes:
    """What the registers hold: no two registers of the plant the same, so that a value tells where it is from."""
    return b"".join(
        (zlib.crc32(struct.pack(">BBH", unit, function, address + n)) & 0xFFFF).to_bytes(2, "big") for n in range(count)
    )


def crc16_by_bits(data: bytes) -> int:
    """The CRC of Modbus as the standard writes it, and not as the product computes it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def sealed(body: bytes) -> bytes:
    return body + struct.pack("<H", crc16_by_bits(body))
