"""The broker of the settings, its secret and certificates read anew at each connection: what was rotated is used."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from wattline.broker import Broker, BrokerRefused, Connection, Will
from wattline.broker_settings import BrokerSettings
from wattline.mqtt import Address, PahoBroker
from wattline.strict_yaml import ConfigError


def address_of(settings: BrokerSettings, client_id: str) -> Address:
    """The address with the secret revealed; `client_id` where the settings name none. Raises ConfigError."""
    return Address(
        host=settings.host,
        port=settings.port,
        client_id=settings.client_id or client_id,
        tls=settings.tls,
        username=settings.username,
        password=None if settings.password is None else settings.password.reveal(),
        ca=settings.ca,
        certificate=settings.certificate,
        key=settings.key,
        protocol=settings.protocol,
    )


class SettingsBroker:
    """A wattline.broker.Broker; a secret that cannot be read is a refusal, to be tried again later."""

    def __init__(
        self, settings: BrokerSettings, client_id: str, make: Callable[[Address], Broker] = PahoBroker
    ) -> None:
        """Raises ConfigError when the secret cannot be read now: a wrong setting shows at the start."""
        self._settings, self._client_id, self._make = settings, client_id, make
        address_of(settings, client_id)

    def connect(self, *, will: Will | None = None) -> AbstractAsyncContextManager[Connection]:
        """See Broker; raises BrokerRefused when the secret cannot be read."""
        try:
            address = address_of(self._settings, self._client_id)
        except ConfigError as err:
            raise BrokerRefused(str(err)) from err
        return self._make(address).connect(will=will)
