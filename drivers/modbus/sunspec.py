"""SunSpec: where a meter keeps its model is found at first contact, by the marker and the chain of models.

A meter that did not answer may be another one afterwards, or have new firmware: then its place is looked at again.

Source: SunSpec Device Information Model Specification 1.1, 6.1 and 6.2: the marker "SunS" stands at 40000, 50000 or 0;
after it each model begins with its id and its length, up to the id 0xFFFF.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from drivers.base import DeviceSilent
from drivers.modbus.pdu import Refused
from drivers.modbus.plan import Block
from drivers.modbus.profile import Limits, Profile, Span, Table
from metering.faults import Fault

_MARKER: Final = b"SunS"
_BASES: Final = (40000, 50000, 0)
_LAST: Final = 0xFFFF
_MOST_MODELS: Final = 64  # of one meter; real ones have fewer than 20

COMMON: Final = 1
"""The model every device begins with."""

Ask = Callable[[Block], Awaitable[bytes]]


def usual_place(models: tuple[int, ...]) -> int:
    """The address of the model's id register in most devices: first, or after the common model."""
    return 40002 if COMMON in models else 40070


@dataclass(slots=True)
class Place:
    """Where a device has its model, as all its readers know it; `sure` while it answers: it is the same one then."""

    at: int | None = None
    sure: bool = False


async def locate(models: tuple[int, ...], ask: Ask, known: int | None = None) -> int:
    """The address of the id register of the first model that is one of `models`; looked for at `known` first.

    Raises what `ask` raises, except Refused, and DeviceSilent when the device has no such model.
    """
    if known is not None:
        with suppress(Refused):
            if (await _head(known, ask))[0] in models:
                return known
    return await _find(models, ask)


def placed(profile: Profile, at: int) -> Profile:
    """The profile with its points where a device has them whose model's id register is `at`."""
    by = at - usual_place(profile.sunspec)

    def spans(given: tuple[Span, ...]) -> tuple[Span, ...]:
        return tuple((first + by, last + by) for first, last in given)

    limits: Limits = profile.limits
    limits = replace(limits, forbidden=spans(limits.forbidden), blocks=spans(limits.blocks))
    points = {name: replace(point, address=point.address + by) for name, point in profile.points.items()}
    return replace(profile, points=points, limits=limits)


async def _find(models: tuple[int, ...], ask: Ask) -> int:
    fault = Fault.EXCEPTION_2
    for base in _BASES:
        try:
            if await _read(base, ask) != _MARKER:
                continue
            at = base + 2
            for _ in range(_MOST_MODELS):
                model, length = await _head(at, ask)
                if model in models:
                    return at
                at += 2 + length
                if model == _LAST or at > 0xFFFE:
                    break
        except Refused as err:
            fault = err.fault
    raise DeviceSilent(f"has no SunSpec model {' or '.join(map(str, models))}", fault)


async def _head(at: int, ask: Ask) -> tuple[int, int]:
    """Id and length of the model at this address."""
    head = await _read(at, ask)
    return int.from_bytes(head[:2], "big"), int.from_bytes(head[2:], "big")


async def _read(address: int, ask: Ask) -> bytes:
    return await ask(Block(table=Table.HOLDING, address=address, count=2, points=()))
