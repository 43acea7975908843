"""The broker as it stands in agent.yaml and centre.yaml: address, identity, TLS."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PlainValidator,
    SecretStr,
    StringConstraints,
    model_validator,
)

from wattline.broker_access import BrokerAccess
from wattline.secrets import SecretRef

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
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


class BrokerSettings(BaseModel):
    """How to reach and enter the broker; `mqtts` is MQTT over TLS with the server's name checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: Annotated[str, AfterValidator(_url)]
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

    def access(self, client_id: str) -> BrokerAccess:
        """The same in plain values; `client_id` where the settings name none."""
        return BrokerAccess(
            url=self.url,
            host=self.host,
            port=self.port,
            tls=self.tls,
            exposed=not self.tls and not self.loopback,
            client_id=self.client_id or client_id,
            username=self.username,
            password=self.password,
            ca=self.ca,
            certificate=self.certificate,
            key=self.key,
            protocol=self.protocol,
        )

    @property
    def host(self) -> str:
        host = urlsplit(self.url).hostname
        assert host is not None
        return host

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def tls(self) -> bool:
        return self.url.startswith("mqtts:")

    @property
    def loopback(self) -> bool:
        """True when the broker is on this host, so that nothing leaves it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

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
