"""MQTT topics, and the committed message by which the centre says what its store holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

ROOT: Final = "wattline/v1"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one gateway."""

    site: str
    gateway: str

    def _of(self, leaf: str) -> str:
        return f"{ROOT}/{self.site}/{self.gateway}/{leaf}"

    @property
    def readings(self) -> str:
        return self._of("readings")

    @property
    def intervals(self) -> str:
        """Of a centre: what it forwards to the centre above it."""
        return self._of("intervals")

    @property
    def production(self) -> str:
        """Of a line's MES or PLC, which stands where a gateway's name does: a batch that was made, as JSON."""
        return self._of("production")

    @property
    def asked(self) -> str:
        """Of a centre: which raw readings the centre above it asks for (retained)."""
        return self._of("asked")

    @property
    def raw(self) -> str:
        """Of a centre: its answers to that."""
        return self._of("raw")

    @property
    def status(self) -> str:
        return self._of("status")

    @property
    def committed(self) -> str:
        return self._of("committed")

    @property
    def replay(self) -> str:
        """Where the centre asks for what is kept; the gateway listens there only when it keeps something."""
        return self._of("replay")

    @property
    def command(self) -> str:
        return self._of("command")

    @property
    def reply(self) -> str:
        return self._of("reply")


ALL_READINGS: Final = f"{ROOT}/+/+/readings"
SHARED_READINGS: Final = f"$share/wattline/{ALL_READINGS}"
"""MQTT 5: each parcel goes to one of those who subscribed so, by the broker's choice."""
ALL_STATUS: Final = f"{ROOT}/+/+/status"
ALL_INTERVALS: Final = f"{ROOT}/+/+/intervals"
ALL_RAW: Final = f"{ROOT}/+/+/raw"
ALL_PRODUCTION: Final = f"{ROOT}/+/+/production"


def parse_topic(topic: str) -> tuple[Topics, str]:
    """(the gateway's topics, the leaf) of one of our topics; ValueError when it is none."""
    parts = topic.split("/")
    if len(parts) != 5 or "/".join(parts[:2]) != ROOT or not all(parts):
        raise ValueError(f"{topic!r} is not of the form {ROOT}/SITE/GATEWAY/LEAF")
    return Topics(parts[2], parts[3]), parts[4]


def check_sender(topic: str, site: str, gateway: str) -> None:
    """ValueError where what says that it is of this gateway (or centre) came on another's topic."""
    topics, _ = parse_topic(topic)
    if (site, gateway) != (topics.site, topics.gateway):
        raise ValueError(f"of {site}/{gateway}, and on a topic of {topics.site}/{topics.gateway}")


Ranges = tuple[tuple[int, int], ...]
"""Closed ranges of seq, ascending, apart from each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What the store has, per epoch of one gateway, as ranges of seq.

    The end of the first range that starts at 1 is the committed watermark. Later ranges are parcels stored above a gap:
    live parcels go first, so a backlog leaves gaps, and what is stored may leave the gateway's disk all the same.
    """

    epochs: Mapping[int, Ranges]

    def holds(self, epoch: int, seq: int) -> bool:
        """True when the store has this parcel."""
        return any(first <= seq <= last for first, last in self.epochs.get(epoch, ()))

    def watermark(self, epoch: int) -> int:
        """Highest seq up to which all is stored; 0 when even the first is missing."""
        ranges = self.epochs.get(epoch, ())
        return ranges[0][1] if ranges and ranges[0][0] == 1 else 0

    def highest(self, epoch: int) -> int:
        """Highest seq that is stored; 0 when none is."""
        return max((last for _, last in self.epochs.get(epoch, ())), default=0)


def encode_committed(committed: Committed) -> bytes:
    """JSON: {"version": 1, "epochs": {"12": [[1, 845], [850, 900]]}}."""
    epochs = {str(epoch): [list(pair) for pair in ranges] for epoch, ranges in committed.epochs.items()}
    return json.dumps({"version": VERSION, "epochs": epochs}, separators=(",", ":")).encode()


def decode_committed(payload: bytes) -> Committed:
    """Raises ValueError, saying why, when the payload is not a committed message of this version."""
    message = decode_json(payload)
    try:
        epochs = {int(epoch): checked_ranges(pairs) for epoch, pairs in message["epochs"].items()}
    except (KeyError, TypeError, AttributeError) as err:
        raise ValueError(f"not a committed message: {type(err).__name__}: {err}") from err
    return Committed(epochs=epochs)


def checked_ranges(pairs: Sequence[Sequence[int]]) -> Ranges:
    """Raises TypeError or ValueError."""
    ranges = tuple((first, last) for first, last in pairs)
    flat = [bound for pair in ranges for bound in pair]
    if any(type(bound) is not int for bound in flat) or flat != sorted(flat) or min(flat, default=1) < 1:
        raise ValueError(f"{ranges} are not ascending ranges of seq")
    return ranges


def decode_json(payload: bytes) -> dict[str, Any]:
    """A JSON object of our version, or ValueError saying why not."""
    try:
        message = json.loads(payload)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as err:
        raise ValueError(f"not JSON: {err}") from err
    if not isinstance(message, dict) or cast("dict[str, Any]", message).get("version") != VERSION:
        raise ValueError(f"not a message of version {VERSION}")
    return cast("dict[str, Any]", message)
