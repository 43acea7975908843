"""Raw readings on request: what a centre above asks of one below, and the parts in which they come.

The one above keeps its open requests retained on `.../asked`, as JSON, each with the `place` from which it wants more.
The one below answers on `.../raw` with the part that begins there: gzipped line protocol like a parcel of readings,

    meter,site=S,centre=C,device=incomer energy_active_import_total=1234.5 1767225600000000000
    wattline_raw,site=S,centre=C version=1i,request="7f3a",place="",readings=1i,next="..." 1767225600000000000

without `next` in the last part, and with `refused` in place of readings where it gives none. Only the part that begins
at the place that is asked for is taken, so each comes into the books once, whatever comes twice or late.
"""

import gzip
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, cast

from metering.lineprotocol import Line, check_name, decode_sweeps, encode_sweep, parse_line
from metering.parcel import ParcelError, inflated
from metering.sweep import Sweep
from metering.topics import VERSION, decode_json

MEASUREMENT: Final = "wattline_raw"
MAX_ASKS: Final = 16
MAX_READINGS: Final = 5000
_LEVEL: Final = 1
_MAX_TIME: Final = 2**63
_PLACE: Final = re.compile(r"[A-Za-z0-9_.\-/]{0,200}")
_REASON: Final = re.compile(r"[A-Za-z0-9_.\-:, ]{1,200}")


class RawError(ValueError):
    """A message that is no request or answer of a version we know; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request of `author` for the registers of one `node` or one `device` in [start, end) (UTC ns).

    `place`: from where on, as the part before told as `next`; empty at first.
    """

    id: str
    author: str
    reason: str
    node: str | None
    device: str | None
    start: int
    end: int
    place: str = ""

    def __post_init__(self) -> None:
        """Raises RawError for what makes no sense."""
        try:
            check_name(self.id)
            check_name(self.node or self.device or "")
        except ValueError as err:
            raise RawError(str(err)) from err
        wrong = {
            "author": not _printable(self.author, 100),
            "reason": not _printable(self.reason, 500),
            "node": self.node is not None and self.device is not None,
            "time": not 0 <= self.start < self.end < _MAX_TIME,
            "place": not _PLACE.fullmatch(self.place),
        }
        if found := [what for what, is_wrong in wrong.items() if is_wrong]:
            raise RawError(f"request {self.id}: wrong {', '.join(found)}")

    @property
    def subject(self) -> "Ask":
        """What is asked for, wherever its answer stands."""
        return replace(self, place="")


def _printable(text: str, longest: int) -> bool:
    return bool(text.strip()) and len(text) <= longest and text.isprintable()


def encode_asks(asks: Sequence[Ask]) -> bytes:
    """JSON: {"version": 1, "requests": [...]}; an empty list is a message, too."""
    found = {"version": VERSION, "requests": [asdict(ask) for ask in asks]}
    return json.dumps(found, separators=(",", ":")).encode()


def decode_asks(payload: bytes) -> tuple[Ask, ...]:
    """Raises RawError."""
    try:
        found: Any = decode_json(payload)["requests"]
        if not isinstance(found, list) or len(cast("list[object]", found)) > MAX_ASKS:
            raise RawError(f"no list of at most {MAX_ASKS} requests")
        return tuple(ask_of(one) for one in cast("list[object]", found))
    except RawError:
        raise
    except (KeyError, ValueError) as err:
        raise RawError(f"no requests: {err}") from err


def ask_of(found: Any) -> Ask:
    """A request out of its JSON; raises RawError."""
    kinds: dict[str, tuple[type, ...]] = {
        **dict.fromkeys(("id", "author", "reason", "place"), (str,)),
        **dict.fromkeys(("node", "device"), (str, type(None))),
        **dict.fromkeys(("start", "end"), (int,)),
    }
    if not isinstance(found, dict) or set(cast("dict[str, Any]", found)) != set(kinds):
        raise RawError(f"a request has the keys {', '.join(kinds)}")
    told = cast("dict[str, Any]", found)
    if wrong := [name for name, kind in kinds.items() if type(told[name]) not in kind]:
        raise RawError(f"a request with a wrong {', '.join(wrong)}")
    return Ask(**told)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPart:
    """The part of an answer that begins at `place`; `next` None: it is the last. `refused`: why there is none."""

    site: str
    centre: str
    request: str
    place: str
    next: str | None
    refused: str | None
    sweeps: tuple[Sweep, ...]

    @property
    def readings(self) -> int:
        return sum(len(sweep.values) for sweep in self.sweeps)


def seal_raw(part: RawPart) -> bytes:
    """The bytes of a part, its own line last; the same part gives the same bytes."""
    tags = f",site={check_name(part.site)},centre={check_name(part.centre)}"
    lines = [line for sweep in part.sweeps for line in encode_sweep(sweep, tags)]
    more = "" if part.next is None else f',next="{part.next}"'
    more += "" if part.refused is None else f',refused="{part.refused}"'
    lines.append(
        f'{MEASUREMENT}{tags} version={VERSION}i,request="{check_name(part.request)}",place="{part.place}",'
        f"readings={part.readings}i{more} {max((sweep.taken_at for sweep in part.sweeps), default=0)}\n"
    )
    return gzip.compress("\n".join(lines).encode(), _LEVEL, mtime=0)


def open_raw(body: bytes) -> RawPart:
    """Decode a part's bytes; raises RawError. Never expands to more than a parcel of readings may."""
    try:
        lines = [parse_line(text) for text in inflated(body).splitlines() if text]
        if not lines or lines[-1].measurement != MEASUREMENT:
            raise RawError(f"does not end with its {MEASUREMENT} line")
        own = lines.pop()
        if own.fields.get("version") != VERSION:
            raise RawError(f"is of version {own.fields.get('version')}, this centre reads version {VERSION}")
        part = RawPart(
            site=check_name(own.tags["site"]),
            centre=check_name(own.tags["centre"]),
            request=check_name(str(own.fields["request"])),
            place=_text(own, "place", _PLACE),
            next=_text(own, "next", _PLACE) if "next" in own.fields else None,
            refused=_text(own, "refused", _REASON) if "refused" in own.fields else None,
            sweeps=tuple(decode_sweeps(iter(lines))),
        )
        if part.readings != own.fields["readings"] or part.readings > MAX_READINGS:
            raise RawError("does not hold what its line says, or too much")
    except RawError:
        raise
    except KeyError as err:
        raise RawError(f"lacks {err}") from err
    except (ParcelError, zlib.error, ValueError) as err:
        raise RawError(f"cannot be read: {err}") from err
    return part


def _text(line: Line, name: str, form: re.Pattern[str]) -> str:
    found = line.fields[name]
    if not isinstance(found, str) or not form.fullmatch(found):
        raise RawError(f"has a wrong {name}")
    return found
