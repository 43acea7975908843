"""The completeness of today in words: nothing is missing, or exactly what is."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from centre.accounting.hours import HOUR_NS, DeviceHour
from centre.plant import Plant
from centre.views import DeviceHours, Doubt, Hours
from centre.web_format import local
from centre.web_i18n import Words

_MOST_LINES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class HoursView:
    """`whole`: nothing is missing. `lines` are (device, what is missing of it), `doubts` (gateway, doubtful times)."""

    whole: bool
    summary: str
    lines: tuple[tuple[str, str], ...]
    more: str
    doubts: tuple[tuple[str, str], ...]


def hours_view(plant: Plant, found: Hours, words: Words) -> HoursView:
    """The day so far; the devices that miss most come first."""
    ill = [(device, _gone(device.hours)) for device in found.devices]
    ill = sorted([pair for pair in ill if pair[1]], key=lambda pair: (-pair[1], pair[0].device))
    counts = {"expected": f"{found.expected:,}", "received": f"{found.received:,}", "faulty": f"{found.faulty:,}"}
    if not found.expected:
        summary = words("hours.nothing_expected")
    elif not ill:
        summary = words("hours.whole_with_faults" if found.faulty else "hours.whole", **counts)
    else:
        summary = words("hours.missing", count=f"{found.missing + found.lost:,}", **counts)
    left = len(ill) - _MOST_LINES
    return HoursView(
        whole=not ill,
        summary=summary,
        lines=tuple((device.device, _line(device, plant, words)) for device, _ in ill[:_MOST_LINES]),
        more=words("hours.more", count=left) if left > 0 else "",
        doubts=tuple((doubt.gateway, _doubt(doubt, plant, words)) for doubt in found.doubtful),
    )


def _doubt(doubt: Doubt, plant: Plant, words: Words) -> str:
    """`3,600 readings, 10:00 to 12:00: nobody kept the gateway's clock right`."""
    why = words.get(f"hours.doubt.{doubt.quality}", doubt.quality)
    return words(
        "hours.doubtful", count=f"{doubt.readings:,}", span=_span(doubt.from_ns, doubt.to_ns, plant, words), why=why
    )


def _gone(hours: tuple[DeviceHour, ...]) -> int:
    return sum(hour.missing + sum(hour.lost.values()) for hour in hours)


def _line(device: DeviceHours, plant: Plant, words: Words) -> str:
    """`3,600 missing, 12 lost (dropped at the gateway): 10:00 to 12:00`."""
    counts = {"missing": sum(hour.missing for hour in device.hours)}
    for hour in device.hours:
        for cause, count in hour.lost.items():
            counts[cause] = counts.get(cause, 0) + count
    parts = tuple(words(f"hours.count.{kind}", count=f"{count:,}") for kind, count in counts.items() if count)
    return words("hours.line", counts=words.listed(parts), spans=words.listed(_spans(device, plant, words)))


def _spans(device: DeviceHours, plant: Plant, words: Words) -> tuple[str, ...]:
    """The hours in which something is gone, those that follow each other as one."""
    gone = [hour.start_ns for hour in device.hours if hour.missing or hour.lost]
    starts = [gone[0], *(later for earlier, later in pairwise(gone) if later - earlier > HOUR_NS)]
    ends = [*(earlier for earlier, later in pairwise(gone) if later - earlier > HOUR_NS), gone[-1]]
    return tuple(_span(start, end + HOUR_NS, plant, words) for start, end in zip(starts, ends, strict=True))


def _span(start: int, end: int, plant: Plant, words: Words) -> str:
    return words("hours.span", start=f"{local(start, plant.zone):%H:%M}", end=f"{local(end, plant.zone):%H:%M}")
