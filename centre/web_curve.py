"""The load curve as the browser draws it: a value per interval of the day, its kind, and labels in the site's zone."""

from decimal import Decimal
from typing import Any, Final

from centre.plant import Node, Plant
from centre.views import Load, LoadPoint
from centre.web_format import local, scale, show
from centre.web_i18n import Words
from wattline.clock import NS

_KINDS: Final = {"M": "measured", "C": "measured"}


def peak(points: tuple[LoadPoint, ...]) -> LoadPoint | None:
    """The closed interval of the highest mean; the first of equals."""
    closed = [point for point in points if point.kw is not None and not point.open]
    return max(closed, key=lambda point: (point.kw or Decimal(0), -point.start_ns), default=None)


def span(point: LoadPoint, step_s: int, plant: Plant) -> tuple[str, str]:
    """The wall-clock times between which `point` is a mean; midnight at the end is 24:00."""
    end = f"{local(point.start_ns + step_s * NS, plant.zone):%H:%M}"
    return f"{local(point.start_ns, plant.zone):%H:%M}", "24:00" if end == "00:00" else end


def curve(plant: Plant, load: Load, node: Node, words: Words) -> dict[str, Any]:
    """JSON of the chart: `values[i]` is the mean of interval i in `unit` or null, `kinds[i]` how it was found.

    A day has 96 intervals of a quarter of an hour, 92 or 100 when summer time begins or ends; `labels` has one more.
    """
    points = load.nodes.get(node.id, ())
    known = [point.kw for point in points if point.kw is not None]
    unit, divisor = scale(max(map(abs, known), default=Decimal(0)), "kW")
    count = (load.end_ns - load.start_ns) // (load.step_s * NS)
    values: list[float | None] = [None] * count
    kinds: list[str] = ["ahead"] * count
    for point in points:
        place = (point.start_ns - load.start_ns) // (load.step_s * NS)
        values[place] = None if point.kw is None else float(point.kw / divisor)
        kinds[place] = _kind(point)
    labels = [f"{local(load.start_ns + place * load.step_s * NS, plant.zone):%H:%M}" for place in range(count)]
    return {
        "unit": unit,
        "values": values,
        "kinds": kinds,
        "labels": [*labels, "24:00"],
        "words": {kind: words(f"load.{kind}") for kind in ("measured", "estimated", "running", "gap")},
        "subtitle": words("load.subtitle", unit=unit),
        "summary": _summary(plant, load, node, words),
        "empty": "" if known else words("load.empty") if metered(node) else words("load.none"),
    }


def metered(node: Node) -> bool:
    """True when `node` or anything below it has an electricity meter."""
    return any(meter.carrier == "electricity" for part in node.walk() for meter in part.meters)


def _kind(point: LoadPoint) -> str:
    if point.kw is None:
        return "gap"
    return "running" if point.open else _KINDS.get(point.quality, "estimated")


def _summary(plant: Plant, load: Load, node: Node, words: Words) -> str:
    highest = peak(load.nodes.get(node.id, ()))
    if highest is None:
        return words("load.empty")
    start, end = span(highest, load.step_s, plant)
    return words("load.summary", name=words.named(node.name), peak=show(highest.kw, "kW"), start=start, end=end)
