"""The broker as it stands in agent.yaml and centre.yaml: address, identity, TLS."""

import ipaddress
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    PlainValidator,
    SecretStr,
    StringConstraints,
    model_validator,
)

from wattline.broker_access import BrokerAccess
from wattline.secrets import SecretRef
from wattline.strict_yaml import Strict
from wattline.units import Rate

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_SLOWEST: Final = Decimal(1000)  # bytes a second: a parcel of usual size still passes within a minute
_CREDENTIAL: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_HOW: Final = "write {credential: NAME} or {file: PATH}, or give it in the environment"
_FORM: Final = "must be mqtts://HOST[:PORT], or mqtt://HOST[:PORT] without TLS"


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(_FORM)
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{_FORM}; user and password have keys of their own")
    try:
        port = parts.port
    except ValueError as err:
        raise ValueError(f"{_FORM}; a port is a number to 65535") from err
    if port == 0:
        raise ValueError(f"{_FORM}; port 0 is none")
    return text


def _urls(value: object) -> str | tuple[str, ...]:
    """One address, or several brokers of one kind; raises ValueError."""
    given: Any = value
    if isinstance(value, str):
        return _url(value)
    if not isinstance(value, list | tuple) or not given or not all(isinstance(each, str) for each in given):
        raise ValueError(f"{_FORM}, or a list of them")
    urls = tuple(_url(each) for each in given)
    if len({urlsplit(each).scheme for each in urls}) > 1:
        raise ValueError("all of them with TLS (mqtts://), or none")
    return urls


def reference(value: object) -> SecretRef:
    """The secret that `value` of a settings file names; raises ValueError."""
    if isinstance(value, SecretRef):
        return value
    if isinstance(value, SecretStr):
        return SecretRef(given=value.get_secret_value())
    given: Any = value
    if not isinstance(value, dict) or len(given) != 1:
        raise ValueError(f"a secret does not stand in this file: {_HOW}")
    ((kind, where),) = given.items()
    if not isinstance(where, str) or not where:
        raise ValueError(_HOW)
    if kind == "credential" and _CREDENTIAL.fullmatch(where) and where not in {".", ".."}:
        return SecretRef(credential=where)
    if kind == "file":
        return SecretRef(file=Path(where))
    raise ValueError(_HOW)


Secret = Annotated[SecretRef, PlainValidator(reference)]
"""The type of a secret in a settings model."""


def _endpoint(url: str) -> tuple[str, int]:
    """Host and port of a checked url."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    return parts.hostname, parts.port or _PORTS[parts.scheme]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class BrokerSettings(Strict):
    """How to reach and enter the broker; `mqtts` is MQTT over TLS with the server's name checked."""

    url: Annotated[str | tuple[str, ...], PlainValidator(_urls)]
    """Several: tried in turn, the one that worked last first."""
    username: Annotated[str, StringConstraints(min_length=1)] | None = None
    password: Secret | None = None
    ca: Path | None = None
    """PEM file of the authorities to trust instead of the system's."""
    certificate: Path | None = None
    """PEM file of our own certificate (and chain), with `key` the private key."""
    key: Path | None = None
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    """None: the program makes one of site and gateway, so that two agents of one name are noticed."""
    protocol: Literal["5", "3.1.1"] = "5"
    rate: Annotated[Rate, Field(ge=_SLOWEST)] | None = None
    """Most the agent sends on average, for a link that is paid for by the byte: 64 kbit/s."""

    def access(self, client_id: str) -> BrokerAccess:
        """The same in plain values; `client_id` where the settings name none."""
        return BrokerAccess(
            url=", ".join(self.urls),
            endpoints=tuple(_endpoint(url) for url in self.urls),
            tls=self.tls,
            loopback=self.loopback,
            client_id=self.client_id or client_id,
            username=self.username,
            password=self.password,
            ca=self.ca,
            certificate=self.certificate,
            key=self.key,
            protocol=self.protocol,
            bytes_s=None if self.rate is None else float(self.rate),
        )

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.url,) if isinstance(self.url, str) else self.url

    @property
    def tls(self) -> bool:
        return self.urls[0].startswith("mqtts:")

    @property
    def loopback(self) -> bool:
        """True when every broker is on this host, so that nothing leaves it."""
        return all(_is_loopback(_endpoint(url)[0]) for url in self.urls)

    @model_validator(mode="before")
    @classmethod
    def _protocol_text(cls, data: object) -> Any:
        # YAML reads 5 as a number and 3.1.1 as text
        given: Any = data
        return {**given, "protocol": "5"} if isinstance(data, dict) and given.get("protocol") == 5 else given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.password is not None and self.username is None:
            raise ValueError("password without username")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if not self.tls and (self.ca or self.certificate):
            raise ValueError("ca, certificate and key need an mqtts:// url")
        if not self.tls and self.password is not None and not self.loopback:
            raise ValueError("a password would leave this host in clear text: use an mqtts:// url")
        return self
