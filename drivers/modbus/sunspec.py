"""SunSpec: where a meter keeps its model is found at first contact, by the marker and the chain of models.

Source: SunSpec Device Information Model Specification 1.1, 6.1 and 6.2: the marker "SunS" stands at 40000, 50000 or 0;
after it each model begins with its id and its length, up to the id 0xFFFF.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
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


async def locate(profile: Profile, ask: Ask) -> Profile:
    """The profile with its points where this device has them.

    Raises what `ask` raises, except Refused, and DeviceSilent when the device has no such model.
    """
    place = await _find(profile.sunspec, ask)
    return moved(profile, place - usual_place(profile.sunspec))


def moved(profile: Profile, by: int) -> Profile:
    """The profile with all addresses higher by `by`."""

    def spans(given: tuple[Span, ...]) -> tuple[Span, ...]:
        return tuple((first + by, last + by) for first, last in given)

    limits: Limits = profile.limits
    limits = replace(limits, forbidden=spans(limits.forbidden), blocks=spans(limits.blocks))
    points = {name: replace(point, address=point.address + by) for name, point in profile.points.items()}
    return replace(profile, points=points, limits=limits)


async def _find(models: tuple[int, ...], ask: Ask) -> int:
    """The address of the id register of the first model that is one of `models`."""
    fault = Fault.EXCEPTION_2
    for base in _BASES:
        try:
            if await _read(base, ask) != _MARKER:
                continue
            at = base + 2
            for _ in range(_MOST_MODELS):
                head = await _read(at, ask)
                model, length = int.from_bytes(head[:2], "big"), int.from_bytes(head[2:], "big")
                if model in models:
                    return at
                at += 2 + length
                if model == _LAST or at > 0xFFFE:
                    break
        except Refused as err:
            fault = err.fault
    raise DeviceSilent(f"has no SunSpec model {' or '.join(map(str, models))}", fault)


async def _read(address: int, ask: Ask) -> bytes:
    return await ask(Block(table=Table.HOLDING, address=address, count=2, points=()))
