"""A small plant for tests of the centre: two workshops, PV, gas and water, with an inventory to match."""

from decimal import Decimal
from zoneinfo import ZoneInfo

from centre.accounting.factors import load_factors
from centre.carriers import Carrier, Flow
from centre.figures import Figures
from centre.ledger import Ledger
from centre.plant import Meter, Node, Plant
from centre.points import Directory
from centre.store.base import Store
from metering.quantities import Kind
from metering.sweep import DeviceInfo, PointInfo
from wattline.clock import Clock
from wattline.resources import config_dir

_IMPORT, _GENERATION = Flow.IMPORT, Flow.GENERATION


def _meter(
    device: str, carrier: Carrier = Carrier.ELECTRICITY, flow: Flow = _IMPORT, point: str | None = None
) -> Meter:
    return Meter(device=device, carrier=carrier, flow=flow, point=point, limit=Decimal(1000))


def _node(node_id: str, meters: tuple[Meter, ...] = (), children: tuple[Node, ...] = ()) -> Node:
    return Node(id=node_id, name={"en": node_id, "zh": node_id}, meters=meters, children=children)


PLANT = Plant(
    site="works",
    name={"en": "Works", "zh": "工厂"},
    zone=ZoneInfo("Asia/Shanghai"),
    region="CN-Chongqing",
    tree=_node(
        "plant",
        (
            _meter("incomer"),
            _meter("pv", flow=_GENERATION, point="energy_active_export_total"),
            _meter("gas", Carrier.NATURAL_GAS),
            _meter("water", Carrier.FRESH_WATER),
        ),
        (
            _node("hall-1", (), (_node("line-1", (_meter("line-1"),)), _node("line-2", (_meter("line-2"),)))),
            _node("office"),
        ),
    ),
)

_ELECTRIC = (
    PointInfo(name="energy_active_import_total", unit="kWh", kind=Kind.COUNTER, modulus=Decimal(10**6)),
    PointInfo(name="energy_active_export_total", unit="kWh", kind=Kind.COUNTER),
    PointInfo(name="power_active_total", unit="W", kind=Kind.GAUGE),
)
_GAS = (
    PointInfo(name="volume_base_total", unit="m3", kind=Kind.COUNTER),
    PointInfo(name="flow_volume_base", unit="m3/h", kind=Kind.GAUGE),
)
_WATER = (PointInfo(name="volume_total", unit="m3", kind=Kind.COUNTER),)


def inventory(interval_s: int = 60) -> tuple[DeviceInfo, ...]:
    """What the gateway says of all devices of PLANT."""
    points = {"incomer": _ELECTRIC, "pv": _ELECTRIC, "gas": _GAS, "water": _WATER} | dict.fromkeys(
        ("line-1", "line-2"), _ELECTRIC
    )
    return tuple(
        DeviceInfo(
            name=name, bus="b", profile="abb-b23", interval_s=Decimal(interval_s), asset=None, points=points[name]
        )
        for name in sorted(points)
    )


def centre_of(store: Store, clock: Clock) -> tuple[Figures, Ledger]:
    """Figures and ledger of PLANT on a store."""
    directory = Directory(store, clock)
    factors = load_factors(config_dir() / "factors.csv")
    figures = Figures(store=store, clock=clock, plants={PLANT.site: PLANT}, factors=factors, directory=directory)
    return figures, Ledger(store=store, clock=clock, plants=[PLANT], directory=directory)
