"""How the readings of the simulated plant reach the centre: parcels of its gateways, in order, late, or in any order."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Final

from metering.parcel import ParcelId, Received
from metering.quantities import IDENTITY, Kind
from metering.status import State, Status
from metering.sweep import DeviceInfo, PointInfo
from support.plant_year import Year
from support.plant_year_registers import Register

_BLOCK: Final = 360
_AGAIN: Final = 20  # one parcel of so many comes twice


class Order(StrEnum):
    """In which order parcels arrive."""

    SORTED = "sorted"
    NATURAL = "natural"  # as they were read, but for outages
    SHUFFLED = "shuffled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A parcel of the readings in [first, last); `epoch` 2: the same readings in a parcel of another number."""

    gateway: str
    epoch: int
    seq: int
    first: int
    last: int
    arrives: int


def arrivals(year: Year, order: Order, seed: int = 0) -> list[Arrival]:
    """Every parcel in the order in which it comes, some twice unless they are sorted."""
    found = [arrival for gateway in gateways(year) for arrival in _sent(year, gateway)]
    found.sort(key=lambda one: (one.first, one.gateway))
    if order is Order.SORTED:
        return found
    rng = random.Random(f"order/{year.seed}/{seed}")
    again = rng.sample(found, max(1, len(found) // _AGAIN))
    half = len(again) // 2
    found += again[:half]
    found += [
        Arrival(gateway=one.gateway, epoch=2, seq=seq, first=one.first, last=one.last, arrives=one.arrives)
        for seq, one in enumerate(again[half:], 1)
    ]
    if order is Order.SHUFFLED:
        rng.shuffle(found)
    else:
        found.sort(key=lambda one: (one.arrives, one.first, one.gateway))
    return found


def gateways(year: Year) -> list[str]:
    return sorted({spec.gateway for spec in year.specs})


def _sent(year: Year, gateway: str) -> Iterator[Arrival]:
    outages = [outage for outage in year.outages if outage.gateway == gateway]
    edges = {edge for outage in outages for edge in (outage.first, outage.last)}
    grid = sorted({*range(0, year.size.minutes + 1, _BLOCK), year.size.minutes + 1, *edges})
    seq = 0
    for first, last in pairwise(grid):
        outage = next((one for one in outages if one.first <= first < one.last), None)
        if outage is not None and outage.late is None:
            continue
        seq += 1
        arrives = last if outage is None or outage.late is None else outage.last + outage.late
        yield Arrival(gateway=gateway, epoch=1, seq=seq, first=first, last=last, arrives=arrives)


def parcel(site: str, found: Sequence[Register], arrival: Arrival) -> Received:
    """The opened parcel."""
    sweeps = tuple(
        sweep
        for register in found
        if register.spec.gateway == arrival.gateway
        for sweep in register.sweeps(arrival.first, arrival.last)
    )
    return Received(
        site=site, gateway=arrival.gateway, id=ParcelId(epoch=arrival.epoch, seq=arrival.seq), dropped=0,
        sweeps=sweeps, readings=sum(len(sweep.values) for sweep in sweeps),
    )  # fmt: skip


def status(year: Year, found: Sequence[Register], gateway: str) -> Status:
    """What a gateway says of its meters."""
    return Status(
        state=State.ONLINE, software="0", epoch=1, at=year.begin_ns, counters={},
        devices=tuple(_info(year, register) for register in found if register.spec.gateway == gateway),
    )  # fmt: skip


def _info(year: Year, register: Register) -> DeviceInfo:
    unit = "kWh" if "energy" in register.point else "m3"
    counter = PointInfo(name=register.point, unit=unit, kind=Kind.COUNTER, modulus=Decimal(register.modulus) / 1000)
    points = (counter, PointInfo(name=IDENTITY, unit="code", kind=Kind.STATE))
    interval = Decimal(60 * year.size.every)
    return DeviceInfo(name=register.spec.device, bus="b", profile="p", interval_s=interval, asset=None, points=points)
