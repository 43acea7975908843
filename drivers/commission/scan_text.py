"""What a scan found: settings ready for agent.yaml, with the reasons as comments; and as JSON's types. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from drivers.commission.identify import CLOSE, LIKELY, Match
from drivers.commission.scan import FoundUnit, Scanned
from drivers.commission.target import Endpoint, SerialPlace

_OTHERS: Final = 3

Place = Endpoint | SerialPlace
Results = Mapping[Place, Scanned]


def fragment(results: Results) -> str:
    """`buses:` for agent.yaml; what is no setting is a comment."""
    lines: list[str] = []
    named = 0
    ports: dict[object, SerialPlace] = {}
    for place, scanned in results.items():
        if isinstance(place, SerialPlace):
            if not scanned.units:
                lines.append(_nothing(place, scanned))
                continue
            # a line has one setting: the meters that answer at another one must be set to the first
            first = ports.setdefault(place.port, place) if scanned.clear else place
            if first is not place:
                lines += [f"# set these to {first.line}, as the others on the line are:"]
                lines += [f"#   {line}" for line in _devices("", place, scanned)]
                continue
        bus = f"bus-{named + 1}"
        devices = list(_devices(bus, place, scanned))
        usable = any(not line.startswith("#") for line in devices)
        named += usable
        mark = "" if usable else "# "
        lines += [f"{mark}  - name: {bus}", f"{mark}    {place.setting}", f"{mark}    devices:"]
        lines += [f"      {line}" if usable else f"#       {line}" for line in devices]
    return "\n".join([*(["buses:"] if named else ["# nothing to put into agent.yaml yet"]), *lines])


def _nothing(place: SerialPlace, scanned: Scanned) -> str:
    if scanned.error is not None:
        return f"# {place}: not to the end: {scanned.error}"
    return f"# {place}: none of {scanned.asked} unit ids answered"


def _devices(bus: str, place: Place, scanned: Scanned) -> Iterator[str]:
    if scanned.error is not None:
        yield f"# not to the end: {scanned.error}"
    if scanned.deaf:
        yield "# it answers under every unit id alike: one meter that ignores the unit id"
    if not scanned.units and scanned.asked:
        yield f"# none of {scanned.asked} unit ids answered"
    for found in scanned.units:
        if found.matches:
            best = found.matches[0]
            name = f"{bus}-unit-{found.unit}" if bus else f"unit-{found.unit}"
            yield f"# {best.profile.manufacturer} {best.profile.model}, {certainty(found.matches)}: {best.evidence}"
            yield f"- {{name: {name}, unit: {found.unit}, profile: {best.profile.id}, every: 10s}}"
        elif found.clear:
            yield f"# unit {found.unit}: {found.said}, and no known model fits. Look at its registers:"
            yield f"#   wattline read {place.option} --unit {found.unit} --registers holding:0+40 --guess"
        else:
            yield f"# unit {found.unit}: {found.said}"


def certainty(matches: tuple[Match, ...]) -> str:
    """How sure the first of the matches is, with those that are as good."""
    best = matches[0]
    if best.sure:
        return "sure, it says so itself"
    rivals = [match.profile.id for match in matches[1:] if best.score - match.score < CLOSE * best.score]
    if not rivals:
        return "likely" if best.score >= LIKELY else "perhaps; compare the type plate"
    return f"or {', '.join(rivals[:_OTHERS])}{', ...' if len(rivals) > _OTHERS else ''}; compare the type plate"


def advice(results: Results) -> str:
    """What to try when nothing was found; empty when something was. For the one who stands before the cabinet."""
    if any(scanned.units for scanned in results.values()):
        return ""
    if any(isinstance(place, SerialPlace) for place in results):
        return (
            "nothing answered. Try: swap A and B (makers do not agree on the names); one meter alone on the cable;"
            " power and Modbus switched on in the meter's menu; its own baud rate and parity there, with --lines;"
            " unit ids above those asked, with --units 1-247; slow meters, with --timeout 1; 120 ohm at both cable ends"
        )
    return (
        "nothing answered. Try: the meter's own unit id from its menu (often 1, 255 or 0), with --units; slow gateways,"
        " with --timeout 3; the gateway's serial settings; another Modbus master that keeps the connection busy"
    )


def scan_json(results: Results) -> list[dict[str, Any]]:
    return [
        {
            "endpoint": str(place) if isinstance(place, Endpoint) else None,
            "port": str(place.port) if isinstance(place, SerialPlace) else None,
            "line": str(place.line) if isinstance(place, SerialPlace) else None,
            "asked": scanned.asked,
            "error": scanned.error,
            "ignores_unit_id": scanned.deaf,
            "units": [_unit(found) for found in scanned.units],
        }
        for place, scanned in results.items()
    ]


def _unit(found: FoundUnit) -> dict[str, Any]:
    return {"unit": found.unit, "said": found.said, "clear": found.clear, "matches": list(_matches(found.matches))}


def _matches(matches: Iterable[Match]) -> Iterator[dict[str, Any]]:
    for match in matches:
        yield {
            "profile": match.profile.id,
            "sure": match.sure,
            "score": round(match.score, 2),
            "evidence": match.evidence,
        }
