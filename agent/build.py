"""From the plan to what runs: buses with their devices and poll groups, and the inventory for the centre."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from agent.budget import Budget, Load, budget
from agent.plan import BusPlan, DevicePlan, GatewayPlan
from agent.poller import PolledDevice
from agent.schedule import NS, PollGroup, poll_groups
from drivers.modbus.bus import ModbusBus, ModbusDevice, ModbusTcpBus
from metering.sweep import DeviceInfo
from wattline.clock import Clock
from wattline.errors import ConfigError

MakeBus = Callable[[BusPlan, Clock], ModbusBus]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBus:
    """A bus, its devices with their groups in the order of the plan, and whether it can carry them."""

    bus: ModbusBus
    devices: tuple[PolledDevice, ...]
    budget: Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """All that one gateway reads."""

    buses: tuple[PlannedBus, ...]
    inventory: tuple[DeviceInfo, ...]


def tcp_bus(plan: BusPlan, clock: Clock) -> ModbusBus:
    """The real thing."""
    return ModbusTcpBus(plan.name, plan.host, plan.port, timeout_s=plan.timeout_s, pause_s=plan.gap_s, clock=clock)


def build(plan: GatewayPlan, clock: Clock, make_bus: MakeBus = tcp_bus) -> Plant:
    """Everything prepared, nothing opened; raises ConfigError when a bus cannot carry its plan."""
    buses: list[PlannedBus] = []
    inventory: list[DeviceInfo] = []
    for bus_plan in plan.buses:
        bus = make_bus(bus_plan, clock)
        devices: list[PolledDevice] = []
        loads: list[Load] = []
        for device_plan in bus_plan.devices:
            profile = device_plan.profile
            device = bus.add_device(device_plan.name, device_plan.unit, profile, device_plan.points)
            groups = poll_groups(device.points, gauges_s=device_plan.gauges_s, counters_s=device_plan.counters_s)
            polled = PolledDevice(device=device, groups=groups)
            devices.append(polled)
            inventory.append(_info(bus, device, device_plan, groups))
            pause_s = max(profile.limits.min_pause_s, bus_plan.gap_s)
            loads += [
                Load(requests=len(polled.reader((place,)).requests), interval_ns=group.interval_ns, pause_s=pause_s)
                for place, group in enumerate(groups)
            ]
        planned = PlannedBus(bus=bus, devices=tuple(devices), budget=budget(loads))
        if not planned.budget.fits:
            raise ConfigError(
                f"bus {bus.name}: its reads need {planned.budget.least:.1f} s of each second even if every meter"
                " answered at once: read less often, fewer points, or with shorter pauses"
            )
        buses.append(planned)
    return Plant(buses=tuple(buses), inventory=tuple(inventory))


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
