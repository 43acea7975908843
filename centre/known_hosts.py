"""Under which names the centre answers: a page of another site may make its own name point here, and then speak for us.

No such page can be opened by an address, nor by a name that no public server of names gives out (DNS rebinding).
"""

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from centre.json_views import to_json

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]*)(?::\d*)?")
_OURS: Final = (".localhost", ".local")


class KnownHosts:
    """Around an application: refuses a request whose Host is no address, no local name and none of `names`."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "")
        if known(host, self._names):
            await self._app(scope, receive, send)
            return
        message = (
            f"nobody said that {host[:120]!r} is this centre: open it by its address, or see `names` in centre.yaml"
        )
        body = to_json({"error": {"code": "unknown_host", "message": message}})
        await Response(body, status_code=421, media_type="application/json")(scope, receive, send)


def known(host: str, names: Collection[str]) -> bool:
    """Whether a Host header may mean this centre; nothing at all may, for no browser sends that."""
    found = _HOST.fullmatch(host.lower())
    if found is None:
        return False
    name = found[1].removesuffix(".")
    return name in names or name.startswith("[") or "." not in name or name.endswith(_OURS) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
