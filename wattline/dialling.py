"""How to reach a broker: address, checked TLS, and dialling in a thread, because a resolver may hang for long."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from wattline.broker import BrokerError, BrokerRefused, BrokerUnreachable
from wattline.certificate import expiry_ns

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the broker is and who we are. `ca` None means the authorities the system trusts; files are PEM."""

    host: str
    port: int
    client_id: str
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    protocol: Literal["5", "3.1.1"] = "5"
    password_file: Path | None = None
    """Where the password was read from, None when it stands in no file."""

    def __str__(self) -> str:
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.port}"


class Renewal:
    """Notices that one of the files behind an address was replaced by another that can be used."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._seen = self._stamp()

    def _stamp(self) -> tuple[object, ...]:
        address = self._address
        return tuple(map(_stamp, (address.ca, address.certificate, address.key, address.password_file)))

    def due(self) -> bool:
        """True once the files are others than at the start, and fit together: a half-done exchange is waited out."""
        address = self._address
        if self._stamp() == self._seen:
            return False
        try:
            if address.tls:
                tls_context(address)
            return address.password_file is None or address.password_file.stat().st_size > 0
        except (OSError, BrokerRefused):
            return False


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    try:
        at = None if path is None else path.stat()
    except OSError:
        return None
    return None if at is None else (at.st_mtime_ns, at.st_size, at.st_ino)


class _TlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho would leave it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def tls_context(address: Address) -> ssl.SSLContext:
    """A context that checks authority, dates and host name, TLS 1.2 at least; read anew for each connection.

    Raises BrokerRefused naming the file that cannot be used: a rotated certificate is picked up, a bad one is told.
    """
    try:
        context = ssl.create_default_context(cafile=None if address.ca is None else str(address.ca))
        if address.certificate is not None:
            context.load_cert_chain(address.certificate, address.key)
    except OSError as err:  # an ssl.SSLError is one
        files = ", ".join(str(path) for path in (address.ca, address.certificate, address.key) if path is not None)
        raise BrokerRefused(f"TLS files {files}: {err}") from err
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TlsSocket
    return context


async def in_thread(work: Callable[[], T], abandoned: Callable[[], None]) -> T:
    """Run `work` in a daemon thread, so that a hanging resolver delays neither the loop nor the end of the process.

    When the caller stops waiting, the thread ends on its own and calls `abandoned`.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    left = threading.Event()

    def tell(result: T | None, error: Exception | None) -> None:
        if done.done():
            abandoned()
        elif error is not None:
            done.set_exception(error)
        elif result is not None:
            done.set_result(result)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except (OSError, ValueError) as err:
            error = err
        if left.is_set():
            abandoned()
            return
        with suppress(RuntimeError):  # the loop has closed meanwhile: nobody is left to tell
            loop.call_soon_threadsafe(tell, result, error)

    threading.Thread(target=run, name="mqtt-connect", daemon=True).start()
    try:
        return await done
    except asyncio.CancelledError:
        left.set()
        raise


def turned_away(address: Address, reason: str) -> BrokerRefused:
    """For a connection that was cut before the broker accepted us: it does not like how we came."""
    hint = "a client certificate that is missing or not accepted" if address.tls else "a port that wants TLS"
    if address.certificate is not None:
        with suppress(OSError, ValueError):
            if expiry_ns(address.certificate) <= time.time_ns():
                hint = f"our certificate, which has expired: {address.certificate}"
    return BrokerRefused(f"{address}: cut before it was accepted, as it would be by {hint}: {reason}")


def connect_error(where: str, err: Exception) -> BrokerError:
    """The broker error for what connecting raised, in the operator's words."""
    if isinstance(err, ssl.SSLCertVerificationError):
        return BrokerRefused(f"{where}: the broker's certificate is not accepted: {err.verify_message}")
    if isinstance(err, ssl.SSLError):
        return BrokerRefused(f"{where}: TLS: {err.reason or err}")
    if isinstance(err, socket.gaierror):
        return BrokerUnreachable(f"{where}: the name cannot be resolved: {err.strerror}")
    if isinstance(err, TimeoutError):
        return BrokerUnreachable(f"{where}: no answer")
    if isinstance(err, OSError):
        return BrokerUnreachable(f"{where}: {err.strerror or err}")
    return BrokerRefused(f"{where}: {err}")
