"""The meters that need attention and the gaps in what came, in words: what is shown, and when that is another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from centre.gaps import Gap, ripe
from centre.plant import Plant
from centre.views import GatewayState, Live, MeterLive
from centre.web_format import when
from centre.web_i18n import Words
from wattline.clock import NS

_WORST_FIRST: Final = ("silent", "faulty", "never", "ok")
_NO_ANSWER: Final = frozenset({"timeout", "link_down", "backoff", "exception_10", "exception_11"})
"""Faults that people call silence: a value is faulty only where the meter answered."""

_SHOWN_NS: Final = 7 * 86_400 * NS
"""How long a gap stays on the page; the API tells all."""

_MOST_GAPS: Final = 12
_DOWN: Final = frozenset({"lost", "stopped", "never"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A meter that gives no value: since when, why in words, and what to look at."""

    device: str
    state: str
    state_word: str
    since: str
    ago: str
    where: str
    why: str
    check: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GapView:
    """Parcels of a gateway that are missing, or lost: which, since when, and what will become of them."""

    gateway: str
    state: str
    state_word: str
    what: str
    why: str
    note: str


def shown_state(meter: MeterLive) -> str:
    """ok, silent, faulty or never, as a person at the meter would say it."""
    if meter.state == "faulty" and meter.fault in _NO_ANSWER:
        return "silent"
    return meter.state.value


def by_device(live: Live) -> dict[str, MeterLive]:
    """One entry a device: that of its worst flow."""
    worst = sorted(live.meters, key=lambda meter: _WORST_FIRST.index(shown_state(meter)), reverse=True)
    return {meter.device: meter for meter in worst}


def digest(live: Live) -> str:
    """Another text as soon as other meters, gateways or gaps are to be shown."""
    ill = [meter for meter in by_device(live).values() if meter.state != "ok"]
    down = [f"{gateway.gateway}={gateway.state}" for gateway in live.gateways]
    down += [f"{gateway.gateway}-{gap.epoch}-{gap.name}-{gap.state}" for gateway, gap in _told(live)]
    return " ".join(sorted([*(f"{meter.device}:{meter.state}:{meter.fault}" for meter in ill), *down]))


def _told(live: Live) -> tuple[tuple[GatewayState, Gap], ...]:
    """The gaps that are shown, missing ones first, then the newest."""
    found: list[tuple[GatewayState, Gap]] = []
    for gateway in live.gateways:
        found += [(gateway, gap) for gap in ripe(gateway.gaps, live.at_ns) if live.at_ns - gap.before_ns < _SHOWN_NS]
    found.sort(key=lambda pair: (pair[1].state != "missing", -pair[1].before_ns))
    return tuple(found[:_MOST_GAPS])


def gap_views(plant: Plant, live: Live, words: Words) -> tuple[GapView, ...]:
    """The gaps in what each gateway sent, missing ones first."""
    return tuple(_gap(gateway, gap, live.at_ns, plant, words) for gateway, gap in _told(live))


def _gap(gateway: GatewayState, gap: Gap, now_ns: int, plant: Plant, words: Words) -> GapView:
    start = "" if gap.after_ns is None else when(gap.after_ns, now_ns, plant.zone)
    end = when(gap.before_ns, now_ns, plant.zone)
    taken = words("gaps.until", end=end) if gap.after_ns is None else words("gaps.taken", start=start, end=end)
    return GapView(
        gateway=gateway.gateway,
        state="faulty" if gap.state == "missing" else "silent",
        state_word=words(f"gaps.state.{gap.state}"),
        what=words(f"gaps.what.{gap.state}", parcels=gap.name),
        why=words(f"gaps.why.{gap.cause or gap.state}", dropped=f"{gateway.dropped:,}"),
        note=words("gaps.note", taken=taken, since=when(gap.since_ns, now_ns, plant.zone)),
    )


def troubles(plant: Plant, live: Live, words: Words) -> tuple[Trouble, ...]:
    """Meters that give no value, the longest silent first, those never seen last."""
    ill = [meter for meter in by_device(live).values() if meter.state != "ok"]
    ill.sort(key=lambda meter: (meter.since_ns is None, meter.since_ns or 0, meter.device))
    down = {gateway.gateway: gateway.state for gateway in live.gateways if gateway.state in _DOWN}
    return tuple(_trouble(meter, live.at_ns, plant, down, words) for meter in ill)


def _trouble(meter: MeterLive, now_ns: int, plant: Plant, down: Mapping[str, str], words: Words) -> Trouble:
    why, check = _reason(meter, down, words)
    since = meter.since_ns
    return Trouble(
        device=meter.device,
        state=shown_state(meter),
        state_word=words(f"meter.state.{shown_state(meter)}"),
        since=words("attention.never") if since is None else when(since, now_ns, plant.zone),
        ago="" if since is None else words("attention.ago", age=words.age((now_ns - since) / NS)),
        where="" if meter.gateway is None else words("attention.where", gateway=meter.gateway),
        why=why,
        check=check,
    )


def _reason(meter: MeterLive, down: Mapping[str, str], words: Words) -> tuple[str, str]:
    """(why, what to look at); a gateway that is away explains its meters better than their last fault."""
    if meter.gateway is not None and meter.gateway in down:
        state = words(f"gateways.state.{down[meter.gateway]}")
        return words("attention.gateway", gateway=meter.gateway, state=state), words("attention.gateway_check")
    if meter.fault is not None:
        what = words.get(f"fault.{meter.fault}.what", meter.fault)
        return what, words.get(f"fault.{meter.fault}.check", "")
    if meter.state == "never" and meter.gateway is None:
        return words("attention.never_listed"), words("attention.never_check")
    return words("attention.unknown"), words("attention.unknown_check")
