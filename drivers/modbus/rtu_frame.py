"""RTU frames as bytes: build a request, find its reply in what a line brought, say what is wrong with it. Pure.

Source: MODBUS over Serial Line V1.02, 2.5.1. A frame is unit, PDU and a CRC with its low byte first.
"""

from collections.abc import Callable
from typing import Final

from drivers.modbus.pdu import BadReply
from metering.faults import Fault

_EXCEPTION: Final = 0x80
EXCEPTION_LENGTH: Final = 5


def _table() -> tuple[int, ...]:
    table: list[int] = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_TABLE: Final = _table()


def crc16(data: bytes) -> int:
    """The CRC of Modbus RTU."""
    crc, table = 0xFFFF, _TABLE
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc


def sealed(body: bytes) -> bytes:
    """`body` (unit and PDU) with its CRC."""
    return body + crc16(body).to_bytes(2, "little")


def is_sealed(frame: bytes) -> bool:
    """True when the last two bytes are the CRC of those before."""
    return len(frame) >= 4 and crc16(frame) == 0  # the CRC of a body with its CRC is 0


def reply_length(count: int) -> int:
    """Bytes of the reply to a read of `count` registers."""
    return 5 + 2 * count


def find_reply(data: bytes, request: bytes, count: int) -> tuple[bytes, int] | None:
    """PDU of the reply to `request` in `data`, and where it ends; None when it is not there (yet).

    Only a frame with the unit, function, byte count and length asked for and the right CRC is found, or an exception
    reply with the unit and function; garbage and our own echo before it are passed over.
    """
    unit, function = request[0], request[1]
    at = data.find(unit)
    while 0 <= at <= len(data) - EXCEPTION_LENGTH:
        if request.startswith(data[at : at + len(request)]):
            # our echo, perhaps not all of it yet: a part of it may look like a reply
            at = data.find(unit, at + len(request))
            continue
        answered = data[at + 1]
        if answered == function and data[at + 2] == 2 * count:
            end = at + reply_length(count)
        elif answered == function | _EXCEPTION:
            end = at + EXCEPTION_LENGTH
        else:
            end = len(data) + 1
        if end <= len(data) and crc16(data[at:end]) == 0:
            return data[at + 1 : end - 2], end
        at = data.find(unit, at + 1)
    return None


def explain(data: bytes, request: bytes, count: int, check: Callable[[bytes], bool] = is_sealed) -> BadReply:
    """Why `data`, which holds no reply to `request`, is none. `check` tells whether a frame's checksum is right."""
    data = data.removeprefix(request)
    shown = f"{len(data)} bytes"
    unit, function = request[0], request[1]
    if len(data) < EXCEPTION_LENGTH:
        return BadReply(f"{shown}, which is no reply", Fault.REPLY_LENGTH)
    own = EXCEPTION_LENGTH if data[1] & _EXCEPTION else 5 + data[2]
    whole = next((frame for frame in (data, data[:own]) if check(frame)), None)
    if whole is None:
        if (data[0], data[1], data[2]) == (unit, function, 2 * count) and len(data) < reply_length(count):
            return BadReply(f"{shown} of {reply_length(count)}: the reply broke off", Fault.REPLY_LENGTH)
        return BadReply(f"{shown} with a wrong checksum", Fault.REPLY_CHECKSUM)
    if whole[0] != unit:
        return BadReply(f"unit {whole[0]} answered", Fault.REPLY_UNIT)
    if whole[1] & ~_EXCEPTION != function:
        return BadReply(f"function {whole[1]} answered, not {function}", Fault.REPLY_FUNCTION)
    return BadReply(f"{len(whole) - 5} register bytes (it says {whole[2]}), not {2 * count}", Fault.REPLY_LENGTH)
