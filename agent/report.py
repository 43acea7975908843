"""What `wattline check` tells: the plan of a plant as data (for --json), and as text for people. Pure."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from textwrap import wrap
from typing import Any, Final

from agent.budget import Budget, TooMuch, budget
from agent.build import PlannedBus, Plant
from agent.plan import BusPlan, DevicePlan, GatewayPlan
from agent.poller import PolledDevice
from agent.schedule import NS
from drivers.modbus.refusals import Refusals, advice
from metering.sweep import DeviceInfo
from metering.topics import Topics
from wattline.units import duration_text

_WIDTH: Final = 100
_BUSY: Final = 0.8


def must_fit(plant: Plant, reply_s: float) -> None:
    """Raise TooMuch for the first bus that cannot carry its plan when its meters take `reply_s` to begin a reply."""
    for place, planned in enumerate(plant.buses):
        needed = budget(planned.loads, reply_s)
        if needed.usual > 1.0:
            why = needed.refusal(needed.usual, f"if each reply takes {reply_s * 1000:g} ms to begin")
            raise TooMuch(f"bus {planned.bus.name}: {why}", place)


def report(plan: GatewayPlan, plant: Plant, reply_s: float) -> dict[str, Any]:
    """The whole plan as JSON's types; `reply_s` is how long a meter takes to begin a reply."""
    topics = Topics(plan.site, plan.gateway)
    infos = {info.name: info for info in plant.inventory}
    devices = {device.name: device for bus in plan.buses for device in bus.devices}
    return {
        "site": plan.site,
        "gateway": plan.gateway,
        "broker": plan.broker.url,
        "released_by": plan.release,
        "publishes": {"readings": topics.readings, "status": topics.status},
        "listens": topics.committed if plan.release == "store" else None,
        "reply_s": reply_s,
        "warnings": list(_warnings(plan, plant, reply_s)),
        "buses": [
            _bus(
                planned,
                bus,
                budget(planned.loads, reply_s),
                [
                    _device(polled, infos[polled.device.name], devices[polled.device.name], asked.refusals)
                    for polled, asked in zip(planned.devices, planned.bus.devices, strict=True)
                ],
            )
            for bus, planned in zip(plan.buses, plant.buses, strict=True)
        ],
        "readings_per_day": sum(
            86400 * NS // group.interval_ns * len(group.points)
            for planned in plant.buses
            for polled in planned.devices
            for group in polled.groups
        ),
    }


def _warnings(plan: GatewayPlan, plant: Plant, reply_s: float) -> Iterator[str]:
    if plan.broker.exposed:
        yield f"{plan.broker.url}: readings leave this host unencrypted; use mqtts://"
    for bus, planned in zip(plan.buses, plant.buses, strict=True):
        for device, asked in zip(bus.devices, planned.bus.devices, strict=True):
            for each in advice(device.profile, asked.refusals):
                yield f"{device.name}: {each}"
            if device.allow_writes and (names := [one.name for one in device.profile.settings if one.write]):
                yield f"{device.name}: writes are allowed, {', '.join(names)}: see profile {device.profile.id}"
        needed = budget(planned.loads, reply_s)
        if needed.usual > _BUSY:
            likely = "does not fit" if needed.usual > 1.0 else "leaves little room for silent meters"
            yield f"bus {planned.bus.name}: {needed.needs(needed.usual)} {likely}; {needed.way_out}"


def _bus(planned: PlannedBus, plan: BusPlan, needed: Budget, devices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": planned.bus.name,
        "address": str(plan.over),
        "needs": needed.needs(needed.usual),
        "rush_s": round(needed.rush_s, 3),
        "shortest_interval_s": needed.shortest_s,
        "usual_share": round(needed.usual, 4),
        "devices": devices,
    }


def _device(polled: PolledDevice, info: DeviceInfo, plan: DevicePlan, refusals: Refusals) -> dict[str, Any]:
    verified = {point.name: point.verified for point in plan.profile.select([point.name for point in info.points])}
    return {
        "name": info.name,
        "unit": plan.unit,
        "profile": info.profile,
        "asset": info.asset,
        "polls": [
            {
                "every": duration_text(Decimal(group.interval_ns) / NS),
                "points": len(group.points),
                "requests": [request.what for request in polled.reader((place,)).requests],
                "registers": sum(request.registers for request in polled.reader((place,)).requests),
            }
            for place, group in enumerate(polled.groups)
        ],
        "points": [
            {
                "name": point.name,
                "unit": point.unit,
                "kind": point.kind.value,
                "verified": verified[point.name],
            }
            for point in info.points
        ],
        "quarantined": sorted(refusals.points),
    }


def text(plan: Mapping[str, Any], *, colour: bool) -> str:
    """The report for a terminal (`colour`), or plain."""
    return "\n".join(_lines(plan, _bold if colour else str))


def _bold(words: str) -> str:
    return f"\033[1m{words}\033[0m"


def _lines(plan: Mapping[str, Any], head: Callable[[str], str]) -> Iterator[str]:
    yield head(f"{plan['site']} / {plan['gateway']}")
    yield f"broker     {plan['broker']}"
    yield f"publishes  {plan['publishes']['readings']}"
    yield f"           {plan['publishes']['status']} (retained)"
    yield f"released   {'when the centre has stored it' if plan['listens'] else 'when the broker acknowledged it'}"
    yield f"readings   {plan['readings_per_day']:,} a day"
    for bus in plan["buses"]:
        yield ""
        yield head(f"bus {bus['name']} at {bus['address']}")
        yield (
            f"needs {bus['needs']} ({bus['usual_share']:.0%}) if each reply takes {plan['reply_s'] * 1000:g} ms to"
            f" begin; about {bus['rush_s']:.2f} s when all are due at once"
        )
        yield from _table(bus["devices"])
    yield from _points(plan, head)
    for warning in plan["warnings"]:
        yield ""
        yield f"warning: {warning}"


def _table(devices: list[Mapping[str, Any]]) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [
        ("device", "unit", "profile", "every", "points", "unverified", "requests", "registers", "reads")
    ]
    for device in devices:
        for place, poll in enumerate(device["polls"]):
            who = (device["name"], str(device["unit"]), device["profile"]) if place == 0 else ("", "", "")
            unverified = sum(not point["verified"] for point in device["points"]) if place == 0 else 0
            rows.append(
                (
                    *who,
                    poll["every"],
                    str(poll["points"]),
                    str(unverified or ""),
                    str(len(poll["requests"])),
                    str(poll["registers"]),
                    ", ".join(poll["requests"]),
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for device in devices:
        if device["quarantined"]:
            yield f"  {device['name']}: in quarantine, the meter refused them: {', '.join(device['quarantined'])}"


def _points(plan: Mapping[str, Any], head: Callable[[str], str]) -> Iterator[str]:
    """The points once for all devices that deliver the same."""
    by_points: dict[tuple[str, ...], list[str]] = {}
    for bus in plan["buses"]:
        for device in bus["devices"]:
            points = tuple(
                f"{point['name']}{'' if point['verified'] else '*'} [{point['unit']}]" for point in device["points"]
            )
            by_points.setdefault(points, []).append(device["name"])
    yield ""
    yield head("points (* not verified by two sources: compare with the meter's display)")
    for points, devices in by_points.items():
        yield from wrap(f"{', '.join(devices)}:", _WIDTH, initial_indent="  ", subsequent_indent="  ")
        yield from wrap(", ".join(points), _WIDTH, initial_indent="    ", subsequent_indent="    ")
