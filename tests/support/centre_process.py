"""`wattline centre run` as a process."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx
import yaml

from support.mosquitto import free_port


class CentreProcess:
    """A centre with settings and log in `folder`, and a port that stays."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.port = folder, free_port()
        self.settings = folder / "centre.yaml"
        told = {"listen": f"127.0.0.1:{self.port}", "store": {"sqlite": "centre.db"}, **settings}
        self.settings.write_text(yaml.safe_dump(json.loads(json.dumps(told))), encoding="utf-8")  # without aliases
        self.process: Popen[bytes] | None = None

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = Popen(
                [sys.executable, "-P", "-m", "wattline", "centre", "run", str(self.settings)],
                stderr=log,
                env={name: value for name, value in os.environ.items() if not name.startswith("WATTLINE_")},
            )
        self.wait(lambda: bool(self.get("/healthz")["broker"] == "connected"))

    def end(self, number: int) -> int:
        """The exit status after this signal."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(15)

    def clean_up(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> Any:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5).raise_for_status().json()

    def wait(self, what: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while True:
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                if what():
                    return
            except (httpx.TransportError, KeyError):
                pass
            assert time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.05)
