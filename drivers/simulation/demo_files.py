"""The folder a demo works in: copies of config/demo with free ports of this machine in them."""

import re
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wattline.resources import config_dir

_FILES: Final = ("plant.yaml", "agent.yaml", "centre.yaml", "entities.yaml", "broker.toml")
_ADDRESS: Final = re.compile(r"127\.0\.0\.1:(\d+)")
PAGE_PORT: Final = 8080  # as it stands in centre.yaml
_BROKER_PORT: Final = 1883


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """Where the demo's files and logs are, and on which ports it listens."""

    folder: Path
    page_port: int
    broker_port: int

    @property
    def plant(self) -> Path:
        return self.folder / "plant.yaml"

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.page_port}/"


def write_files(folder: Path, page_port: int | None) -> DemoFiles:
    """Put the demo's configuration into `folder`; each port of the shipped files becomes a free one.

    The page gets `page_port`, or 8080 when that is free. All files agree, as they name one another's ports.
    """
    texts = {name: (config_dir() / "demo" / name).read_text(encoding="utf-8") for name in _FILES}
    shipped = sorted({int(port) for text in texts.values() for port in _ADDRESS.findall(text)})
    ports = dict(zip(shipped, free_ports(len(shipped)), strict=True))
    if page_port is not None or _is_free(PAGE_PORT):
        ports[PAGE_PORT] = page_port or PAGE_PORT
    for name, text in texts.items():
        moved = _ADDRESS.sub(lambda found: f"127.0.0.1:{ports[int(found[1])]}", text)
        (folder / name).write_text(moved, encoding="utf-8")
    return DemoFiles(folder, ports[PAGE_PORT], ports[_BROKER_PORT])


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on at this moment, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
