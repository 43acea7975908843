"""Figures made by hand for the page: a small plant in any state, without store or broker."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from centre.accounting.factors import FactorRow
from centre.accounting.hours import DeviceHour
from centre.accounting.registers import Flag
from centre.carriers import CARRIERS, Carrier, Flow
from centre.doubts import doubts
from centre.errors import FigureError
from centre.gaps import Gap
from centre.plant import Meter, Node, Plant
from centre.views import (
    CarrierFigure,
    DeviceHours,
    Energy,
    GatewayState,
    Hours,
    Live,
    Load,
    LoadPoint,
    MeterLive,
    MeterState,
    NodeLive,
)
from wattline.clock import NS

ZONE = ZoneInfo("Asia/Shanghai")
DAY = date(2026, 11, 20)
START = 1795104000 * NS  # 2026-11-20 00:00 in Shanghai
NOW = START + (14 * 3600 + 7 * 60 + 30) * NS
QUARTER = 900 * NS


def meter(device: str, carrier: Carrier = Carrier.ELECTRICITY, flow: Flow = Flow.IMPORT) -> Meter:
    return Meter(device=device, carrier=carrier, flow=flow)


def node(id_: str, en: str, zh: str, meters: tuple[Meter, ...] = (), children: tuple[Node, ...] = ()) -> Node:
    return Node(id=id_, name={"en": en, "zh": zh}, meters=meters, children=children)


PLANT = Plant(
    site="jiangjin-1",
    name={"en": "Jiangjin works", "zh": "江津工厂"},
    zone=ZONE,
    region="CN-Chongqing",
    tree=node(
        "plant",
        "Whole plant",
        "全厂",
        (
            meter("incomer"),
            meter("pv-roof", flow=Flow.GENERATION),
            meter("boiler-gas", Carrier.NATURAL_GAS),
            meter("water-main", Carrier.FRESH_WATER),
            meter("heat-station", Carrier.HEAT),
        ),
        (
            node(
                "workshop-1",
                "Press shop",
                "冲压车间",
                (meter("ws1-feeder"),),
                (
                    node("line-1", "Line 1", "一号线", (meter("line-1"),)),
                    node("line-2", "Line 2", "二号线", (meter("line-2"),)),
                ),
            ),
            node(
                "workshop-2",
                "Paint shop",
                "涂装车间",
                (meter("ws2-feeder"),),
                (node("oven", "Drying oven", "烘干炉", (meter("oven-1"), meter("oven-gas", Carrier.NATURAL_GAS))),),
            ),
            node("utilities", "Utilities", "公用工程", (meter("compressor"), meter("chiller"), meter("lighting"))),
            node("boiler-house", "Boiler house", "锅炉房", (meter("boiler-water", Carrier.FRESH_WATER),)),
        ),
    ),
)

_LIVE: Mapping[str, float] = {
    "incomer": 1_284_000, "pv-roof": 212_400, "boiler-gas": 184.2, "water-main": 12.4, "heat-station": 865_000,
    "ws1-feeder": 742_300, "line-1": 388_100, "line-2": 341_900, "ws2-feeder": 416_700, "oven-1": 268_400,
    "oven-gas": 41.7, "compressor": 151_200, "chiller": 96_400, "lighting": 8_460, "boiler-water": 2.31,
}  # fmt: skip

GRID = FactorRow(
    id="electricity/grid_co2_factor_average/CN-Chongqing/2023-01-01",
    carrier="electricity",
    metric="grid_co2_factor_average",
    value=Decimal("0.5581"),
    value_unit="kgCO2/kWh",
    region="CN-Chongqing",
    valid_from=date(2023, 1, 1),
    valid_to=date(2023, 12, 31),
    published_on=date(2025, 12, 31),
    factor_set="grid",
    source="MEE+NBS announcement 2025 no. 31, data year 2023 (2025-12-31) | 2nd: T09",
    confirmed=True,
)
GAS = replace(
    GRID, id="natural_gas/co2_factor_combustion/CN/", carrier="natural_gas", value=Decimal("21.6219"),
    value_unit="tCO2/1e4m3", region="CN", valid_from=date(2015, 7, 1), valid_to=None, source="G1 other industry 2015",
)  # fmt: skip
HEAT = replace(
    GAS, id="purchased_heat/co2_factor_location/CN/", carrier="purchased_heat", value=Decimal("0.11"),
    value_unit="tCO2/GJ", source="GB/T 32150-2025, default value of purchased heat", confirmed=False,
)  # fmt: skip


def _kw(place: int, size: float) -> Decimal:
    hour = place / 4
    shift = 1.0 if 8 <= hour < 12 or 13 <= hour < 18 else 0.72 if 6 <= hour < 22 else 0.31
    return Decimal(str(round(size * (shift + 0.05 * ((place * 7) % 5 - 2) / 2), 3)))


@dataclass
class HandMade:
    """Figures whose parts a test may replace; `broken` makes every question fail as an unreachable store does."""

    plant: Plant = PLANT
    silent: Mapping[str, str | None] = field(
        default_factory=lambda: {"chiller": "timeout", "oven-gas": "reply_checksum"}
    )
    never: frozenset[str] = frozenset({"boiler-water"})
    gateway: str = "online"
    scale: float = 1.0
    empty: bool = False
    gap: range = range(37, 42)
    now_ns: int = NOW
    broken: bool = False
    gaps: tuple[Gap, ...] = ()
    ledger: Mapping[str, tuple[DeviceHour, ...]] = field(default_factory=dict[str, tuple[DeviceHour, ...]])

    @property
    def plants(self) -> Mapping[str, Plant]:
        return {self.plant.site: self.plant}

    async def live(self, site: str) -> Live:
        self._check()
        return Live(
            site=site,
            at_ns=self.now_ns,
            meters=tuple(self._meter(found) for found in self.plant.meters()),
            nodes={part.id: self._node(part) for part in self.plant.tree.walk()},
            gateways=() if self.empty else (self._gateway(),),
        )

    def _gateway(self) -> GatewayState:
        return GatewayState(
            site=self.plant.site, gateway="press-shop", state=self.gateway, since_ns=START + 5 * 3600 * NS,
            last_seen_ns=self.now_ns, software="0.1.0", epoch=3, dropped=0, pending=2, counters={}, epochs={}, gaps=self.gaps,
        )  # fmt: skip

    def _meter(self, found: Meter) -> MeterLive:
        state = MeterState.OK
        if self.empty or found.device in self.never:
            state = MeterState.NEVER
        elif found.device in self.silent:
            state = MeterState.SILENT if self.silent[found.device] is None else MeterState.FAULTY
        since = None if state is MeterState.NEVER else self.now_ns - (NS if state is MeterState.OK else 12_345 * NS)
        return MeterLive(
            device=found.device,
            carrier=found.carrier,
            flow=found.flow,
            state=state,
            value=_LIVE[found.device] * self.scale if state is MeterState.OK else None,
            unit=CARRIERS[found.carrier].gauge_unit,
            taken_at_ns=since,
            silent_for_s=None if since is None else (self.now_ns - since) / NS,
            since_ns=since,
            fault=self.silent.get(found.device) if state is MeterState.FAULTY else None,
            interval_s=Decimal(1),
            gateway=None if state is MeterState.NEVER else "press-shop",
            profile="eastron-sdm630",
        )

    def _node(self, part: Node) -> NodeLive:
        own = [found.device for found in part.meters if found.carrier is Carrier.ELECTRICITY]
        if not own:
            below = [self._node(child) for child in part.children]
            missing = tuple(device for child in below for device in child.missing)
            powers = [child.power_w for child in below if child.power_w is not None]
            if not powers and not missing:
                return NodeLive(power_w=None, missing=(), derived_from="none")
            return NodeLive(power_w=None if missing else sum(powers), missing=missing, derived_from="children")
        missing = tuple(device for device in own if self.empty or device in self.silent or device in self.never)
        power = None if missing else sum(_LIVE[device] for device in own) * self.scale
        return NodeLive(power_w=power, missing=missing, derived_from="meters")

    async def load(self, site: str, day: date | None = None) -> Load:
        self._check()
        return Load(
            site=site,
            day=DAY,
            start_ns=START,
            end_ns=START + 96 * QUARTER,
            step_s=900,
            nodes={part.id: self._curve(part) for part in self.plant.tree.walk()},
        )

    def _curve(self, part: Node) -> tuple[LoadPoint, ...]:
        powered = any(found.carrier is Carrier.ELECTRICITY for below in part.walk() for found in below.meters)
        size = 1480 * self.scale if part.id == "plant" else 400 * self.scale
        points: list[LoadPoint] = []
        for place in range((self.now_ns - START) // QUARTER + 1):
            known = powered and not self.empty and place not in self.gap
            estimated = place in (self.gap.stop, self.gap.stop + 1)
            points.append(
                LoadPoint(
                    start_ns=START + place * QUARTER,
                    kw=_kw(place, size) if known else None,
                    quality=Flag.MISSING if not known else Flag.ESTIMATED if estimated else Flag.MEASURED,
                    open=START + (place + 1) * QUARTER > self.now_ns,
                )
            )
        return tuple(points)

    async def hours(self, site: str) -> Hours:
        self._check()
        lines = self.ledger.get
        devices = tuple(
            DeviceHours(device=name, gateway="press-shop", hours=lines(name, ()))
            for name in sorted({found.device for found in self.plant.meters()})
        )
        every = [hour for device in devices for hour in device.hours]
        return Hours(
            site=site,
            from_ns=START,
            to_ns=self.now_ns,
            expected=0 if self.empty else 120_000 + sum(hour.expected for hour in every),
            received=120_000 + sum(hour.received for hour in every),
            late=0,
            faulty=0,
            lost=sum(sum(hour.lost.values()) for hour in every),
            missing=sum(hour.missing for hour in every),
            doubtful=doubts(devices),
            devices=devices,
        )

    async def energy(self, site: str, day: date | None = None) -> Energy:
        self._check()
        return Energy(
            site=site,
            day=DAY,
            start_ns=START,
            end_ns=START + 96 * QUARTER,
            until_ns=None if self.empty else self.now_ns,
            nodes={part.id: self._carriers(part) for part in self.plant.tree.walk()},
            meters=(),
        )

    def _carriers(self, part: Node) -> tuple[CarrierFigure, ...]:
        held = {found.carrier for below in part.walk() for found in below.meters}
        return tuple(self._carrier(carrier, part) for carrier in Carrier if carrier in held)

    def _carrier(self, carrier: Carrier, part: Node) -> CarrierFigure:
        amount = {
            Carrier.ELECTRICITY: Decimal("14263.42"), Carrier.NATURAL_GAS: Decimal("1893.7"),
            Carrier.FRESH_WATER: Decimal("131.24"), Carrier.HEAT: Decimal("9120.5"),
        }[carrier] * Decimal(str(self.scale))  # fmt: skip
        generation = Decimal("1204.8") if carrier is Carrier.ELECTRICITY and part.id == "plant" else None
        row = {Carrier.ELECTRICITY: GRID, Carrier.NATURAL_GAS: GAS, Carrier.HEAT: HEAT}.get(carrier)
        rate = {Carrier.ELECTRICITY: "0.5581", Carrier.NATURAL_GAS: "2.16219", Carrier.HEAT: "0.396"}.get(carrier)
        partly = carrier is Carrier.ELECTRICITY
        return CarrierFigure(
            carrier=carrier,
            quantity=None if self.empty else amount,
            unit=CARRIERS[carrier].unit,
            import_=None if self.empty else amount - (generation or 0),
            generation=None if self.empty else generation,
            export=None,
            shares={}
            if self.empty
            else {"M": Decimal("0.982"), "E": Decimal("0.018")}
            if partly
            else {"M": Decimal(1)},
            completeness=None if self.empty else Decimal("0.982") if partly else Decimal(1),
            missing=(),
            reason="no_data" if self.empty else None,
            scope={Carrier.NATURAL_GAS: 1, Carrier.FRESH_WATER: 3}.get(carrier, 2),
            co2_kg=None if self.empty or rate is None else (amount - (generation or 0)) * Decimal(rate),
            co2_reason="no_quantity" if self.empty else None if rate else "no_factor",
            factor=row,
            derived_from="meters",
        )

    def _check(self) -> None:
        if self.broken:
            raise FigureError("unavailable", "the store cannot be read", 503)
