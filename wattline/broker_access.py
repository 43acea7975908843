"""How to reach and enter the broker, after the settings were checked: plain values, the secret by reference."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

from wattline.broker import Broker, BrokerError, BrokerRefused, BrokerSilent, BrokerUnreachable, Connection, Will
from wattline.errors import ConfigError
from wattline.mqtt import Address, PahoBroker
from wattline.secrets import SecretRef

SPREAD_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccess:
    """`endpoints` are (host, port) of brokers that serve alike; `loopback`: all of them are on this host.

    `bytes_s` bounds what the agent sends on average.
    """

    url: str
    endpoints: tuple[tuple[str, int], ...]
    tls: bool
    loopback: bool
    client_id: str
    username: str | None
    password: SecretRef | None
    ca: Path | None
    certificate: Path | None
    key: Path | None
    protocol: Literal["5", "3.1.1"]
    bytes_s: float | None

    @property
    def exposed(self) -> bool:
        """Readings leave this host unencrypted."""
        return not self.tls and not self.loopback

    @property
    def spread_s(self) -> float:
        """Over how long the first connections of a fleet are to be spread after a start or a loss; a broker of our
        own has no fleet."""
        return 0.0 if self.loopback else SPREAD_S

    def addresses(self) -> tuple[Address, ...]:
        """The addresses with the secret revealed, read at this moment. Raises ConfigError."""
        password = None if self.password is None else self.password.reveal()
        return tuple(
            Address(
                host=host,
                port=port,
                client_id=self.client_id,
                tls=self.tls,
                username=self.username,
                password=password,
                ca=self.ca,
                certificate=self.certificate,
                key=self.key,
                protocol=self.protocol,
                password_file=None if self.password is None else self.password.file(),
            )
            for host, port in self.endpoints
        )


class ConfiguredBroker:
    """A wattline.broker.Broker. Secret and certificates are read anew at each connection: what was rotated is used;
    a secret that cannot be read is a refusal, to be tried again later. Of several addresses the one that worked last
    is tried first, then the others in their order; one that lets us in and then refuses what we need, or acknowledges
    nothing, did not work."""

    def __init__(self, access: BrokerAccess, make: Callable[[Address], Broker] = PahoBroker) -> None:
        """Raises ConfigError when the secret cannot be read now: a wrong setting shows at the start."""
        self.access, self._make = access, make
        self._good = 0
        access.addresses()

    @asynccontextmanager
    async def connect(self, *, will: Will | None = None) -> AsyncGenerator[Connection]:
        """See Broker; raises BrokerRefused when the secret cannot be read."""
        async with AsyncExitStack() as stack:
            connection = await self._enter(stack, will)
            try:
                yield connection
            except BaseException as err:
                if _is_useless(err):
                    self._good = (self._good + 1) % len(self.access.endpoints)
                raise

    async def _enter(self, stack: AsyncExitStack, will: Will | None) -> Connection:
        try:
            addresses = self.access.addresses()
        except ConfigError as err:
            raise BrokerRefused(str(err)) from err
        errors: list[BrokerError] = []
        for place in sorted(range(len(addresses)), key=lambda place: place != self._good):
            try:
                connection = await stack.enter_async_context(self._make(addresses[place]).connect(will=will))
            except (BrokerUnreachable, BrokerRefused) as err:
                errors.append(err)
            else:
                self._good = place
                return connection
        if len(errors) == 1:
            raise errors[0]
        refused = any(isinstance(err, BrokerRefused) for err in errors)
        raise (BrokerRefused if refused else BrokerUnreachable)("; ".join(map(str, errors)))


def _is_useless(err: BaseException) -> bool:
    """Whether a connection ended because the broker did not do for us what another may do."""
    if isinstance(err, BaseExceptionGroup):
        return any(map(_is_useless, cast("BaseExceptionGroup[BaseException]", err).exceptions))
    return isinstance(err, BrokerRefused | BrokerSilent)
