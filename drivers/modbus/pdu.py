"""Modbus requests and replies as bytes: build a read, check what came back; the same for a write. Pure.

Source: MODBUS Application Protocol Specification V1.1b3, 6.3, 6.4, 6.6, 6.12 and 7. `read_request` and `write_request`
are the only places of the product that build a request. What is written is decided in drivers.modbus.setup alone.
"""

import struct
from functools import lru_cache
from typing import Final

from drivers.base import DriverError
from drivers.modbus.profile import MAX_REGISTERS
from metering.faults import Fault, exception_fault

READ_FUNCTIONS: Final = frozenset({3, 4})
_READ: Final = struct.Struct(">BHH")
_EXCEPTION: Final = 0x80
_MOST_WRITTEN: Final = 4  # registers; a setting has no more


class Refused(DriverError):
    """The device answered with an exception: it lives, but it does not give this block. `code` is the exception's."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    @property
    def fault(self) -> Fault:
        return exception_fault(self.code)


class BadReply(DriverError):
    """Bytes that are no answer to the request; `fault` says in what."""

    def __init__(self, message: str, fault: Fault) -> None:
        super().__init__(message)
        self.fault = fault


@lru_cache(maxsize=4096)  # a gateway asks for the same few blocks for ever
def read_request(function: int, address: int, count: int) -> bytes:
    """The PDU that reads `count` registers; ValueError for anything that is not a read the standard knows."""
    if function not in READ_FUNCTIONS:
        raise ValueError(f"function {function}: only registers are read here, with 3 or 4")
    if not (1 <= count <= MAX_REGISTERS and address >= 0 and address + count <= 0x10000):
        raise ValueError(f"no read of {count} registers at {address}")
    return _READ.pack(function, address, count)


def write_request(address: int, registers: bytes) -> bytes:
    """The PDU that writes holding registers: function 6 for one, 16 for several; ValueError for what is no write."""
    count, odd = divmod(len(registers), 2)
    if odd or not (1 <= count <= _MOST_WRITTEN and address >= 0 and address + count <= 0x10000):
        raise ValueError(f"no write of {len(registers)} bytes at {address}")
    if count == 1:
        return struct.pack(">BH", 6, address) + registers
    return struct.pack(">BHHB", 16, address, count, len(registers)) + registers


def check_written(reply: bytes, request: bytes) -> None:
    """Return when the reply PDU says that `request` was carried out; raises Refused or BadReply."""
    if len(reply) == 2 and reply[0] == request[0] | _EXCEPTION:
        raise Refused(f"exception {reply[1]}", reply[1])
    if reply[:1] != request[:1]:
        raise BadReply(f"function {reply[:1].hex() or 'none'} answered, not {request[0]:02x}", Fault.REPLY_FUNCTION)
    if reply != request[:5]:  # of function 6 that is the whole request, of 16 address and count
        raise BadReply(f"the echo of a write is {reply.hex()}, not {request[:5].hex()}", Fault.REPLY_LENGTH)


def registers_of(reply: bytes, function: int, count: int) -> bytes:
    """The register bytes of a reply PDU to a read of `count` registers; raises Refused or BadReply."""
    if not reply:
        raise BadReply("an empty reply", Fault.REPLY_LENGTH)
    answered = reply[0]
    if answered == function | _EXCEPTION:
        if len(reply) != 2:
            raise BadReply(f"an exception of {len(reply)} bytes, not 2", Fault.REPLY_LENGTH)
        raise Refused(f"exception {reply[1]}", reply[1])
    if answered != function:
        raise BadReply(f"function {answered} answered, not {function}", Fault.REPLY_FUNCTION)
    if len(reply) != 2 + 2 * count or reply[1] != 2 * count:
        said = reply[1] if len(reply) > 1 else "no"
        raise BadReply(f"{len(reply) - 2} bytes (it says {said}), not {2 * count}", Fault.REPLY_LENGTH)
    return reply[2:]
