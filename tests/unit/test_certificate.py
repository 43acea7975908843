"""The end of a certificate is read as openssl reads it, and told 30 days, 7 days and one day before."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.certificates import authority, certificate, early_certificate
from wattline.certificate import ExpiryWatch, expiry_ns
from wattline.clock import NS
from wattline.events import EventLog, capture_events

DAY_NS = 86_400 * NS


def test_the_end_of_a_certificate_is_what_openssl_says(tmp_path: Path) -> None:
    """Before 2050 the form of the date has two digits for the year, from then on four."""
    authority(tmp_path, "ca")
    certificate(tmp_path, "ca", "soon", "DNS:gateway", days="40")
    early_certificate(tmp_path, "ca", "late", "DNS:gateway")
    for name in ("ca", "soon", "late"):
        path = tmp_path / f"{name}.crt"
        said = subprocess.run(
            ["openssl", "x509", "-enddate", "-noout", "-in", str(path)], check=True, capture_output=True, text=True
        ).stdout
        until = datetime.strptime(said.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
        assert expiry_ns(path) == int(until.timestamp()) * NS


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN CERTIFICATE-----\nMAMC\n-----END CERTIFICATE-----\n", b"\xff" * 99]
)
def test_what_is_no_certificate_is_told_once_and_raises_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gateway.crt"
    path.write_bytes(content)
    watch = ExpiryWatch(path, EventLog())
    with capture_events() as events:
        watch.look(0)
        watch.look(DAY_NS)
    [event] = events
    assert (event["event"], event["level"], event["file"]) == ("certificate.unreadable", "error", str(path))


def test_every_threshold_is_told_once_and_a_new_certificate_starts_anew(tmp_path: Path) -> None:
    authority(tmp_path, "ca")
    certificate(tmp_path, "ca", "gateway", "DNS:gateway", days="40")
    path = tmp_path / "gateway.crt"
    until = expiry_ns(path)
    watch = ExpiryWatch(path, EventLog())
    with capture_events() as events:
        for hours in range(41 * 24):
            watch.look(until - 40 * DAY_NS + hours * 3600 * NS)
        certificate(tmp_path, "ca", "gateway", "DNS:gateway", days="5")
        watch.look(expiry_ns(path) - 5 * DAY_NS)
    assert [(event["event"], event.get("days")) for event in events] == [
        ("certificate.expires", 30),
        ("certificate.expires", 7),
        ("certificate.expires", 1),
        ("certificate.expired", None),
        ("certificate.expires", 5),
    ]
