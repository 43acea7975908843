"""A page in a real Chromium with every request and error noted, and a centre to serve it on a loopback port."""

import base64
import os
import shutil
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright
from starlette.types import ASGIApp

SHOTS = Path(__file__).parents[1] / "browser" / "shots"
DESK = (1280, 800)
PANEL_PC = (800, 480)
PHONE = (375, 812)

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--font-render-hinting=none",
)


@dataclass
class Visit:
    """An open page and what it did so far."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def hosts(self) -> set[str]:
        """Hosts asked for anything; data and blob addresses have none."""
        return {host for url in self.requests if (host := urlsplit(url).hostname)}

    def shoot(self, name: str) -> Path:
        """A screenshot of the window, kept under tests/browser/shots for people to look at."""
        SHOTS.mkdir(exist_ok=True)
        path = SHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def overflow(self) -> int:
        """Pixels by which the document is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def chromium_path() -> str:
    """The installed Chromium; a clear failure where there is none, a skip only where it was asked for."""
    if os.environ.get("WATTLINE_SKIP_BROWSER") == "1":
        pytest.skip("WATTLINE_SKIP_BROWSER=1")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.fail("Chromium is not installed: apt-get install chromium, or set WATTLINE_SKIP_BROWSER=1")
    return found


@contextmanager
def chromium() -> Generator[Browser]:
    """A headless Chromium that asks nothing of anyone on its own."""
    path = chromium_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(
    browser: Browser,
    url: str,
    *,
    size: tuple[int, int] = DESK,
    scheme: Literal["light", "dark"] = "light",
    locale: str = "en-GB",
    zone: str = "America/New_York",
) -> Generator[Visit]:
    """`url` opened in a fresh profile whose own zone is far from the plant's."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, locale=locale, timezone_id=zone
    )
    try:
        page = context.new_page()
        seen = Visit(page=page)
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("console", lambda line: seen.errors.append(line.text) if line.type in {"error", "warning"} else None)
        page.goto(url)
        yield seen
    finally:
        context.close()


@dataclass(frozen=True, slots=True)
class Ink:
    """`inked`: share of pixels whose colour is not (nearly) the most frequent one; `colours`: distinct ones."""

    inked: float
    colours: int


_COUNT_INK = """async (encoded) => {
  const picture = await createImageBitmap(await (await fetch(encoded)).blob());
  const canvas = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  canvas.drawImage(picture, 0, 0);
  const data = canvas.getImageData(0, 0, picture.width, picture.height).data;
  const counts = new Map();
  for (let i = 0; i < data.length; i += 4) {
    const colour = ((data[i] >> 3) << 10) | ((data[i + 1] >> 3) << 5) | (data[i + 2] >> 3);
    counts.set(colour, (counts.get(colour) || 0) + 1);
  }
  return [1 - Math.max(...counts.values()) / (data.length / 4), counts.size];
}"""


def ink(browser: Browser, png: bytes) -> Ink:
    """How much is drawn in a picture: enough to tell a page from a blank, too little to break with a font."""
    page = browser.new_page()
    try:
        inked, colours = page.evaluate(_COUNT_INK, "data:image/png;base64," + base64.b64encode(png).decode())
    finally:
        page.close()
    return Ink(inked=inked, colours=colours)


class Served:
    """A web application on a free loopback port, in a thread of its own; `stop` may come early to lose the centre."""

    def __init__(self, app: ASGIApp) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1, ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        until = time.monotonic() + 60
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                pytest.fail("the centre did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=30)
        self._socket.close()


@contextmanager
def served(app: ASGIApp) -> Generator[Served]:
    """`app`, served until the block ends."""
    server = Served(app)
    try:
        yield server
    finally:
        server.stop()
