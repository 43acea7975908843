"""Doubts: of which readings of each gateway the times are not certain. Pure."""

from collections.abc import Iterable

from centre.accounting.hours import HOUR_NS
from centre.views import DeviceHours, Doubt


def doubts(devices: Iterable[DeviceHours]) -> tuple[Doubt, ...]:
    """By gateway and reason; from the first hour with such readings to the end of the last."""
    found: dict[tuple[str, str], tuple[int, int, int]] = {}
    for device in devices:
        for hour in device.hours:
            for quality, count in hour.doubtful.items():
                begin, end = hour.start_ns, hour.start_ns + HOUR_NS
                readings, first, last = found.get((device.gateway, quality), (0, begin, end))
                found[device.gateway, quality] = readings + count, min(first, begin), max(last, end)
    return tuple(
        Doubt(gateway=gateway, quality=quality, readings=readings, from_ns=first, to_ns=last)
        for (gateway, quality), (readings, first, last) in sorted(found.items())
    )
