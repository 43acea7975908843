"""Loading a plant file, and the checks that need more than one of its keys."""

from collections import Counter
from pathlib import Path

from drivers.simulation.plant_file import PlantFile, carrier_of
from drivers.simulation.shapes import WEEK_S
from wattline.strict_yaml import Document, KeyPath, load_file, validate


def load_plant_file(path: Path) -> tuple[PlantFile, Document]:
    """The checked file, and the document for messages about what only the physics can tell. Raises ConfigError."""
    document = load_file(path)
    plant = validate(PlantFile, document)
    _check_names(plant, document)
    _check_times(plant, document)
    _check_tree(plant, document)
    _check_meters(plant, document)
    _check_faults(plant, document)
    return plant, document


def _check_names(plant: PlantFile, document: Document) -> None:
    seen: dict[str, str] = {}
    for table in ("loads", "sources", "nodes"):
        for name in getattr(plant, table):
            if name in seen:
                raise document.error((table, name), f"this name is taken by {seen[name]}")
            seen[name] = f"{table}.{name}"
    for name, load in plant.loads.items():
        if load.shift not in plant.shifts:
            raise document.error(("loads", name, "shift"), f"{load.shift} is not among the shifts")


def _check_times(plant: PlantFile, document: Document) -> None:
    for name, load in plant.loads.items():
        if load.cycle is not None and (load.cycle.period < 1 or WEEK_S % load.cycle.period):
            raise document.error(
                ("loads", name, "cycle", "period"),
                "must divide a week of seconds: 45s, 60s, 90s, 2min, 5min, 7min, ...",
            )
    for name, source in plant.sources.items():
        if source.sunset - source.sunrise < 4 * 3600:
            raise document.error(("sources", name, "sunset"), "must be at least four hours after sunrise")


def _check_tree(plant: PlantFile, document: Document) -> None:
    """What is fed exists, is fed once, is of one carrier, and no node feeds itself."""
    parent: dict[str, str] = {}
    for name, node in plant.nodes.items():
        for place, fed in enumerate(node.feeds):
            path: KeyPath = ("nodes", name, "feeds", place)
            if fed not in plant.loads and fed not in plant.nodes:
                raise document.error(path, f"{fed} is neither a load nor a node")
            if fed in parent:
                raise document.error(path, f"{fed} is fed by {parent[fed]} already")
            parent[fed] = name
        for place, source in enumerate(node.sources):
            if source not in plant.sources:
                raise document.error(("nodes", name, "sources", place), f"{source} is not among the sources")
            if source in parent:
                raise document.error(("nodes", name, "sources", place), f"{source} feeds {parent[source]} already")
            parent[source] = name
    for name in plant.nodes:
        above = name
        for _ in plant.nodes:
            above = parent.get(above, above)
            if above == name and parent.get(name) is not None:
                raise document.error(("nodes", name, "feeds"), "feeds itself in the end")
    for name, node in plant.nodes.items():
        carriers = {carrier_of(plant, fed) for fed in (*node.feeds, *node.sources)}
        if len(carriers) > 1:
            raise document.error(("nodes", name, "feeds"), f"mixes {' and '.join(sorted(carriers))}")


def _check_faults(plant: PlantFile, document: Document) -> None:
    meters = {meter.name for meter in plant.meters}
    for place, mishap in enumerate(plant.faults):
        if mishap.meter not in meters:
            raise document.error(("faults", place, "meter"), f"{mishap.meter} is not among the meters")


def _check_meters(plant: PlantFile, document: Document) -> None:
    for what, names in (
        ("endpoint", [endpoint.name for endpoint in plant.endpoints]),
        ("address", [endpoint.place for endpoint in plant.endpoints if not endpoint.place.endswith(":0")]),
        ("meter", [meter.name for meter in plant.meters]),
    ):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise document.error(("endpoints",), f"the {what} {twice[0]} stands here twice")
    for at, endpoint in enumerate(plant.endpoints):
        units: set[int] = set()
        for place, meter in enumerate(endpoint.meters):
            path = ("endpoints", at, "meters", place)
            if meter.unit in units:
                raise document.error((*path, "unit"), f"unit {meter.unit} is taken on {endpoint.name}")
            units.add(meter.unit)
            if meter.measures not in plant.loads.keys() | plant.nodes.keys() | plant.sources.keys():
                raise document.error((*path, "measures"), f"{meter.measures} is no load, node or source")
