"""Ends the answers that would never end by themselves, streams of events, when the centre stops."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_GRACE_S: Final = 0.5


class UntilStopped:
    """Around an application: at `stopped` an answer under way gets half a second, then it is closed properly."""

    def __init__(self, app: ASGIApp, stopped: asyncio.Event) -> None:
        self._app = app
        self._stopped = stopped

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = ended = False

        async def watched(message: Message) -> None:
            nonlocal begun, ended
            begun = begun or message["type"] == "http.response.start"
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        async def answer() -> None:
            await self._app(scope, receive, watched)

        answering = asyncio.create_task(answer())
        stopping = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait({answering, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                await asyncio.wait({answering}, timeout=_GRACE_S)
            if answering.done():
                await answering
        finally:
            stopping.cancel()
            answering.cancel()
            await asyncio.wait({answering})
        if begun and not ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
