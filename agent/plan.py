"""What a gateway is to do, in plain objects: the settings after every check, with the profiles of the devices.

The running agent knows only these. Reading and checking YAML takes libraries of some 12 MB, which agent.apart keeps in
a process of their own.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

from drivers.modbus.profile import Profile
from drivers.modbus.serial_line import SerialLine
from wattline.broker_access import BrokerAccess
from wattline.secrets import SecretRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """What a connection carries at most; voltage from a line to neutral. None: not known."""

    power_w: Decimal | None = None
    current_a: Decimal | None = None
    voltage_v: Decimal | None = None


UNRATED: Final = Rated()


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlan:
    """One meter: `points` are names of points or quantities, None all the profile reads by itself.

    `allow_writes`: what the profile writes before reading may be written. `pipeline`: how many requests it takes at
    once.
    """

    name: str
    unit: int
    profile: Profile
    gauges_s: Decimal
    counters_s: Decimal
    points: tuple[str, ...] | None
    asset: str | None
    rated: Rated = UNRATED
    allow_writes: bool = False
    pipeline: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPlan:
    """A host and a port in the network."""

    host: str
    port: int

    @property
    def endpoint(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return self.endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpPlan(EndpointPlan):
    """Modbus TCP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPlan(EndpointPlan):
    """Modbus TCP inside TLS. Files in PEM; `name` must stand in the server's certificate, None: the host."""

    ca: SecretRef | None
    certificate: SecretRef | None
    key: SecretRef | None
    name: str | None

    def __str__(self) -> str:
        return f"{self.endpoint} (TLS)"


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpPlan(EndpointPlan):
    """Modbus over UDP."""

    def __str__(self) -> str:
        return f"{self.endpoint} (UDP)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RtuOverTcpPlan(EndpointPlan):
    """A converter that passes RTU frames on unchanged."""

    def __str__(self) -> str:
        return f"{self.endpoint} (RTU over TCP)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialPlan:
    """A serial port; with `rs485` the kernel switches the direction of its transceiver. RTU, or else `ascii`."""

    port: Path
    line: SerialLine
    rs485: bool
    ascii: bool = False

    def read_s(self, registers: int) -> float:
        """Seconds a read of `registers` takes at least."""
        return (2 if self.ascii else 1) * self.line.read_s(registers)

    def __str__(self) -> str:
        return f"{self.port} ({self.line}{', ASCII' if self.ascii else ''})"


LinkPlan = TcpPlan | TlsPlan | UdpPlan | RtuOverTcpPlan | SerialPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class BusPlan:
    """One connection or serial port and the devices behind it.

    `timeout_s` is how long a server may take for a whole answer, or a meter on a serial line to begin its own.
    """

    name: str
    over: LinkPlan
    timeout_s: float
    gap_s: float
    devices: tuple[DevicePlan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolPlan:
    """Where readings wait: at most `budget` bytes in `directory`; until then, in RAM, in `side_directory` too.

    `history_s`: how long they stay when the store has them; all of them, or those that lay on disk anyway.
    """

    directory: Path
    budget: int
    commit_interval_s: float
    seal_interval_s: float
    side_directory: Path | None = None
    history_s: float = 0.0
    history_of: Literal["all", "outages"] = "all"

    @property
    def keeps_all(self) -> bool:
        """Whether parcels are kept, too, that were never on disk."""
        return self.history_s > 0 and self.history_of == "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlan:
    """The whole gateway. `release`: what lets a parcel leave the spool."""

    site: str
    gateway: str
    broker: BrokerAccess
    spool: SpoolPlan
    release: Literal["store", "puback"]
    buses: tuple[BusPlan, ...]
