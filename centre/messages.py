"""What came from the broker, read: a parcel or a status of a gateway, or why it is none. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from centre.store.base import GatewayKey
from metering.lineprotocol import check_name
from metering.parcel import ParcelError, Received, open_parcel
from metering.status import Status, decode_status, encode_status
from metering.sweep import DeviceInfo
from metering.topics import check_sender, parse_topic

_MAX_NUMBER: Final = 2**53  # of an epoch or a seq: exact in every JSON reader, and far more than can come
_SHORTEST_S: Final = Decimal("0.001")
_LONGEST_S: Final = Decimal(86_400)
_MAX_MODULUS: Final = Decimal(10) ** 40


class Unreadable(ValueError):
    """A message that is none of ours; the text says why."""


def read_message(topic: str, payload: bytes) -> Received | tuple[GatewayKey, Status]:
    """The parcel, or whose status it is and what it says; raises Unreadable."""
    try:
        topics, leaf = parse_topic(topic)
        key = GatewayKey(check_name(topics.site), check_name(topics.gateway))
        if leaf == "status":
            return key, _sane(decode_status(payload))
        parcel = open_parcel(payload)
        for sweep in parcel.sweeps:
            check_name(sweep.device)
        check_sender(topic, parcel.site, parcel.gateway)
    except ParcelError as err:
        raise Unreadable(f"parcel {err}") from err
    except ValueError as err:
        raise Unreadable(str(err)) from err
    if not (0 < parcel.id.epoch < _MAX_NUMBER and 0 < parcel.id.seq < _MAX_NUMBER and 0 <= parcel.dropped < 2**63):
        raise Unreadable(f"epoch {parcel.id.epoch}, seq {parcel.id.seq}, dropped {parcel.dropped}: out of range")
    return parcel


def _sane(status: Status) -> Status:
    numbers = [status.at, *status.counters.values()]
    if not 0 < status.epoch < _MAX_NUMBER or any(abs(number) >= 2**63 for number in numbers):
        raise Unreadable("a status with numbers out of range")
    for device in status.devices or ():
        _check_device(device)
    encode_status(status)  # half a surrogate pair is text to JSON, and to nothing that would keep or show it
    return status


def _check_device(device: DeviceInfo) -> None:
    """Raises ValueError for what no expectation and no figure could be made of."""
    check_name(device.name)
    _check_interval(device.name, device.interval_s)
    for point in device.points:
        where = f"{device.name}/{check_name(point.name)}"
        if point.interval_s is not None:
            _check_interval(where, point.interval_s)
        if point.modulus is not None and not (point.modulus.is_finite() and 0 < point.modulus <= _MAX_MODULUS):
            raise Unreadable(f"{where}: no register starts again at {point.modulus}")


def _check_interval(where: str, interval_s: Decimal) -> None:
    if not (interval_s.is_finite() and _SHORTEST_S <= interval_s <= _LONGEST_S):
        raise Unreadable(f"{where}: read each {interval_s} s, and not each {_SHORTEST_S} to {_LONGEST_S} s")


def told(before: Sequence[Status], new: Status) -> tuple[Status, ...]:
    """What a gateway said, in order: of each start of its agent the last, with the inventory that was told of it."""
    if not before or before[-1].epoch != new.epoch:
        return (*before, new)
    return (*before[:-1], new if new.devices is not None else replace(new, devices=before[-1].devices))
