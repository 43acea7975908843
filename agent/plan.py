"""What a gateway is to do, in plain objects: the settings after every check, with the profiles of the devices.

The running agent knows only these. Reading and checking YAML takes libraries of some 12 MB, which agent.apart keeps in
a process of their own.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

from drivers.modbus.profile import Profile
from wattline.broker_access import BrokerAccess


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlan:
    """One meter: `points` are names of points or quantities, None all the profile reads by itself."""

    name: str
    unit: int
    profile: Profile
    gauges_s: Decimal
    counters_s: Decimal
    points: tuple[str, ...] | None
    asset: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BusPlan:
    """One TCP connection and the devices behind it."""

    name: str
    host: str
    port: int
    timeout_s: float
    gap_s: float
    devices: tuple[DevicePlan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolPlan:
    """Where readings wait: at most `budget` bytes in `directory`."""

    directory: Path
    budget: int
    commit_interval_s: float
    seal_interval_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlan:
    """The whole gateway. `release`: what lets a parcel leave the spool."""

    site: str
    gateway: str
    broker: BrokerAccess
    spool: SpoolPlan
    release: Literal["store", "puback"]
    buses: tuple[BusPlan, ...]
