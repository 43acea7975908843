"""Modbus requests and replies as bytes: build a read, check what came back. Pure; knows function 3 and 4 only.

Source: MODBUS Application Protocol Specification V1.1b3, 6.3, 6.4 and 7. There is no way to write a register here, and
`read_request` is the only place of the product that builds a request.
"""

import struct
from typing import Final

from drivers.base import DriverError
from drivers.modbus.profile import MAX_REGISTERS
from metering.faults import Fault, exception_fault

READ_FUNCTIONS: Final = frozenset({3, 4})
_READ: Final = struct.Struct(">BHH")
_EXCEPTION: Final = 0x80


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


def read_request(function: int, address: int, count: int) -> bytes:
    """The PDU that reads `count` registers; ValueError for anything that is not a read the standard knows."""
    if function not in READ_FUNCTIONS:
        raise ValueError(f"function {function}: only registers are read here, with 3 or 4")
    if not (1 <= count <= MAX_REGISTERS and address >= 0 and address + count <= 0x10000):
        raise ValueError(f"no read of {count} registers at {address}")
    return _READ.pack(function, address, count)


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
