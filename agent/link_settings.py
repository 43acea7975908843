"""How a bus is reached, as it stands in agent.yaml: endpoints in the network, serial ports, TLS."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, model_validator

from agent.plan import SerialPlan, TlsPlan
from drivers.modbus.serial_line import SerialLine
from wattline.broker_settings import reference
from wattline.host_name import checked_host
from wattline.secrets import SecretRef
from wattline.strict_yaml import Strict

_TLS_PORT: Final = 802  # registered for Modbus/TCP Security
_FORM: Final = "must be HOST:PORT, such as 10.0.0.20:502 or [fe80::1]:502"


def _endpoint(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError(_FORM)
    if host.startswith("[") and host.endswith("]"):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError as err:
            raise ValueError(_FORM) from err
    else:
        try:
            checked_host(host)
        except ValueError as err:
            raise ValueError(f"{_FORM}: {err}") from err
    return text


Endpoint = Annotated[str, AfterValidator(_endpoint)]


def split(endpoint: str) -> tuple[str, int]:
    """Host and port of a checked endpoint."""
    host, _, port = endpoint.rpartition(":")
    return host.strip("[]"), int(port)


def _device_file(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be the whole path of a port, best one that survives replugging: /dev/serial/by-id/...")
    return path


def _line(value: object) -> SerialLine:
    return value if isinstance(value, SerialLine) else SerialLine.parse(str(value))


class SerialSettings(Strict):
    """A serial port with meters on it, by Modbus RTU."""

    port: Annotated[Path, AfterValidator(_device_file)]
    line: Annotated[SerialLine, BeforeValidator(_line)]
    """Baud rate, data bits, parity, stop bits, as all meters on the line are set: 9600 8N1."""
    rs485: Annotated[bool, Field(strict=True)] = False
    """True: the kernel switches the transceiver to sending by RTS. Most USB adapters do it by themselves."""
    ascii: Annotated[bool, Field(strict=True)] = False
    """True: the meters are set to Modbus ASCII, not RTU."""

    def plan(self) -> SerialPlan:
        return SerialPlan(port=self.port, line=self.line, rs485=self.rs485, ascii=self.ascii)


def _pem(value: object) -> SecretRef:
    if isinstance(value, str) and value:
        return SecretRef(file=Path(value))
    if isinstance(value, dict):
        return reference(value)  # pyright: ignore[reportUnknownArgumentType]
    raise ValueError("must be the path of a PEM file, or {credential: NAME}")


Pem = Annotated[SecretRef, PlainValidator(_pem)]


def _tls_endpoint(text: str) -> str:
    return _endpoint(text if re.search(r":\d*$", text) and not text.endswith("::") else f"{text}:{_TLS_PORT}")


class TlsSettings(Strict):
    """Modbus TCP inside TLS (Modbus/TCP Security): both sides show a certificate. Files are PEM."""

    address: Annotated[str, AfterValidator(_tls_endpoint)]
    """Host, or host and port; without one it is 802."""
    ca: Pem | None = None
    """The authorities whose word on the server counts; None: those the system trusts."""
    certificate: Pem | None = None
    """Ours, with its chain. None: for a server that lets anybody read."""
    key: Pem | None = None
    name: Annotated[str, AfterValidator(checked_host)] | None = None
    """What stands in the server's certificate, when that is not the host of `address`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        return self

    def plan(self) -> TlsPlan:
        host, port = split(self.address)
        return TlsPlan(host=host, port=port, ca=self.ca, certificate=self.certificate, key=self.key, name=self.name)
