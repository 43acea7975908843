"""The plant now, out of the newest readings and faults; pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from centre.carriers import CARRIERS, Carrier, Flow
from centre.gaps import gaps_of
from centre.plant import Node, Plant
from centre.points import MeterPoints, counts_alone
from centre.ranges import gaps
from centre.store.base import FaultSeen, GatewayRow, Reading, SeriesKey
from centre.views import Epoch, GatewayState, Live, MeterLive, MeterState, NodeLive
from metering.faults import Fault
from wattline.clock import NS

_POLLS: Final = 3
_AT_LEAST_S: Final = Decimal(10)


def live_view(
    plant: Plant,
    points: Sequence[MeterPoints],
    readings: Mapping[SeriesKey, Reading],
    faults: Mapping[SeriesKey, FaultSeen],
    *,
    gateways: Sequence[GatewayRow],
    now: int,
) -> Live:
    """Every meter and node of the plant at `now`."""
    meters = tuple(_meter(found, readings, faults, now) for found in points)
    values = {
        (found.meter.device, found.meter.carrier, found.meter.flow): live.value
        for found, live in zip(points, meters, strict=True)
    }
    nodes: dict[str, NodeLive] = {}
    _add_node(plant.tree, {_place(found): found for found in points}, values, nodes)
    return Live(
        site=plant.site,
        at_ns=now,
        meters=meters,
        nodes=nodes,
        gateways=tuple(gateway_state(row) for row in gateways if row.key.site == plant.site),
    )


_Place = tuple[str, Carrier, Flow]


def _place(points: MeterPoints) -> _Place:
    return points.meter.device, points.meter.carrier, points.meter.flow


def _meter(
    points: MeterPoints, readings: Mapping[SeriesKey, Reading], faults: Mapping[SeriesKey, FaultSeen], now: int
) -> MeterLive:
    reading = None if points.pulse is None else readings.get(points.pulse)
    fault = None if points.pulse is None else faults.get(points.pulse)
    suspect = fault is not None and reading is not None and fault == (reading.at, Fault.SUSPECT)
    if fault is not None and reading is not None and fault.at <= reading.at and not suspect:
        fault = None
    age_ns = None if reading is None else max(now - reading.at, 0)
    limit_ns = int(max(_POLLS * (points.pulse_interval_s or Decimal(0)), _AT_LEAST_S) * NS)
    fresh = age_ns is not None and age_ns <= limit_ns
    if fresh and not suspect:
        state = MeterState.OK
    elif fault is not None and now - fault.at <= limit_ns:
        state = MeterState.FAULTY
    else:
        state = MeterState.NEVER if reading is None and fault is None else MeterState.SILENT
    value = None
    if (
        points.gauge is not None
        and state is MeterState.OK
        and reading is not None
        and not isinstance(reading.value, str)
    ):
        value = float(reading.value) * points.sign
    return MeterLive(
        device=points.meter.device,
        carrier=points.meter.carrier,
        flow=points.meter.flow,
        state=state,
        value=value,
        unit=CARRIERS[points.meter.carrier].gauge_unit,
        taken_at_ns=None if reading is None else reading.at,
        silent_for_s=None if age_ns is None else round(age_ns / NS, 1),
        since_ns=None if reading is None else reading.at,
        fault=None if fault is None else fault.reason.value,
        interval_s=points.pulse_interval_s,
        gateway=points.gateway,
        profile=None if points.info is None else points.info.profile,
    )


def _add_node(
    node: Node,
    points: Mapping[_Place, MeterPoints],
    values: Mapping[_Place, float | None],
    nodes: dict[str, NodeLive],
) -> NodeLive:
    """Electric power of `node`, and into `nodes` that of all below it."""
    children = [_add_node(child, points, values, nodes) for child in node.children]
    own = tuple(
        points[meter.device, meter.carrier, meter.flow] for meter in node.meters if meter.carrier is Carrier.ELECTRICITY
    )
    counting = [found for found in own if counts_alone(found, own)]
    if counting:
        parts = [(values[_place(found)], -1 if found.meter.flow is Flow.EXPORT else 1) for found in counting]
        missing = tuple(found.meter.device for found in counting if values[_place(found)] is None)
        power = None if missing else sum(value * sign for value, sign in parts if value is not None)
        nodes[node.id] = NodeLive(power_w=power, missing=missing, derived_from="meters")
    else:
        known = [child for child in children if child.derived_from != "none"]
        missing = tuple(device for child in known for device in child.missing)
        powers = [child.power_w for child in known if child.power_w is not None]
        nodes[node.id] = NodeLive(
            power_w=sum(powers) if powers and not missing else None,
            missing=missing,
            derived_from="children" if known else "none",
        )
    return nodes[node.id]


def gateway_state(row: GatewayRow) -> GatewayState:
    """A gateway with the parcels the store has of it."""
    return GatewayState(
        site=row.key.site,
        gateway=row.key.gateway,
        state="never" if row.state is None else row.state.value,
        since_ns=row.since,
        last_seen_ns=row.last_seen,
        software=row.software,
        epoch=row.epoch,
        dropped=row.dropped,
        pending=row.counters.get("parcels_pending"),
        counters=row.counters,
        epochs={
            epoch: Epoch(watermark=row.committed.watermark(epoch), ranges=ranges, gaps=gaps(ranges))
            for epoch, ranges in row.committed.epochs.items()
        },
        gaps=gaps_of(row),
    )
