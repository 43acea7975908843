"""What `wattline profiles list|show|test` say: profiles as rows and text, and whether their files are sound. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from drivers.modbus import catalogue
from drivers.modbus.plan import plan
from drivers.modbus.profile import Computed, Point, Profile, WordOrder
from drivers.modbus.sweep_decoder import SweepDecoder
from wattline.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRow:
    """One line of `wattline profiles list`. `points` counts what is read by itself, of which `verified` are so by two
    independent sources; `requests` is what one sweep of them takes. `own`: from the plant's folder."""

    id: str
    manufacturer: str
    model: str
    medium: str
    serial: str | None
    points: int
    verified: int
    requests: int
    own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileCheck:
    """One line of `wattline profiles test`: `error` is empty when the file is sound, else one line for each mistake.

    `points` counts what is read by itself and on request, of which `unverified` have one source or a conflict.
    """

    id: str
    path: Path
    error: str
    notices: tuple[str, ...] = ()
    points: int = 0
    unverified: int = 0

    @property
    def passed(self) -> bool:
        return not self.error


def rows(extra_dir: Path | None = None, search: str = "") -> tuple[ProfileRow, ...]:
    """The profiles whose id, manufacturer, model or medium holds the words of `search`, by id.

    Raises ConfigError for a wrong file.
    """
    found = (row_of(catalogue.load(name, extra_dir), extra_dir) for name in catalogue.names(extra_dir))
    words = search.lower().split()
    return tuple(
        row
        for row in found
        if all(word in f"{row.id} {row.manufacturer} {row.model} {row.medium}".lower() for word in words)
    )


def row_of(profile: Profile, extra_dir: Path | None = None) -> ProfileRow:
    """The row of one profile."""
    standard = profile.select(None)
    blocks = plan(profile.registers_of([point.name for point in standard]), profile.limits, profile.points.values())
    return ProfileRow(
        id=profile.id,
        manufacturer=profile.manufacturer,
        model=profile.model,
        medium=profile.medium,
        serial=profile.serial,
        points=len(standard),
        verified=sum(point.verified for point in standard),
        requests=len(blocks),
        own=extra_dir is not None and (extra_dir / f"{profile.id}.yaml").is_file(),
    )


def show(profile: Profile) -> Iterable[str]:
    """The lines of `wattline profiles show`: what an electrician compares with the manual and the display."""
    yield f"{profile.id}: {profile.manufacturer} {profile.model} ({profile.medium})"
    yield f"manual: {profile.manual}"
    yield from (f"source: {source}" for source in profile.sources)
    yield f"factory setting: unit {profile.default_unit}" + (f", {profile.serial}" if profile.serial else "")
    if profile.sunspec:
        yield f"SunSpec model {' or '.join(map(str, profile.sunspec))}: found at first contact, addresses may move"
    yield from (f"known by: {probe.name} is {' or '.join(map(str, probe.values))}" for probe in profile.probes)
    for setting in profile.settings:
        what = "written where it differs and the device has allow_writes: true" if setting.write else "never written"
        yield f"must read: {setting.name} = {setting.value}, else no value counts; {what}"
    if profile.notes:
        yield f"notes: {profile.notes}"
    yield "points (* one source or a conflict, ? read on request):"
    every: list[Point | Computed] = [*profile.points.values(), *profile.computed.values()]
    width = max(len(point.name) for point in every)
    for point in every:
        marks = ("*" if not point.verified else "") + ("?" if point.on_request else "")
        where = _register(point) if isinstance(point, Point) else f"computed: {formula(point)}"
        note = f"  ({point.note})" if point.note else ""
        yield f"  {point.name:<{width}} {marks:<2} {point.unit:<5} {where}{note}"


def formula(computed: Computed) -> str:
    """`a + b - c`."""
    return " - ".join((" + ".join(computed.plus), *computed.minus))


def _register(point: Point) -> str:
    order = ", low word first" if point.word_order is WordOrder.LITTLE and point.type.registers > 1 else ""
    scale = f" x {point.scale:f}" if point.scale != 1 else ""
    factors = "".join(f" x {name}" for name in point.multiply_by)
    return f"{point.table} {point.address} {point.type}{order}{scale}{factors}"


def check(profile_id: str, extra_dir: Path | None = None) -> ProfileCheck:
    """Whether the file of a profile is sound: it loads, its reads can be planned, every point can be decoded."""
    path = catalogue.find(profile_id, extra_dir)
    try:
        profile = catalogue.load(profile_id, extra_dir)
    except ConfigError as err:
        return ProfileCheck(id=profile_id, path=path, error=str(err))
    left = _undecoded(profile)
    error = f"{path}: never a value and never a fault: {', '.join(left)}" if left else ""
    every: list[Point | Computed] = [*profile.points.values(), *profile.computed.values()]
    return ProfileCheck(
        id=profile_id,
        path=path,
        error=error,
        notices=tuple(_notices(profile)),
        points=len(every),
        unverified=sum(not point.verified for point in every),
    )


def check_all(extra_dir: Path | None = None) -> tuple[ProfileCheck, ...]:
    """`check` of every profile, shipped or in the folder."""
    return tuple(check(profile_id, extra_dir) for profile_id in catalogue.names(extra_dir))


def _undecoded(profile: Profile) -> list[str]:
    """Points of which registers of zeros make neither a value nor a fault: there must be none."""
    names = [*profile.points, *profile.computed]
    blocks = plan(profile.registers_of(names), profile.limits, profile.points.values())
    decoder = SweepDecoder(blocks, names, tuple(profile.computed.values()))
    values, faults, _ = decoder.decode([bytes(2 * block.count) for block in blocks])
    return [name for name in names if name not in values and name not in faults]


def _notices(profile: Profile) -> Iterable[str]:
    if not profile.select(None):
        yield "reads nothing by itself: every point is on request"
    if profile.writes:
        yield "writes before reading: a device of it needs allow_writes: true"
    if not profile.sources:
        yield "names no source beside its manual"
