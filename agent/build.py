"""From the plan to what runs: buses with their devices and poll groups, and the inventory for the centre."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from agent.budget import Budget, Load, TooMuch, budget
from agent.identity import NAME as METERS
from agent.identity import IdentityBook
from agent.plan import BusPlan, DevicePlan, GatewayPlan, RtuOverTcpPlan, SerialPlan, TcpPlan, TlsPlan, UdpPlan
from agent.poller import PolledDevice
from agent.quality import Plausibility
from agent.schedule import NS, PollGroup, poll_groups
from drivers.base import Request
from drivers.modbus.bus import ModbusBus, ModbusDevice, ModbusNetworkBus, ModbusTcpBus
from drivers.modbus.refusal_book import NAME as QUARANTINE
from drivers.modbus.refusal_book import RefusalBook
from metering.quantities import IDENTITY
from metering.sweep import DeviceInfo
from wattline.clock import Clock
from wattline.events import EventLog

MakeBus = Callable[[BusPlan, Clock], ModbusBus]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBus:
    """A bus, its devices with their groups in the order of the plan, and whether it can carry their `loads`."""

    bus: ModbusBus
    devices: tuple[PolledDevice, ...]
    loads: tuple[Load, ...]
    budget: Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """All that one gateway reads."""

    buses: tuple[PlannedBus, ...]
    inventory: tuple[DeviceInfo, ...]
    refusals: RefusalBook
    plausibility: Mapping[str, Plausibility]
    identities: IdentityBook


def real_bus(plan: BusPlan, clock: Clock) -> ModbusBus:
    """The real thing."""
    # what only some gateways need is imported here: the others need not hold it
    over, timeout_s = plan.over, plan.timeout_s
    log = EventLog(bus=plan.name)
    if isinstance(over, TcpPlan):
        return ModbusTcpBus(plan.name, over.host, over.port, timeout_s=timeout_s, pause_s=plan.gap_s, clock=clock)
    if isinstance(over, TlsPlan):
        from drivers.modbus.tls import TlsFiles, TlsLink  # noqa: PLC0415

        files = TlsFiles(ca=over.ca, certificate=over.certificate, key=over.key, name=over.name)
        tls = TlsLink(over.host, over.port, timeout_s, log, files)
        return ModbusNetworkBus(plan.name, tls, clock, pause_s=plan.gap_s)
    if isinstance(over, UdpPlan):
        from drivers.modbus.udp import UdpLink  # noqa: PLC0415

        return ModbusNetworkBus(plan.name, UdpLink(over.host, over.port, timeout_s, log), clock, pause_s=plan.gap_s)
    if isinstance(over, RtuOverTcpPlan):
        from drivers.modbus.rtu_over_tcp import RtuOverTcpLink  # noqa: PLC0415
        from drivers.modbus.serial_bus import ModbusLineBus  # noqa: PLC0415

        rtu = RtuOverTcpLink(over.host, over.port, timeout_s, log)
        return ModbusLineBus(plan.name, rtu, clock, pause_s=plan.gap_s)
    from drivers.modbus.serial_bus import ModbusRtuBus  # noqa: PLC0415

    return ModbusRtuBus(
        plan.name,
        over.port,
        over.line,
        turnaround_s=timeout_s,
        rs485=over.rs485,
        ascii=over.ascii,
        pause_s=plan.gap_s,
        clock=clock,
    )


def build(plan: GatewayPlan, clock: Clock, make_bus: MakeBus = real_bus) -> Plant:
    """Everything prepared, nothing opened; raises TooMuch when a bus cannot carry its plan.

    What the meters refused before, as the spool's directory remembers it, is left out of the reads.
    """
    refusals = RefusalBook(plan.spool.directory / QUARANTINE)
    buses: list[PlannedBus] = []
    inventory: list[DeviceInfo] = []
    plausibility: dict[str, Plausibility] = {}
    for bus_plan in plan.buses:
        bus = make_bus(bus_plan, clock)
        bus.refusals = refusals
        bus.where = str(bus_plan.over)
        devices: list[PolledDevice] = []
        loads: list[Load] = []
        for device_plan in bus_plan.devices:
            profile = device_plan.profile
            device = bus.add_device(device_plan.name, device_plan.unit, profile, _points(device_plan))
            plausibility[device.name] = Plausibility(device.points, device_plan.rated)
            device.allow_writes = device_plan.allow_writes
            device.pipeline = device_plan.pipeline
            groups = poll_groups(device.points, gauges_s=device_plan.gauges_s, counters_s=device_plan.counters_s)
            polled = PolledDevice(device=device, groups=groups)
            devices.append(polled)
            inventory.append(_info(bus, device, device_plan, groups))
            pause_s = max(profile.limits.min_pause_s, bus_plan.gap_s)
            loads += [
                _load(polled.reader((place,)).requests, group.interval_ns, pause_s, bus_plan)
                for place, group in enumerate(groups)
            ]
        planned = PlannedBus(bus=bus, devices=tuple(devices), loads=tuple(loads), budget=budget(loads))
        if not planned.budget.fits:
            why = planned.budget.refusal(planned.budget.least, "even if every meter answered at once")
            raise TooMuch(f"bus {bus.name}: {why}", len(buses))
        buses.append(planned)
    return Plant(
        buses=tuple(buses),
        inventory=tuple(inventory),
        refusals=refusals,
        plausibility=plausibility,
        identities=IdentityBook(plan.spool.directory / METERS),
    )


def _points(plan: DevicePlan) -> tuple[str, ...] | None:
    """What to read: where nothing was chosen, the identity of the meter too, so that a change of it is seen."""
    identity = plan.profile.points.get(IDENTITY)
    if plan.points is not None or identity is None or not identity.verified:
        return plan.points
    return (*(point.name for point in plan.profile.select(None)), IDENTITY)


def _load(requests: Sequence[Request], interval_ns: int, pause_s: float, plan: BusPlan) -> Load:
    over = plan.over
    wire_s = sum(over.read_s(each.registers) for each in requests) if isinstance(over, SerialPlan) else 0.0
    return Load(requests=len(requests), interval_ns=interval_ns, pause_s=pause_s, wire_s=wire_s)


def _info(bus: ModbusBus, device: ModbusDevice, plan: DevicePlan, groups: tuple[PollGroup, ...]) -> DeviceInfo:
    shortest = groups[0].interval_ns
    own = {point: group.interval_ns for group in groups if group.interval_ns != shortest for point in group.points}
    return DeviceInfo(
        name=device.name,
        bus=bus.name,
        profile=device.profile.id,
        interval_s=_seconds(shortest),
        asset=plan.asset,
        points=tuple(
            replace(point, interval_s=_seconds(own[point.name])) if point.name in own else point
            for point in device.points
        ),
    )


def _seconds(ns: int) -> Decimal:
    return Decimal(ns) / NS
