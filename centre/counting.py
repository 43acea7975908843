"""Which registers of a plant are counted, and which of them check others; pure."""

from collections.abc import Iterator, Mapping, Sequence

from centre.carriers import Carrier
from centre.day import boundary, place_of
from centre.plant import BESIDE, Plant
from centre.points import MeterPoints, reactive_of
from centre.store.base import SeriesKey


def counted_of(plant: Plant, every: Sequence[MeterPoints]) -> Iterator[MeterPoints]:
    """What is counted of a plant: all its meters, and the reactive energy of those at the grid connection."""
    yield from every
    grid = boundary(plant.tree, Carrier.ELECTRICITY)[0]
    beside = [meter for node in plant.tree.children if node.id == BESIDE for meter in node.meters]
    places = {place_of(meter) for meter in (*grid, *beside)}
    for points in every:
        if place_of(points.meter) in places and (reactive := reactive_of(points)) is not None:
            yield reactive


def checks_of(counted: Mapping[SeriesKey, tuple[Plant, MeterPoints]]) -> dict[SeriesKey, SeriesKey]:
    """Counter -> that of its check meter: the same flow of the device, or else what it counts of the carrier."""
    known: dict[tuple[object, ...], SeriesKey] = {}
    for key, (_, points) in counted.items():
        if points.reactive:
            continue
        meter = points.meter
        known.setdefault((key.site, meter.device, meter.carrier), key)
        known[key.site, meter.device, meter.carrier, meter.flow] = key
    found: dict[SeriesKey, SeriesKey] = {}
    for key, (_, points) in counted.items():
        meter = points.meter
        place = (key.site, meter.check, meter.carrier)
        check = known.get((*place, meter.flow)) or known.get(place)
        if check is not None and check != key:
            found[key] = check
    return found
