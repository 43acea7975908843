"""Figures: asks the store and hands pure functions what they need. API and page take everything from here."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from centre.accounting.completeness import Count, count
from centre.accounting.factors import FactorRow
from centre.accounting.hours import HOUR_NS, Window, device_hours, windows_of
from centre.accounting.intervals import QUARTER_NS, Interval
from centre.accounting.zones import day_bounds, local_day
from centre.carriers import Carrier
from centre.day import MeterDay, Place, carrier_figures, load_curve, meter_figure, place_of
from centre.doubts import doubts
from centre.errors import BadQuestion, FigureError, UnknownSite
from centre.gaps import windows
from centre.live import gateway_state, live_view
from centre.plant import Plant
from centre.points import Directory, MeterPoints
from centre.store.base import FAR_NS, Bucket, Grain, Reading, SeriesKey, Store, Totals
from centre.views import (
    Completeness,
    DeviceHours,
    Energy,
    GatewayState,
    Hours,
    Live,
    Load,
    MeterCompleteness,
    ReadingAt,
    RegisterSpan,
)
from metering.faults import ALL_POINTS
from metering.quantities import Kind, quantity_of
from wattline.clock import NS, Clock

MAX_READINGS: Final = 100_000
MAX_RANGE_NS: Final = 31 * 24 * 3600 * NS
_LIVE_FOR_S: Final = 1.0
_UNDER_WAY_NS: Final = 30 * NS  # readings this young may still be in the spool, or not accounted yet
_EARLIEST: Final = date(2020, 1, 1)
_LATEST: Final = date(2200, 1, 1)


class Figures:
    """What can be asked of the centre. Methods raise FigureError for a question without an answer, or StoreError."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        plants: Mapping[str, Plant],
        factors: Sequence[FactorRow],
        directory: Directory,
    ) -> None:
        self.plants = plants
        self._store = store
        self._clock = clock
        self._factors = factors
        self._directory = directory
        self._live: dict[str, tuple[float, Plant, Live]] = {}

    def plant(self, site: str) -> Plant:
        """Raises UnknownSite."""
        try:
            return self.plants[site]
        except KeyError:
            raise UnknownSite(site) from None

    def today(self, site: str) -> date:
        """The day by the plant's own clock."""
        return local_day(self._clock.now_ns(), self.plant(site).zone)

    async def points(self, site: str) -> tuple[MeterPoints, ...]:
        """The meters of the tree with the points that serve them."""
        return await self._directory.points(self.plant(site))

    async def live(self, site: str) -> Live:
        """The plant now; computed at most once a second however many look at it."""
        plant = self.plant(site)
        at, of, view = self._live.get(site, (0.0, plant, None))
        if view is not None and of is plant and 0 <= self._clock.monotonic() - at < _LIVE_FOR_S:
            return view
        points = await self._directory.points(plant)
        keys = [found.pulse for found in points if found.pulse is not None]
        view = live_view(
            plant,
            points,
            await self._store.latest(keys),
            await self._store.latest_faults(keys),
            gateways=await self._store.gateways(),
            now=self._clock.now_ns(),
        )
        self._live[site] = (self._clock.monotonic(), plant, view)
        return view

    async def load(self, site: str, day: date | None = None) -> Load:
        """The load curve of a day, of every node with electricity."""
        plant = self.plant(site)
        day, start, end = self._day(plant, day)
        quarters: dict[Place, dict[int, Interval]] = {}
        for found in await self._directory.points(plant):
            if found.counter is not None and found.meter.carrier is Carrier.ELECTRICITY:
                stored = await self._store.read_rollup(found.counter, Grain.QUARTER, start, end)
                quarters[place_of(found.meter)] = {bucket.interval.start: bucket.interval for bucket in stored}
        until = min(end, max(self._clock.now_ns(), start))
        until += -until % QUARTER_NS
        return Load(
            site=site,
            day=day,
            start_ns=start,
            end_ns=end,
            step_s=QUARTER_NS // NS,
            nodes={node.id: load_curve(node, quarters, start, until) for node in plant.tree.walk()},
        )

    async def energy(self, site: str, day: date | None = None) -> Energy:
        """Energy and carbon of a day, by node and meter."""
        plant = self.plant(site)
        day, start, end = self._day(plant, day)
        days: dict[Place, MeterDay] = {}
        newest: list[int] = []
        for found in await self._directory.points(plant):
            days[place_of(found.meter)] = await self._meter_day(found, start, end)
            if found.counter is not None:
                newest += [reading.at for reading in await self._store.before(found.counter, end, 1)]
        until = max(newest, default=start)
        return Energy(
            site=site,
            day=day,
            start_ns=start,
            end_ns=end,
            until_ns=until if until > start else None,
            nodes=carrier_figures(plant, days, self._factors, day),
            meters=tuple(meter_figure(found) for found in days.values()),
        )

    async def completeness(self, site: str, day: date | None = None) -> Completeness:
        """What arrived of the counters of a day, and why the rest did not."""
        plant = self.plant(site)
        day, start, end = self._day(plant, day)
        meters: list[MeterCompleteness] = []
        for found in await self._directory.points(plant):
            faults = await self._faults(found, start, end)
            since = await self._since(found.counter)
            known = await self._count(found, start, end, faults)
            meters.append(
                MeterCompleteness(
                    device=found.meter.device,
                    point=None if found.counter is None else found.counter.point,
                    since_ns=since,
                    expected=known.expected,
                    received=known.received,
                    faults=faults,
                    unexplained=known.unexplained,
                    completeness=known.completeness,
                )
            )
        return Completeness(site=site, day=day, meters=tuple(meters))

    async def hours(self, site: str, t0: int | None = None, t1: int | None = None) -> Hours:
        """The completeness ledger of the hours that begin in [t0, t1); without bounds, of today up to now."""
        until = self._clock.now_ns() - _UNDER_WAY_NS
        start, end = day_bounds(self.today(site), self.plant(site).zone)
        start, end = start if t0 is None else t0, end if t1 is None else t1
        if not 0 <= end - start <= MAX_RANGE_NS:
            raise BadQuestion("from must be before to, at most 31 days")
        lost: dict[str, tuple[Window, ...]] = {}
        for row in await self._store.gateways():
            if row.key.site == site:
                lost[row.key.gateway] = windows(row)
        tallies = await self._store.tallies(site, start - start % HOUR_NS, end)
        devices: list[DeviceHours] = []
        for device, plans in (await self._store.plans(site)).items():
            gateway = plans[-1].gateway
            gone = windows_of(plans, lost)
            lines = device_hours(plans, tallies.get(device, {}), gone, start=start, end=end, now=until)
            devices.append(DeviceHours(device=device, gateway=gateway, hours=lines))
        every = [hour for device in devices for hour in device.hours]
        return Hours(
            site=site,
            from_ns=start,
            to_ns=max(start, min(end, until)),
            expected=sum(hour.expected for hour in every),
            received=sum(hour.received for hour in every),
            late=sum(hour.late for hour in every),
            faulty=sum(sum(hour.faulty.values()) for hour in every),
            lost=sum(sum(hour.lost.values()) for hour in every),
            missing=sum(hour.missing for hour in every),
            doubtful=doubts(devices),
            devices=tuple(devices),
        )

    async def gateways(self) -> tuple[GatewayState, ...]:
        """All gateways of all sites."""
        return tuple(gateway_state(row) for row in await self._store.gateways())

    async def series(self, site: str) -> Mapping[str, tuple[str, ...]]:
        """Device -> points that were ever read."""
        return await self._store.series(self.plant(site).site)

    async def readings(self, series: SeriesKey, t0: int, t1: int, limit: int) -> tuple[Sequence[Reading], bool]:
        """Raw readings of [t0, t1), and whether more than `limit` stand there."""
        known = await self._store.series(self.plant(series.site).site)
        if series.point not in known.get(series.device, ()):
            message = f"{series.device[:64]!r} has no readings of {series.point[:64]!r}; /api/v1/series/SITE lists all"
            raise FigureError("unknown_series", message, 404)
        if not 1 <= limit <= MAX_READINGS:
            raise BadQuestion(f"limit must be 1 to {MAX_READINGS}")
        found = await self._store.read(series, t0, t1, limit=limit + 1)
        return found[:limit], len(found) > limit

    async def registers(self, site: str, t0: int, t1: int, device: str | None) -> tuple[RegisterSpan, ...]:
        """First and last reading of every counter in [t0, t1]."""
        known = await self._store.series(self.plant(site).site)
        if not 0 <= t1 - t0 <= MAX_RANGE_NS:
            raise BadQuestion("from must be before to, at most 31 days")
        if device is not None and device not in known:
            raise FigureError("unknown_device", f"nothing was ever read of {device[:64]!r}", 404)
        spans: list[RegisterSpan] = []
        for name, points in known.items():
            for point in points if device in {None, name} else ():
                quantity = quantity_of(point)
                if quantity is None or quantity.kind is not Kind.COUNTER:
                    continue
                span = await self._store.span(SeriesKey(site, name, point), t0, t1 + 1)
                if span is None or isinstance(span.first.value, str) or isinstance(span.last.value, str):
                    continue
                spans.append(
                    RegisterSpan(
                        device=name,
                        point=point,
                        unit=quantity.unit,
                        first=ReadingAt(at_ns=span.first.at, value=span.first.value),
                        last=ReadingAt(at_ns=span.last.at, value=span.last.value),
                        readings=span.readings,
                    )
                )
        return tuple(spans)

    async def totals(self) -> Totals:
        """Counts since the store was made."""
        return await self._store.totals()

    async def ledger_pending(self) -> int:
        """Counters with readings that are in no interval yet, up to 10000."""
        return len(await self._store.dirty(10_000))

    # --- parts

    def _day(self, plant: Plant, day: date | None) -> tuple[date, int, int]:
        chosen = local_day(self._clock.now_ns(), plant.zone) if day is None else day
        if not _EARLIEST <= chosen <= _LATEST:
            raise BadQuestion(f"day must lie between {_EARLIEST} and {_LATEST}")
        return chosen, *day_bounds(chosen, plant.zone)

    async def _meter_day(self, found: MeterPoints, start: int, end: int) -> MeterDay:
        bucket = await self._day_bucket(found, start, end)
        return MeterDay(points=found, bucket=bucket, count=await self._count(found, start, end, {}))

    async def _day_bucket(self, found: MeterPoints, start: int, end: int) -> Bucket | None:
        if found.counter is None:
            return None
        return next(iter(await self._store.read_rollup(found.counter, Grain.DAY, start, end)), None)

    async def _count(self, found: MeterPoints, start: int, end: int, faults: Mapping[str, int]) -> Count:
        bucket = await self._day_bucket(found, start, end)
        return count(
            start=start,
            end=end,
            since=await self._since(found.counter),
            now=self._clock.now_ns() - _UNDER_WAY_NS,
            interval_s=found.interval_s,
            received=0 if bucket is None else bucket.interval.readings,
            faults=faults,
        )

    async def _faults(self, found: MeterPoints, start: int, end: int) -> dict[str, int]:
        if found.counter is None:
            return {}
        site, device, point = found.counter
        counts = await self._store.fault_counts(site, device, (point, ALL_POINTS), start, end)
        return {reason.value: number for reason, number in counts.items()}

    async def _since(self, series: SeriesKey | None) -> int | None:
        """The time of the first reading ever."""
        if series is None:
            return None
        first = await self._store.read(series, 0, FAR_NS, limit=1)
        return first[0].at if first else None
