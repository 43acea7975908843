"""From settings to what runs: buses with their devices and poll groups, and the inventory for the centre."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from agent.budget import Budget, Load, budget
from agent.poller import PolledDevice
from agent.schedule import NS, PollGroup, poll_groups
from agent.settings import AgentSettings, BusSettings, DeviceSettings
from drivers.modbus.bus import ModbusBus, ModbusDevice, ModbusTcpBus
from metering.sweep import DeviceInfo
from wattline.clock import Clock
from wattline.strict_yaml import ConfigError

MakeBus = Callable[[BusSettings, Clock], ModbusBus]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBus:
    """A bus, its devices with their groups in the order of the settings, and whether it can carry them."""

    bus: ModbusBus
    devices: tuple[PolledDevice, ...]
    budget: Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """All that one gateway reads."""

    buses: tuple[PlannedBus, ...]
    inventory: tuple[DeviceInfo, ...]


def tcp_bus(settings: BusSettings, clock: Clock) -> ModbusBus:
    """The real thing."""
    return ModbusTcpBus(
        settings.name,
        settings.host,
        settings.port,
        timeout_s=float(settings.timeout),
        pause_s=float(settings.gap),
        clock=clock,
    )


def build(settings: AgentSettings, clock: Clock, make_bus: MakeBus = tcp_bus) -> Plant:
    """Everything prepared, nothing opened; raises ConfigError when a bus cannot carry its plan."""
    buses: list[PlannedBus] = []
    inventory: list[DeviceInfo] = []
    for bus_settings in settings.buses:
        bus = make_bus(bus_settings, clock)
        devices: list[PolledDevice] = []
        loads: list[Load] = []
        for device_settings in bus_settings.devices:
            profile = settings.profile(device_settings)
            device = bus.add_device(device_settings.name, device_settings.unit, profile, device_settings.points)
            every = device_settings.every
            groups = poll_groups(device.points, gauges_s=every.gauges, counters_s=every.counters)
            devices.append(PolledDevice(device=device, groups=groups))
            inventory.append(_info(bus, device, device_settings, groups))
            pause_s = max(profile.limits.min_pause_s, float(bus_settings.gap))
            loads += [
                Load(requests=len(device.reader(group.points).requests), interval_ns=group.interval_ns, pause_s=pause_s)
                for group in groups
            ]
        planned = PlannedBus(bus=bus, devices=tuple(devices), budget=budget(loads))
        if not planned.budget.fits:
            raise ConfigError(
                f"bus {bus.name}: its reads need {planned.budget.least:.1f} s of each second even if every meter"
                " answered at once: read less often, fewer points, or with shorter pauses"
            )
        buses.append(planned)
    return Plant(buses=tuple(buses), inventory=tuple(inventory))


def _info(bus: ModbusBus, device: ModbusDevice, settings: DeviceSettings, groups: tuple[PollGroup, ...]) -> DeviceInfo:
    shortest = groups[0].interval_ns
    own = {point: group.interval_ns for group in groups if group.interval_ns != shortest for point in group.points}
    return DeviceInfo(
        name=device.name,
        bus=bus.name,
        profile=device.profile.id,
        interval_s=_seconds(shortest),
        asset=settings.asset,
        points=tuple(
            replace(point, interval_s=_seconds(own[point.name])) if point.name in own else point
            for point in device.points
        ),
    )


def _seconds(ns: int) -> Decimal:
    return Decimal(ns) / NS
