"""What came from the broker, read: a parcel or a status of a gateway, or why it is none. Pure."""

from typing import Final

from centre.store.base import GatewayKey
from metering.lineprotocol import check_name
from metering.parcel import ParcelError, Received, open_parcel
from metering.status import Status, decode_status
from metering.topics import check_sender, parse_topic

_MAX_NUMBER: Final = 2**53  # of an epoch or a seq: exact in every JSON reader, and far more than can come


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
    return status


def newer(old: Status | None, new: Status) -> Status:
    """The later status, with the inventory of the earlier one where it brings none."""
    if old is None or new.devices is not None:
        return new
    return Status(
        state=new.state,
        software=new.software,
        epoch=new.epoch,
        at=new.at,
        counters=new.counters,
        devices=old.devices,
    )
