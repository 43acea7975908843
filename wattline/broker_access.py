"""How to reach and enter the broker, after the settings were checked: plain values, the secret by reference."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wattline.broker import Broker, BrokerRefused, Connection, Will
from wattline.errors import ConfigError
from wattline.mqtt import Address, PahoBroker
from wattline.secrets import SecretRef


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccess:
    """`exposed`: readings leave this host unencrypted."""

    url: str
    host: str
    port: int
    tls: bool
    exposed: bool
    client_id: str
    username: str | None
    password: SecretRef | None
    ca: Path | None
    certificate: Path | None
    key: Path | None
    protocol: Literal["5", "3.1.1"]

    def address(self) -> Address:
        """The address with the secret revealed, read at this moment. Raises ConfigError."""
        return Address(
            host=self.host,
            port=self.port,
            client_id=self.client_id,
            tls=self.tls,
            username=self.username,
            password=None if self.password is None else self.password.reveal(),
            ca=self.ca,
            certificate=self.certificate,
            key=self.key,
            protocol=self.protocol,
        )


class ConfiguredBroker:
    """A wattline.broker.Broker. Secret and certificates are read anew at each connection: what was rotated is used;
    a secret that cannot be read is a refusal, to be tried again later."""

    def __init__(self, access: BrokerAccess, make: Callable[[Address], Broker] = PahoBroker) -> None:
        """Raises ConfigError when the secret cannot be read now: a wrong setting shows at the start."""
        self._access, self._make = access, make
        access.address()

    def connect(self, *, will: Will | None = None) -> AbstractAsyncContextManager[Connection]:
        """See Broker; raises BrokerRefused when the secret cannot be read."""
        try:
            address = self._access.address()
        except ConfigError as err:
            raise BrokerRefused(str(err)) from err
        return self._make(address).connect(will=will)
