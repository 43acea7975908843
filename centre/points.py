"""Which points of a device serve its place in the tree: the counter that counts, the gauge that shows it live."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from centre.accounting.registers import RegisterRule
from centre.accounting.utilities import TRADE
from centre.carriers import CARRIERS, REACTIVE_COUNTERS, REACTIVE_UNIT, Carrier, Flow, counters_for, pick
from centre.plant import Meter, Plant
from centre.steam import MASS_COUNTERS, MASS_UNIT
from centre.store.base import SeriesKey, Store
from metering.sweep import DeviceInfo, PointInfo
from wattline.clock import NS, Clock

_FRESH_S: Final = 5.0
_BOUGHT: Final = (Carrier.ELECTRICITY, Flow.IMPORT)
_DAY_NS: Final = 86_400 * NS
_RULES: Final = 3  # raise it when the accounting changes: every interval is computed again


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPoints:
    """A meter of the tree with what its gateway says of the device; all None until the gateway has named it."""

    meter: Meter
    gateway: str | None = None
    info: DeviceInfo | None = None
    counter: SeriesKey | None = None
    gauge: SeriesKey | None = None
    interval_s: Decimal | None = None
    pulse_interval_s: Decimal | None = None
    modulus: Decimal | None = None
    epochs: tuple[int, ...] = ()
    integrated: bool = False
    """The meter has no register: `counter` is its gauge, whose integral is the amount."""
    reactive: bool = False
    """`counter` counts the reactive energy that came with what the meter counts."""

    @property
    def unit(self) -> str:
        return REACTIVE_UNIT if self.reactive else CARRIERS[self.meter.carrier].unit

    @property
    def register_unit(self) -> str:
        """What the register shows, where it is not `unit` times a plain factor."""
        return MASS_UNIT if self.meter.steam else self.unit

    @property
    def pulse(self) -> SeriesKey | None:
        """The series that shows whether the meter answers: its gauge, or its counter when it is read for no gauge."""
        return self.gauge or self.counter

    @property
    def sign(self) -> int:
        """-1 when the counter counts against the direction in which the gauge is positive."""
        point = "" if self.counter is None else self.counter.point
        return -1 if "_export" in point else 1

    @property
    def rule(self) -> RegisterRule:
        told = self.meter.replaced
        return RegisterRule(
            modulus=self.modulus,
            limit=self.meter.limit,
            replacements=told,
            states=tuple((one.since or 0, one.kwh_per_kg) for one in self.meter.steam),
            # what somebody wrote down says more than what was noticed
            epochs=tuple(at for at in self.epochs if all(abs(change.at - at) > _DAY_NS for change in told)),
        )

    @property
    def max_gap_ns(self) -> int:
        """Readings further apart leave the shape between them to an estimate: 2 polls, and a tenth for their jitter."""
        assert self.interval_s is not None
        return int(self.interval_s * NS * 21 / 10)

    def unstated(self, start: int, end: int) -> bool:
        """Whether it counts gas in [start, end) as of trade, though neither its point nor an epoch says that it is.

        A point of base conditions is of trade unless an epoch states others. What is integrated is not converted.
        """
        if self.meter.carrier is not Carrier.NATURAL_GAS or self.counter is None:
            return False
        usual = TRADE if "base" in self.counter.point.split("_") else None
        times = (start, *(change.at for change in self.meter.replaced if start < change.at < end))
        stated = [self.rule.stated_at(at) or usual for at in times]
        return any(one is None or (self.integrated and one != TRADE) for one in stated)

    def fingerprint(self, plant: Plant) -> str:
        """Changes whenever the intervals of the counter have to be computed again; see Store.require."""
        kind = "integral" if self.integrated else "register"
        rule = self.rule
        told = f"{plant.zone.key} {plant.metering_day}|{_RULES}|{kind}|{rule}|{self.interval_s}|{self.meter.check}"
        return f"{told}|{rule.states}" if rule.states else told


def registers_of(meter: Meter) -> tuple[str, ...]:
    """The points that may count what a meter counts, best first."""
    usual = MASS_COUNTERS if meter.steam else counters_for(meter.carrier, meter.flow)
    return usual if meter.point is None else (meter.point,)


def resolve(plant: Plant, inventory: Mapping[str, tuple[str, DeviceInfo]]) -> tuple[MeterPoints, ...]:
    """Every meter of the tree with its points, in the order of the tree."""
    return tuple(_points(plant.site, meter, inventory.get(meter.device)) for meter in plant.meters())


def _points(site: str, meter: Meter, known: tuple[str, DeviceInfo] | None) -> MeterPoints:
    if known is None:
        return MeterPoints(meter=meter)
    gateway, info = known
    points = {point.name: point for point in info.points}
    gauge = None if meter.steam else pick(CARRIERS[meter.carrier].gauges, points)
    register = pick(registers_of(meter), points)
    counter = register or (gauge if meter.point is None else None)
    return MeterPoints(
        meter=meter,
        gateway=gateway,
        info=info,
        counter=None if counter is None else SeriesKey(site, meter.device, counter),
        gauge=None if gauge is None else SeriesKey(site, meter.device, gauge),
        interval_s=_interval_s(info, points.get(counter or "")),
        pulse_interval_s=_interval_s(info, points.get(gauge or counter or "")),
        modulus=None if register is None else points[register].modulus,
        integrated=register is None and counter is not None,
    )


def reactive_of(points: MeterPoints) -> MeterPoints | None:
    """The register of the reactive energy of a meter of bought electricity, at the same transformers; None without one.

    What it showed when the meter was changed is not written down anywhere.
    """
    meter = points.meter
    if points.info is None or points.counter is None or (meter.carrier, meter.flow) != _BOUGHT:
        return None
    known = {point.name: point for point in points.info.points}
    name = pick(REACTIVE_COUNTERS, known)
    if name is None:
        return None
    return replace(
        points,
        meter=replace(
            meter,
            point=name,
            check=None,
            replaced=tuple(replace(change, final=None, initial=None) for change in meter.replaced),
        ),
        counter=points.counter._replace(point=name),
        gauge=None,
        interval_s=_interval_s(points.info, known[name]),
        modulus=known[name].modulus,
        integrated=False,
        reactive=True,
    )


def _interval_s(info: DeviceInfo, point: PointInfo | None) -> Decimal:
    return info.interval_s if point is None or point.interval_s is None else point.interval_s


def counts_alone(points: MeterPoints, among: tuple[MeterPoints, ...]) -> bool:
    """False for an export register whose device is counted as import too: the one gauge shows the difference."""
    return points.meter.flow is not Flow.EXPORT or not any(
        other.meter.device == points.meter.device and other.meter.flow is Flow.IMPORT for other in among
    )


class Directory:
    """The points of each plant, asked of the store anew when they are older than 5 s, or when the plant changed."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, tuple[float, Plant, tuple[MeterPoints, ...]]] = {}

    async def points(self, plant: Plant) -> tuple[MeterPoints, ...]:
        """Raises StoreError."""
        now = self._clock.monotonic()
        at, of, points = self._known.get(plant.site, (now, plant, None))
        if points is None or of is not plant or now - at > _FRESH_S:
            points = resolve(plant, await self._store.inventory(plant.site))
            self._known[plant.site] = (now, plant, points)
        return points
