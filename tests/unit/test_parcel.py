"""Parcels: sealed once, opened exactly, and anything else refused with its reason."""

import gzip
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.faults import Fault
from metering.parcel import MAX_TEXT, ParcelError, ParcelId, open_parcel, seal
from metering.sweep import Sweep

_MIXED = (("m-2", 9), ("m-1", 7), ("m-1", 2), ("m-2", 1), ("m-1", 2))


def _sweep(at: int = 5) -> Sweep:
    return Sweep(
        device="m-1",
        taken_at=at,
        values={"energy_active_import_total": Decimal("1.50"), "frequency": 50.02},
        faults={"voltage_l1_n": Fault.SENTINEL},
    )


def test_a_parcel_opens_to_what_was_sealed() -> None:
    parcel = seal([_sweep(9), _sweep(5)], site="s", gateway="g", parcel_id=ParcelId(epoch=3, seq=7), dropped=11)
    received = open_parcel(parcel.body)
    assert (parcel.first_at, parcel.last_at, parcel.readings) == (5, 9, 4)
    assert (received.site, received.gateway, received.id, received.dropped) == ("s", "g", ParcelId(epoch=3, seq=7), 11)
    assert received.sweeps == (_sweep(9), _sweep(5))


def test_the_sweeps_of_a_device_stand_together_in_the_order_given() -> None:
    given_ = [Sweep(device=device, taken_at=at, values={"frequency": 50.0}, faults={}) for device, at in _MIXED]
    parcel = seal(given_, site="s", gateway="g", parcel_id=ParcelId(epoch=3, seq=7), dropped=0)
    found = [(sweep.device, sweep.taken_at) for sweep in open_parcel(parcel.body).sweeps]
    assert found == [("m-1", 7), ("m-1", 2), ("m-1", 2), ("m-2", 9), ("m-2", 1)]
    assert (parcel.first_at, parcel.last_at) == (1, 9)


def test_a_quick_parcel_is_larger_and_opens_to_the_same() -> None:
    chance = Random(1)
    sweeps = [_sweep(at) for at in range(100)]
    sweeps += [Sweep(device="m-2", taken_at=at, values={"p": chance.random()}, faults={}) for at in range(100)]
    quick, thorough = (
        seal(sweeps, site="s", gateway="g", parcel_id=ParcelId(epoch=3, seq=7), dropped=0, quick=quick)
        for quick in (True, False)
    )
    assert len(thorough.body) < 0.95 * len(quick.body)
    assert open_parcel(quick.body) == open_parcel(thorough.body)


def test_the_same_sweeps_seal_to_the_same_bytes() -> None:
    def once() -> bytes:
        return seal([_sweep()], site="s", gateway="g", parcel_id=ParcelId(epoch=1, seq=1), dropped=0).body

    assert once() == once()


def test_the_payload_is_plain_gzip_with_one_line_a_sweep_and_the_parcel_line_last() -> None:
    body = seal([_sweep()], site="s", gateway="g", parcel_id=ParcelId(epoch=1, seq=2), dropped=0).body
    assert gzip.decompress(body).decode().splitlines() == [
        "meter,site=s,gateway=g,device=m-1 energy_active_import_total=1.50,frequency=50.02 5",
        'meter_fault,site=s,gateway=g,device=m-1 voltage_l1_n="sentinel" 5',
        "wattline_parcel,site=s,gateway=g version=1i,epoch=1i,seq=2i,sweeps=1i,readings=2i,faults=1i,dropped=0i 5",
    ]


def _body() -> bytes:
    return seal([_sweep()], site="s", gateway="g", parcel_id=ParcelId(epoch=1, seq=2), dropped=0).body


def _edited(old: str, new: str) -> bytes:
    return gzip.compress(gzip.decompress(_body()).decode().replace(old, new).encode(), mtime=0)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "truncated"),
        (b"not gzip", "cannot be read"),
        (_body()[:-9], "truncated"),
        (gzip.compress(b"0" * (MAX_TEXT + 1), mtime=0), "larger"),
        (gzip.compress(b"meter,device=d a=1 1\n" * 150_001, mtime=0), "more than 300000 tags and fields"),
        (gzip.compress(b"\xff\xfe", mtime=0), "cannot be read"),
        (gzip.compress(b"meter,device=m v=1 1", mtime=0), "does not end with"),
        (_edited("version=1i", "version=2i"), "version 2"),
        (_edited("readings=2i", "readings=3i"), "does not hold"),
        (_edited("epoch=1i", "epoch=1.5"), "not whole numbers"),
        (_edited("epoch=1i,", ""), "epoch"),
        (_edited("wattline_parcel,site=s,", "wattline_parcel,"), "site"),
    ],
)
def test_what_is_no_parcel_is_refused_with_its_reason(body: bytes, why: str) -> None:
    with pytest.raises(ParcelError, match=why):
        open_parcel(body)


@given(st.integers(0, len(_body()) - 1), st.integers(1, 255))
def test_a_damaged_parcel_is_never_taken_for_a_whole_one(place: int, flip: int) -> None:
    damaged = bytearray(_body())
    damaged[place] ^= flip
    try:
        received = open_parcel(bytes(damaged))
    except ParcelError:
        return
    assert received.sweeps == (_sweep(),)  # only gzip's own header (time, system) may differ unnoticed
