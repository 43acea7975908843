"""TlsLink: Modbus TCP inside mutual TLS. Source: MODBUS/TCP Security Protocol Specification v21.

The server's certificate is always checked, its name included. Files are read anew at each connection: what was rotated
is used.
"""

import asyncio
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drivers.base import LinkDown
from drivers.modbus.tcp import Asking, Connection, TcpLink
from wattline.errors import ConfigError
from wattline.events import EventLog
from wattline.secrets import SecretRef

_ALERTS: Final = {
    "CERTIFICATE_REQUIRED": "the server wants a certificate of ours: set `certificate` and `key`",
    "CERTIFICATE_EXPIRED": "the server says that our certificate has expired",
    "CERTIFICATE_REVOKED": "the server says that our certificate is revoked",
    "UNKNOWN_CA": "the server does not trust the authority of our certificate",
    "BAD_CERTIFICATE": "the server does not accept our certificate",
    "CERTIFICATE_UNKNOWN": "the server does not accept our certificate",
    "HANDSHAKE_FAILURE": "the server ended the handshake: it may want a certificate of ours, or other ciphers",
    "PROTOCOL_VERSION": "the server speaks no TLS 1.2 or later",
    "UNSUPPORTED_PROTOCOL": "the server speaks no TLS 1.2 or later",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS on this port",
}
"""What OpenSSL's reasons end with, in words."""
_PERHAPS: Final = "the server may want a certificate of ours, or not accept it"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files. `ca`: the authorities to trust, None the system's. `certificate` and `key`: ours, both or none.

    `name` must stand in the server's certificate; None: the host that is connected to.
    """

    ca: SecretRef | None
    certificate: SecretRef | None
    key: SecretRef | None
    name: str | None

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or later, certificate and name checked; raises LinkDown naming the file that cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if self.ca is None:
                context.load_default_certs()
            else:
                with _telling(ca := self.ca.path()):
                    context.load_verify_locations(ca)
            if self.certificate is not None and self.key is not None:
                with _telling(chain := self.certificate.path(), key := self.key.path()):
                    # an empty password: a key that needs one fails here, and does not ask the terminal
                    context.load_cert_chain(chain, key, password="")
        except ConfigError as err:
            raise LinkDown(str(err)) from err
        return context


@contextmanager
def _telling(*paths: Path) -> Generator[None]:
    """Make of an error a LinkDown that names the files."""
    try:
        yield
    except OSError as err:
        raise LinkDown(f"{' with '.join(map(str, paths))}: {err.strerror or err}") from err


class TlsLink(TcpLink):
    """As TcpLink. LinkDown says why a certificate was not accepted, theirs or ours."""

    least_open_s = 10.0  # a small gateway works on its key for seconds

    def __init__(self, host: str, port: int, timeout_s: float, log: EventLog, files: TlsFiles) -> None:
        super().__init__(host, port, timeout_s, log)
        self._files = files

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Asking:
        try:
            _, connection = await loop.create_connection(
                lambda: _TlsConnection(loop, self._log),
                self._host,
                self._port,
                ssl=self._files.context(),
                server_hostname=self._files.name or self._host,
            )
        except ssl.SSLError as err:
            raise ConnectionError(_why(err)) from err
        except ConnectionResetError as err:
            raise ConnectionError(f"closed in the TLS handshake: {_PERHAPS}") from err
        return connection


class _TlsConnection(Connection):
    """TLS 1.3 has the server judge our certificate only after we took the connection for made."""

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, ssl.SSLError):
            exc = ConnectionError(_why(exc))
        elif self._reason is None and self._asked <= 1:
            exc = ConnectionError(f"closed before its first reply: {_PERHAPS}")
        super().connection_lost(exc)


def _why(err: ssl.SSLError) -> str:
    if isinstance(err, ssl.SSLCertVerificationError):
        return f"the server's certificate is refused: {err.verify_message}"
    reason = err.reason or str(err)
    return next((words for end, words in _ALERTS.items() if reason.endswith(end)), f"TLS: {reason}")
