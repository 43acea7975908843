"""The driver protocol: what the agent's scheduler asks of any kind of device, and how devices fail.

Errors are a type per reaction. What the scheduler can only note (a refused register, a sentinel) is no error but a
fault in the sweep.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from metering.faults import Fault
from metering.sweep import PointInfo, Sweep


class DriverError(Exception):
    """Root of the errors of a driver."""


class LinkDown(DriverError):
    """The bus has no connection: nothing on it can be read; connect again with back-off."""


class DeviceSilent(DriverError):
    """This device did not answer, or did not answer sense, while the bus works: back off from it alone.

    `fault` is the reason that goes into the sweep of what could not be read.
    """

    def __init__(self, message: str, fault: Fault) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One read on the wire, for people: `wattline check` prints it."""

    what: str  # e.g. "input 52+10"
    points: int  # how many of the asked points it brings
    registers: int = 0  # how many registers it asks for, where the protocol has such


class Reader(Protocol):
    """Reads a fixed set of points of one device, with everything that can be prepared prepared."""

    @property
    def requests(self) -> Sequence[Request]:
        """The poll plan: the requests one `read` sends, in order."""
        ...

    async def read(self) -> Sweep:
        """One sweep, stamped when the last reply arrived.

        Every asked point is in its values or its faults. Raises DeviceSilent when the device answered nothing at all,
        LinkDown when the bus lost its connection.
        """
        ...


class Device(Protocol):
    """One addressable meter with its profile."""

    @property
    def name(self) -> str: ...

    @property
    def points(self) -> tuple[PointInfo, ...]:
        """All points this device is set to deliver."""
        ...

    def reader(self, points: Collection[str]) -> Reader:
        """A reader of these points (names out of `points`)."""
        ...


class Bus(Protocol):
    """One physical medium that carries one request at a time, and the devices on it. The scheduler owns it."""

    @property
    def name(self) -> str: ...

    @property
    def devices(self) -> Sequence[Device]: ...

    def connection(self) -> AbstractAsyncContextManager[None]:
        """Enter: connected, raises LinkDown. Leave: closed. Readers of this bus's devices work inside only."""
        ...
