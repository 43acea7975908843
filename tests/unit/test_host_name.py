"""A host that cannot be looked up, or would be another one's address, is refused before anything is opened."""

import argparse

import pytest

from drivers.commission.target import endpoint
from wattline.host_name import checked_host


@pytest.mark.parametrize("host", ["10.0.0.20", "meter", "press-3.plant.example", "x_y", "3com", "a" * 63])
def test_names_and_addresses_are_taken_as_they_are(host: str) -> None:
    assert checked_host(host) == host
    assert endpoint(f"{host}:503").host == host


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0..20",
        "10.0.0",
        "010.0.0.1",
        "10.0.0.256",
        "167772180",
        ".",
        "a..b",
        "a" * 64,
        "-a",
        "a.",
        "ä",
        "a.b" * 90,
    ],
)
def test_what_the_resolver_chokes_on_or_reads_as_another_address_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="address"):
        checked_host(host)
    with pytest.raises(argparse.ArgumentTypeError):
        endpoint(f"{host}:502")


def test_an_address_in_brackets_is_one() -> None:
    assert endpoint("[fe80::1%eth0]:502").host == "fe80::1%eth0"
    with pytest.raises(argparse.ArgumentTypeError):
        endpoint("[..]:502")
