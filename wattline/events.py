"""Log events: a name such as `device.silent` and fields, to the journal with native fields, to a terminal, or as JSON.

Events are for changes of state, not for every poll. Names are dotted and lower case; fields are snake case.
Under systemd each event reaches the journal with PRIORITY and the fields EVENT, DEVICE, BUS, ... (upper case of the
field's name). On a terminal it is one coloured line. Otherwise it is one JSON object a line on standard error.
"""

import json
import logging
import os
import socket
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

_ROOT: Final = "wattline.events"
_FIELDS: Final = "wattline_fields"
_PRIORITY: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_COLOUR: Final = {
    logging.DEBUG: "2",
    logging.INFO: "36",
    logging.WARNING: "33",
    logging.ERROR: "31",
    logging.CRITICAL: "1;31",
}
_JOURNAL: Final = "/run/systemd/journal/socket"


class EventLog:
    """Emits events with bound fields; `bind` returns a new log and leaves this one as it is."""

    __slots__ = ("_bound",)
    _logger = logging.getLogger(_ROOT)

    def __init__(self, **bound: object) -> None:
        self._bound = bound

    def bind(self, **fields: object) -> "EventLog":
        """This log with `fields` added to every event."""
        return EventLog(**self._bound, **fields)

    @property
    def debugging(self) -> bool:
        """True when debug events are heard: to ask before formatting what is costly to format."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def debug(self, event: str, /, **fields: object) -> None:
        self._emit(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._emit(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        self._emit(logging.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self._emit(logging.ERROR, event, fields)

    def critical(self, event: str, /, **fields: object) -> None:
        self._emit(logging.CRITICAL, event, fields)

    def _emit(self, level: int, event: str, fields: Mapping[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={_FIELDS: {**self._bound, **fields}})


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, _FIELDS, {})
    return fields


def _words(fields: Mapping[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in fields.items())


class _Terminal(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        colour = _COLOUR.get(record.levelno, "0")
        return (
            f"{at} \033[{colour}m{record.getMessage():<24}\033[0m {_words(_fields(record))}{_traceback(self, record)}"
        )


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "at": at,
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_fields(record),
        }
        if trace := _traceback(self, record):
            line["traceback"] = trace
        return json.dumps(line, default=str, ensure_ascii=False)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return "\n" + formatter.formatException(record.exc_info) if record.exc_info else ""


class _Journal(logging.Handler):
    """Sends each event as one datagram of the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        fields = _fields(record)
        message = f"{record.getMessage()} {_words(fields)}".rstrip() + _traceback(logging.Formatter(), record)
        entries: dict[str, object] = {
            "MESSAGE": message,
            "PRIORITY": _PRIORITY.get(record.levelno, 5),
            "SYSLOG_IDENTIFIER": "wattline",
            "EVENT": record.getMessage(),
            **{name.upper(): value for name, value in fields.items()},
        }
        packet = b"".join(_entry(name, str(value)) for name, value in entries.items())
        try:
            self._socket.sendto(packet, self._path)
        except OSError:
            # the journal is away or the event too large: standard error still reaches it line by line
            sys.stderr.write(message + "\n")


def _entry(name: str, value: str) -> bytes:
    data = value.encode()
    if b"\n" not in data:
        return name.encode() + b"=" + data + b"\n"
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"


def _writes_to_journal() -> bool:
    """True when systemd connected our standard error to the journal (JOURNAL_STREAM names its device and inode)."""
    try:
        at = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{at.st_dev}:{at.st_ino}"


def start_logging(level: str = "info") -> None:
    """Send the events of this process where its standard error goes; call once, at the door of a command."""
    handler: logging.Handler
    if _writes_to_journal():
        handler = _Journal(_JOURNAL)
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Terminal() if sys.stderr.isatty() else _Json())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(_ROOT).setLevel(level.upper())


class _Capture(logging.Handler):
    def __init__(self, into: list[dict[str, Any]]) -> None:
        super().__init__()
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append({"event": record.getMessage(), "level": record.levelname.lower(), **_fields(record)})


@contextmanager
def capture_events() -> Generator[list[dict[str, Any]]]:
    """Collect the events emitted in the block, each a dict with `event`, `level` and its fields; for tests."""
    events: list[dict[str, Any]] = []
    logger, handler = logging.getLogger(_ROOT), _Capture(events)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield events
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
