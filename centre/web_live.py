"""What changes by the second: text beside each node and meter, and states."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from centre.plant import Meter, Node, Plant
from centre.views import GatewayState, Live, MeterLive, NodeLive
from centre.web_attention import by_device, digest, shown_state
from centre.web_format import ABSENT, NOTHING, local, show, when
from centre.web_i18n import Words
from wattline.clock import NS


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """`texts` and `states` by the key that stands in the page's data-live and data-state attributes.

    `attention` changes when the list of meters that need attention does: the page then asks for the list anew.
    """

    at_ms: int
    clock: str
    texts: Mapping[str, str]
    states: Mapping[str, str]
    attention: str

    def message(self) -> dict[str, Any]:
        """As sent to the browser."""
        return {
            "at": self.at_ms,
            "clock": self.clock,
            "texts": dict(self.texts),
            "states": dict(self.states),
            "attention": self.attention,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayView:
    """A gateway in words; `dot` is the state of its sign."""

    name: str
    dot: str
    state: str
    lines: tuple[str, ...]


def meter_key(meter: Meter | MeterLive) -> str:
    """A device may count several flows; each has its own line in the tree."""
    return f"meter:{meter.device}:{meter.carrier}:{meter.flow}"


def live_view(plant: Plant, live: Live, words: Words) -> LiveView:
    """All that the page updates by itself, for every part of the plant, so that one stream serves any selection."""
    texts: dict[str, str] = {}
    states: dict[str, str] = {}
    for meter in live.meters:
        key = meter_key(meter)
        texts[key] = str(show(meter.value, meter.unit))
        texts[f"{key}:note"] = _meter_note(meter, live.at_ns, words)
        state = shown_state(meter)
        texts[f"{key}:state"] = words(f"meter.state.{state}")
        states[key] = state
    devices = by_device(live)
    for node in plant.tree.walk():
        texts |= _node_texts(live.nodes.get(node.id), node.id, words)
        texts |= _answering(devices, node, words)
    texts["gateways"], states["gateways"] = gateways_summary(live.gateways, words)
    return LiveView(
        at_ms=live.at_ns // 1_000_000,
        clock=f"{local(live.at_ns, plant.zone):%H:%M:%S}",
        texts=texts,
        states=states,
        attention=digest(live),
    )


def _meter_note(meter: MeterLive, now_ns: int, words: Words) -> str:
    """Empty while all is well: otherwise for how long it has been silent, or how old the value is."""
    state = shown_state(meter)
    if state == "ok":
        return words("meter.counter_only") if meter.value is None else _old(meter, now_ns, words)
    if state == "silent" and meter.since_ns is not None:
        return words("meter.silent", age=words.age((now_ns - meter.since_ns) / NS))
    return words(f"meter.state.{state}")


def _old(meter: MeterLive, now_ns: int, words: Words) -> str:
    """The age of a value that is older than its interval lets expect."""
    if meter.taken_at_ns is None or meter.interval_s is None:
        return ""
    age_s = (now_ns - meter.taken_at_ns) / NS
    return words("meter.age", age=words.age(age_s)) if age_s > float(meter.interval_s) * 1.5 + 2 else ""


def _node_texts(found: NodeLive | None, node: str, words: Words) -> dict[str, str]:
    """Line in the tree and large figure. A part without electricity meters has an empty line: nothing is absent."""
    line, line_note, power, note = "", "", NOTHING, words("power.none")
    if found is not None and found.derived_from != "none":
        power = show(found.power_w, "W")
        line, note = str(power), ""
        if found.missing:
            line_note = words("tree.partial", devices=words.listed(found.missing, 2))
            key = "power.missing" if found.power_w is None else "power.partial"
            note = words(key, devices=words.listed(found.missing))
    return {
        f"node:{node}": line,
        f"node:{node}:note": line_note,
        f"power:{node}": power.number,
        f"power:{node}:unit": power.unit,
        f"power:{node}:note": note,
    }


def _answering(by_device: Mapping[str, MeterLive], node: Node, words: Words) -> dict[str, str]:
    """How many of the meters in and below `node` give values."""
    devices = {meter.device for part in node.walk() for meter in part.meters}
    ok = sum(device in by_device and by_device[device].state == "ok" for device in devices)
    ill = len(devices) - ok
    note = words("kpi.attention", count=ill) if ill else words("kpi.all_ok") if devices else ""
    return {
        f"answering:{node.id}": words("kpi.answering_of", ok=ok, all=len(devices)) if devices else ABSENT,
        f"answering:{node.id}:note": note,
    }


def gateways_summary(gateways: tuple[GatewayState, ...], words: Words) -> tuple[str, str]:
    """(text, state) of all gateways together: one by name, several by number; the worst state counts."""
    if not gateways:
        return words("gateways.none"), "never"
    online = sum(gateway.state == "online" for gateway in gateways)
    state = "ok" if online == len(gateways) else "silent"
    if len(gateways) == 1:
        only = gateways[0]
        return f"{only.gateway} · {words(f'gateways.state.{only.state}')}", state
    return words("gateways.count", online=online, all=len(gateways)), state


def gateway_views(plant: Plant, live: Live, words: Words) -> tuple[GatewayView, ...]:
    """Each gateway with what an operator asks first: since when, what waits, what is lost."""
    return tuple(_gateway(gateway, live.at_ns, plant, words) for gateway in live.gateways)


def _gateway(gateway: GatewayState, now_ns: int, plant: Plant, words: Words) -> GatewayView:
    lines = [words("gateways.lost", count=f"{gateway.dropped:,}")]
    if gateway.since_ns is not None:
        lines.insert(0, words("gateways.since", at=when(gateway.since_ns, now_ns, plant.zone)))
    if gateway.pending is not None:
        lines.insert(-1, words("gateways.pending", count=f"{gateway.pending:,}"))
    return GatewayView(
        name=gateway.gateway,
        dot="ok" if gateway.state == "online" else "never" if gateway.state == "never" else "silent",
        state=words(f"gateways.state.{gateway.state}"),
        lines=tuple(lines),
    )
