"""The centre's request to a gateway: send again what you have kept of a range. It can ask for nothing else."""

import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from metering.topics import VERSION, Ranges, checked_ranges, decode_json

MAX_BYTES: Final = 64 * 1024
_LATEST: Final = 1 << 63
_KEYS: Final = frozenset({"version", "request", "from", "to", "epochs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """Parcels that meet all that is said: with a reading in [start, end) (UTC ns), and of these ids.

    `number` names the request: the time it was made, in ns. `epochs` None: parcels of whatever id.
    """

    number: int
    start: int = 0
    end: int = _LATEST - 1
    epochs: Mapping[int, Ranges] | None = None

    def names(self, epoch: int, seq: int) -> bool:
        """True for an id that is asked for."""
        if self.epochs is None:
            return True
        bounds = tuple(chain.from_iterable(self.epochs.get(epoch, ())))
        at = bisect_left(bounds, seq)
        return at < len(bounds) and (at % 2 == 1 or bounds[at] == seq)

    @property
    def named(self) -> int | None:
        """How many ids it names; None when it asks by time alone."""
        if self.epochs is None:
            return None
        return sum(last - first + 1 for ranges in self.epochs.values() for first, last in ranges)


def encode_replay(request: ReplayRequest) -> bytes:
    """JSON: {"version": 1, "request": 17, "from": 0, "to": 9, "epochs": {"12": [[1, 845]]}}."""
    message: dict[str, Any] = {
        "version": VERSION,
        "request": request.number,
        "from": request.start,
        "to": request.end,
    }
    if request.epochs is not None:
        message["epochs"] = {str(epoch): [list(pair) for pair in ranges] for epoch, ranges in request.epochs.items()}
    return json.dumps(message, separators=(",", ":")).encode()


def decode_replay(payload: bytes) -> ReplayRequest:
    """Raises ValueError, saying why, when the payload is not exactly such a request of this version."""
    if len(payload) > MAX_BYTES:
        raise ValueError(f"{len(payload)} bytes, a request has {MAX_BYTES} at most")
    message = decode_json(payload)
    if unknown := message.keys() - _KEYS:
        raise ValueError(f"not a replay request: it says {min(unknown)[:40]!r}")
    number, start, end = (_whole(message.get(key), key) for key in ("request", "from", "to"))
    if number == 0 or start >= end:
        raise ValueError("not a replay request: it is number 0 or ends before it begins")
    try:
        epochs = message.get("epochs")
        named = None if epochs is None else {int(epoch): checked_ranges(pairs) for epoch, pairs in epochs.items()}
    except (TypeError, AttributeError) as err:
        raise ValueError(f"not a replay request: {type(err).__name__}: {err}") from err
    return ReplayRequest(number=number, start=start, end=end, epochs=named)


def _whole(value: object, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _LATEST:
        raise ValueError(f"not a replay request: {key} is a whole number of ns")
    return value
