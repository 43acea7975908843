"""Mishaps: what befalls a simulated device on a script, and what becomes of its replies then. Pure.

A mishap is a fault of the device or of the way to it, written in the plant file under `faults`; the plant itself goes
on, so that what the meter should have said stays known.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from random import Random
from typing import Annotated, Final, Protocol, Self

from pydantic import Field, model_validator

from drivers.simulation.image import ReadRefused
from wattline.strict_yaml import Strict
from wattline.units import Duration


class Kind(StrEnum):
    """What happens to each request while it lasts."""

    SILENCE = "silence"  # no reply
    DELAY = "delay"  # the reply comes after `by`
    LATE = "late"  # the reply comes with that to the next request on the connection, before it
    WRONG_UNIT = "wrong_unit"  # the next unit id answers
    SHORT = "short"  # a whole frame with one register too few
    GARBAGE = "garbage"  # as many bytes of noise
    EXCEPTION = "exception"  # the device refuses with `code`
    HOLE = "hole"  # it refuses reads that touch `registers`, with exception 2


_OWN: Final = {"by": Kind.DELAY, "code": Kind.EXCEPTION, "registers": Kind.HOLE}
_Register = Annotated[int, Field(ge=0, le=0xFFFF)]


class Mishap(Strict):
    """One line of the script: from `at` after the start `for` so long; without `for`, to the end."""

    meter: str
    at: Duration
    lasts: Annotated[Duration | None, Field(alias="for")] = None
    kind: Kind
    by: Duration | None = None
    code: Annotated[int, Field(ge=1, le=255)] | None = None
    registers: tuple[_Register, _Register] | None = None

    @model_validator(mode="after")
    def _own_keys(self) -> Self:
        for key, kind in _OWN.items():
            given = getattr(self, key) is not None
            if given != (kind is self.kind):
                raise ValueError(f"{key} {'belongs to' if given else 'is missing for'} kind {kind}")
        return self

    def lasting(self, elapsed_s: float) -> bool:
        """True while it befalls the device."""
        return self.at <= elapsed_s and (self.lasts is None or elapsed_s < self.at + self.lasts)


class Script:
    """The mishaps of one unit; `elapsed_s` tells the seconds since the start."""

    def __init__(self, mishaps: Sequence[Mishap], elapsed_s: Callable[[], float]) -> None:
        self._mishaps = tuple(mishaps)
        self._elapsed_s = elapsed_s

    def now(self) -> Mishap | None:
        """What befalls the unit now; the first of the file where several do."""
        elapsed_s = self._elapsed_s() if self._mishaps else 0.0
        return next((mishap for mishap in self._mishaps if mishap.lasting(elapsed_s)), None)

    def check(self, address: int, count: int) -> None:
        """Raises ReadRefused when a hole makes the device refuse this read now."""
        hole = mishap.registers if (mishap := self.now()) is not None else None
        if hole is not None and hole[0] < address + count and address <= hole[1]:
            raise ReadRefused(2)


class Framing(Protocol):
    """How unit and PDU (function, byte count, registers) stand in a frame."""

    def split(self, frame: bytes) -> tuple[int, bytes]:
        """Unit and PDU of a right frame."""
        ...

    def join(self, frame: bytes, unit: int, pdu: bytes) -> bytes:
        """`frame` with another unit and PDU, right in all else."""
        ...


class Outgoing:
    """What one connection sends instead of the right replies of its units."""

    def __init__(self, scripts: Mapping[int, Script], framing: Framing) -> None:
        self._scripts = scripts
        self._framing = framing
        self._held: list[bytes] = []
        self._noise = Random(7)

    def sent(self, frame: bytes) -> list[tuple[float, bytes]]:
        """What is sent for the right reply `frame`, each after so many seconds."""
        unit, pdu = self._framing.split(frame)
        script = self._scripts.get(unit)
        mishap = None if script is None else script.now()
        kind = None if mishap is None else mishap.kind
        if kind is Kind.SILENCE:
            return []
        ready = [(0.0, held) for held in self._held]
        self._held.clear()
        if kind is Kind.LATE:
            self._held.append(frame)
            return ready
        if kind is Kind.GARBAGE:
            frame = self._noise.randbytes(len(frame))
        elif kind is Kind.WRONG_UNIT:
            frame = self._framing.join(frame, unit % 247 + 1, pdu)
        elif kind is Kind.SHORT:
            frame = self._framing.join(frame, unit, pdu[:-2])
        elif mishap is not None and mishap.code is not None:
            frame = self._framing.join(frame, unit, bytes((pdu[0] | 0x80, mishap.code)))
        by = mishap.by if mishap is not None else None
        return [*ready, (float(by or 0), frame)]
