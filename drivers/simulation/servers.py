"""Servers: all endpoints of a simulated plant, served while the context is entered."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Self

from drivers.simulation.serial_server import serial_server
from drivers.simulation.served import Served
from drivers.simulation.server import tcp_server
from wattline.clock import Clock


class Servers:
    """`places` tells where each endpoint is found, `ports` its TCP port (0 for a serial line), both in order."""

    def __init__(self, endpoints: Sequence[Served], clock: Clock) -> None:
        self._endpoints = list(endpoints)
        self._clock = clock
        self._stack = AsyncExitStack()
        self.ports: list[int] = []
        self.places: list[str] = []

    async def __aenter__(self) -> Self:
        """Raises ListenFailed; then nothing is served."""
        async with AsyncExitStack() as stack:
            for served in self._endpoints:
                if isinstance(served.at, tuple):
                    port = await stack.enter_async_context(tcp_server(served.at, served, self._clock))
                    self.places.append(f"{served.at[0]}:{port}")
                else:
                    port = 0
                    stack.enter_context(serial_server(served.at, served, self._clock))
                    self.places.append(str(served.at))
                self.ports.append(port)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()
