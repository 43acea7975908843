"""What the service manager hears, over a real datagram socket; the watchdog is fed by work, not by life."""

import asyncio
import socket
from collections.abc import Generator
from pathlib import Path

import pytest

from support.virtual_time import VirtualClock, run
from wattline.events import EventLog, capture_events
from wattline.service import Notifier, Watchdog


@pytest.fixture
def manager(tmp_path: Path) -> Generator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(str(tmp_path / "notify"))
        ours.setblocking(False)
        yield ours


def heard(manager: socket.socket) -> list[str]:
    lines: list[str] = []
    while True:
        try:
            lines.append(manager.recv(4096).decode())
        except BlockingIOError:
            return lines


def notifier(manager: socket.socket, **more: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": manager.getsockname(), **more})


def test_the_manager_hears_each_state(manager: socket.socket) -> None:
    ours = notifier(manager)
    ours.ready()
    ours.status("20 devices\n19 answering")
    ours.status("20 devices 19 answering")
    ours.alive()
    ours.stopping()
    assert heard(manager) == ["READY=1", "STATUS=20 devices 19 answering", "WATCHDOG=1", "STOPPING=1"]
    ours.close()
    ours.ready()
    assert heard(manager) == []


def test_an_abstract_socket_is_reached_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind("\0wattline-test-notify")
        ours.setblocking(False)
        one = Notifier({"NOTIFY_SOCKET": "@wattline-test-notify"})
        one.ready()
        assert heard(ours) == ["READY=1"]
        one.close()


def test_without_a_manager_or_with_one_gone_nothing_fails(tmp_path: Path) -> None:
    Notifier({}).ready()
    gone = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    gone.ready()
    gone.close()


def test_a_manager_that_does_not_listen_never_blocks_us(manager: socket.socket) -> None:
    ours = notifier(manager)
    for _ in range(5000):
        ours.alive()
    assert heard(manager)
    ours.close()


def test_the_watchdog_interval_is_the_managers_and_only_for_us(manager: socket.socket) -> None:
    for more, expected in (
        ({"WATCHDOG_USEC": "4000000"}, 4.0),
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
        ({"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}, None),
    ):
        ours = notifier(manager, **more)
        assert ours.watchdog_s == expected
        ours.close()


def test_the_watchdog_is_fed_while_every_part_keeps_its_promise(manager: socket.socket) -> None:
    async def main(clock: VirtualClock) -> None:
        ours = notifier(manager, WATCHDOG_USEC="4000000")
        watchdog = Watchdog(ours, clock, EventLog())
        feeding = asyncio.create_task(watchdog.run())
        watchdog.promise("poll:a", 100)
        watchdog.promise("spool", 11)
        await asyncio.sleep(10.5)
        assert len(heard(manager)) == 6
        await asyncio.sleep(10)
        assert heard(manager) == [], "the spool has not worked"
        assert watchdog.late() == ["spool"]
        watchdog.promise("spool", 100)
        await asyncio.sleep(2)
        assert heard(manager) == ["WATCHDOG=1"]
        watchdog.promise("poll:a", 1)
        watchdog.release("poll:a")
        await asyncio.sleep(4)
        assert len(heard(manager)) == 2
        feeding.cancel()
        await asyncio.wait([feeding])
        ours.close()

    with capture_events() as events:
        run(main)
    assert [(event["event"], event["part"]) for event in events] == [("watchdog.starved", "spool")]


def test_without_a_watchdog_there_is_nothing_to_run() -> None:
    async def main(clock: VirtualClock) -> None:
        begun = clock.monotonic()
        await Watchdog(Notifier({}), clock, EventLog()).run()
        assert clock.monotonic() == begun

    run(main)
