"""The gateway's status message: who it is, how it fares, and what devices and points the centre may expect of it.

Retained on `.../status`. The last will is a status with state `lost` and no devices: the centre keeps the inventory it
had.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from metering.quantities import Kind
from metering.sweep import DeviceInfo, PointInfo
from metering.topics import VERSION, decode_json


class State(StrEnum):
    """Of the gateway's connection."""

    ONLINE = "online"
    STOPPED = "stopped"  # said good-bye
    LOST = "lost"  # the broker says so, by the last will


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`counters` are cumulative since the start of this epoch unless their name says otherwise."""

    state: State
    software: str
    epoch: int
    at: int  # UTC nanoseconds when this was said
    counters: Mapping[str, int]
    devices: tuple[DeviceInfo, ...] | None = None


def encode_status(status: Status) -> bytes:
    """JSON; decimals as text, so that they stay exact."""
    message: dict[str, Any] = {
        "version": VERSION,
        "state": status.state.value,
        "software": status.software,
        "epoch": status.epoch,
        "at": status.at,
        "counters": dict(status.counters),
    }
    if status.devices is not None:
        message["devices"] = [_device(device) for device in status.devices]
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def _device(device: DeviceInfo) -> dict[str, Any]:
    return {
        "name": device.name,
        "bus": device.bus,
        "profile": device.profile,
        "interval_s": str(device.interval_s),
        "asset": device.asset,
        "points": [
            {"name": p.name, "unit": p.unit, "kind": p.kind.value}
            | ({} if p.modulus is None else {"modulus": str(p.modulus)})
            | ({} if p.interval_s is None else {"interval_s": str(p.interval_s)})
            for p in device.points
        ],
    }


def decode_status(payload: bytes) -> Status:
    """Raises ValueError, saying why, when the payload is not a status of this version."""
    message = decode_json(payload)
    try:
        devices = message.get("devices")
        return Status(
            state=State(message["state"]),
            software=str(message["software"]),
            epoch=int(message["epoch"]),
            at=int(message["at"]),
            counters={str(name): int(count) for name, count in message["counters"].items()},
            devices=None if devices is None else tuple(_device_info(device) for device in devices),
        )
    except (KeyError, TypeError, AttributeError, ArithmeticError) as err:
        raise ValueError(f"status message: {type(err).__name__}: {err}") from err


def _device_info(device: Mapping[str, Any]) -> DeviceInfo:
    asset = device.get("asset")
    return DeviceInfo(
        name=str(device["name"]),
        bus=str(device["bus"]),
        profile=str(device["profile"]),
        interval_s=Decimal(str(device["interval_s"])),
        asset=None if asset is None else str(asset),
        points=tuple(
            PointInfo(
                name=str(point["name"]),
                unit=str(point["unit"]),
                kind=Kind(point["kind"]),
                modulus=Decimal(str(point["modulus"])) if "modulus" in point else None,
                interval_s=Decimal(str(point["interval_s"])) if "interval_s" in point else None,
            )
            for point in device["points"]
        ),
    )
