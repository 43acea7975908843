"""Log events: fields, the journal's native datagrams, JSON, a terminal."""

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wattline import events
from wattline.events import EventLog, capture_events

SCRIPT = """
import os, sys
from wattline import events
events._JOURNAL = sys.argv[1]
at = os.fstat(2)
if sys.argv[1]:
    os.environ["JOURNAL_STREAM"] = f"{at.st_dev}:{at.st_ino}"
events.start_logging("info")
log = events.EventLog(bus="substation")
log.debug("frame.sent", frame="00")
log.warning("device.silent", device="meter-1", error="no reply\\nin 1 s")
if "big" in sys.argv:
    log.info("big.event", text="x" * 4_000_000)
"""


def emit(*args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, *args], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == ""
    return done.stderr


def parse_native(packet: bytes) -> dict[str, str]:
    """The journal's native protocol, read as systemd documents it."""
    fields: dict[str, str] = {}
    while packet:
        line, _, rest = packet.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if equals:
            fields[name.decode()] = value.decode()
            packet = rest
        else:
            size = int.from_bytes(rest[:8], "little")
            fields[name.decode()] = rest[8 : 8 + size].decode()
            assert rest[8 + size : 9 + size] == b"\n"
            packet = rest[9 + size :]
    return fields


def test_the_journal_gets_priority_and_native_fields(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(path)
        journal.settimeout(5)
        assert emit(path) == ""
        fields = parse_native(journal.recv(65536))
    assert fields == {
        "MESSAGE": "device.silent bus=substation device=meter-1 error=no reply\nin 1 s",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "wattline",
        "EVENT": "device.silent",
        "BUS": "substation",
        "DEVICE": "meter-1",
        "ERROR": "no reply\nin 1 s",
    }


def test_an_event_the_journal_does_not_take_reaches_standard_error(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(path)
        assert "big.event bus=substation text=xxx" in emit(path, "big")
    assert "device.silent" in emit(str(tmp_path / "gone"))


def test_without_journal_and_terminal_an_event_is_a_line_of_json() -> None:
    (line,) = emit("").splitlines()
    event = json.loads(line)
    assert event.pop("at").endswith("+00:00")
    assert event == {
        "level": "warning", "event": "device.silent", "bus": "substation", "device": "meter-1",
        "error": "no reply\nin 1 s",
    }  # fmt: skip


def test_on_a_terminal_an_event_is_a_coloured_line() -> None:
    ours, theirs = os.openpty()
    try:
        subprocess.run([sys.executable, "-P", "-c", SCRIPT, ""], stderr=theirs, check=True, timeout=30)
        text = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "\033[33mdevice.silent" in text
    assert "bus=substation device=meter-1" in text


def test_bound_fields_stand_in_every_event_and_bind_changes_nothing() -> None:
    log = EventLog(bus="a")
    with capture_events() as seen:
        log.bind(device="d").error("x.y", n=1)
        log.info("x.z")
    assert seen == [
        {"event": "x.y", "level": "error", "bus": "a", "device": "d", "n": 1},
        {"event": "x.z", "level": "info", "bus": "a"},
    ]


def test_a_field_may_have_any_name() -> None:
    with capture_events() as seen:
        EventLog().info("x.y", event_name="e", level="l", message="m", args=(1,))
    assert seen[0]["message"] == "m"


@pytest.mark.parametrize("level", [logging.DEBUG, logging.CRITICAL])
def test_levels_have_the_journals_priorities(level: int) -> None:
    assert events._PRIORITY[level] == {logging.DEBUG: 7, logging.CRITICAL: 2}[level]
