"""When a certificate ends, and telling the operator 30 days, 7 days and one day before, and when it has."""

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from wattline.clock import NS, Clock
from wattline.events import EventLog

_WARN_DAYS: Final = (1, 7, 30)
_DAY_NS: Final = 86_400 * NS
_LOOK_S: Final = 3600.0
_MAX_BYTES: Final = 256 * 1024
_END: Final = "-----END CERTIFICATE-----"
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17


def expiry_ns(path: Path) -> int:
    """UTC nanoseconds of the notAfter of the first certificate of a PEM file; raises ValueError or OSError.

    The standard library shows the dates of a peer's certificate only, so this reads DER itself (RFC 5280, 4.1).
    """
    with path.open("rb") as file:
        text = file.read(_MAX_BYTES).decode("ascii", "replace")
    first = text[max(text.find("-----BEGIN CERTIFICATE-----"), 0) :].partition(_END)[0] + _END
    try:
        (_, certificate), *_ = _elements(ssl.PEM_cert_to_DER_cert(first))
        (_, body), *_ = _elements(certificate)
        fields = [content for tag, content in _elements(body) if tag != _VERSION]
        _, (tag, until) = _elements(fields[3])  # after serial number, signature algorithm and issuer
        form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
        at = datetime.strptime(until.decode("ascii"), form).replace(tzinfo=UTC)
    except (ValueError, IndexError) as err:
        raise ValueError(f"{path}: holds no certificate that can be read: {err}") from err
    return int(at.timestamp()) * NS


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The (tag, content) pairs that stand one after the other in `der`; raises IndexError or ValueError."""
    at = 0
    while at < len(der):
        tag, size, at = der[at], der[at + 1], at + 2
        if size & 0x80:
            more = size & 0x7F
            size, at = int.from_bytes(der[at : at + more], "big"), at + more
        if at + size > len(der):
            raise ValueError("it is cut off")
        yield tag, der[at : at + size]
        at += size


class ExpiryWatch:
    """One event for each of the days of `_WARN_DAYS` that a certificate passes, and one when it has ended."""

    def __init__(self, path: Path, log: EventLog) -> None:
        self._path, self._log = path, log
        self._told: tuple[object, int | None] = (None, None)

    def look(self, now_ns: int) -> None:
        """Tell what has become true since the last look; a new certificate starts anew."""
        try:
            until = expiry_ns(self._path)
        except (OSError, ValueError) as err:
            if self._told != (str(err), None):
                self._told = (str(err), None)
                self._log.error("certificate.unreadable", file=str(self._path), error=str(err))
            return
        days = -((now_ns - until) // _DAY_NS)  # begun ones
        passed = 0 if now_ns >= until else next((each for each in _WARN_DAYS if days <= each), None)
        before, self._told = self._told, (until, passed)
        if passed is None or before == self._told:
            return
        at = datetime.fromtimestamp(until / NS, UTC).isoformat()
        if passed == 0:
            self._log.error("certificate.expired", file=str(self._path), until=at)
        else:
            self._log.warning("certificate.expires", file=str(self._path), until=at, days=days)

    async def run(self, clock: Clock) -> None:
        """Look every hour, for ever."""
        while True:
            self.look(clock.now_ns())
            await asyncio.sleep(_LOOK_S)
