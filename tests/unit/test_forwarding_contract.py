"""The contract of intervals on their way up: exact both ways, and a clear word for what is none."""

import gzip
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.intervals import IntervalParcel, IntervalsError, NodeInterval, open_intervals, seal_intervals
from metering.parcel import ParcelId

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
exact = st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**15), max_value=10**15)
shares = st.dictionaries(
    st.sampled_from("MCSEUQX"), st.decimals(min_value=0, max_value=1, places=4, allow_nan=False), max_size=7
).map(lambda found: tuple(sorted(found.items())))
reasons = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)


@st.composite
def parcels(draw: st.DrawFn) -> IntervalParcel:
    site = draw(names)
    intervals: list[NodeInterval] = []
    for _ in range(draw(st.integers(1, 4))):
        amount = draw(st.none() | exact)
        start = draw(st.integers(0, 2**62))
        intervals.append(
            NodeInterval(
                site=site,
                node=draw(names),
                carrier=draw(names),
                flow=draw(names),
                grain=draw(st.sampled_from(["hour", "day", "month"])),
                start=start,
                end=start + draw(st.integers(1, 10**15)),
                unit=draw(st.sampled_from(["kWh", "m3"])),
                amount=amount,
                estimated=draw(exact),
                shares=draw(shares),
                revision=draw(st.integers(1, 2**53 - 1)),
                reason=draw(reasons) if amount is None else None,
            )
        )
    return IntervalParcel(
        site=site,
        centre=draw(names),
        id=ParcelId(epoch=draw(st.integers(1, 2**40)), seq=draw(st.integers(1, 2**40))),
        intervals=tuple(intervals),
    )


@settings(max_examples=60)
@given(parcels())
def test_what_is_sealed_opens_as_the_same_to_the_last_digit(parcel: IntervalParcel) -> None:
    opened = open_intervals(seal_intervals(parcel))
    assert opened == parcel
    texts = [[f"{one.amount or Decimal(0):f}" for one in found.intervals] for found in (opened, parcel)]
    assert texts[0] == texts[1]
    assert seal_intervals(opened) == seal_intervals(parcel)


GOOD = (
    'interval,site=s,node=plant,carrier=heat,flow=import,grain=day end=200i,unit="kWh",revision=1i,amount="1.50",'
    'estimated="0",shares="M=1" 100\n'
    "wattline_intervals,site=s,centre=c version=1i,epoch=1i,seq=1i,intervals=1i 100\n"
)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("version=1i", "version=2i", "version 2"),
        ("intervals=1i", "intervals=2i", "not what its line says"),
        ('amount="1.50"', "amount=1.5", "amount is no text"),
        ('amount="1.50"', 'amount="NaN"', "no exact number"),
        ('amount="1.50",', "", "lacks 'amount'"),
        ('amount="1.50"', 'amount="1",reason="x"', "wrong reason"),
        ("end=200i", "end=100i", "wrong time"),
        ("end=200i", "end=1.5", "end is no whole number"),
        ("grain=day", "grain=week", "wrong grain"),
        ("interval,site=s", "interval,site=other", "not of s"),
        ("node=plant,", "", "lacks 'node'"),
        ("epoch=1i", "epoch=0i", "out of range"),
        ('shares="M=1"', 'shares="M"', "no shares"),
        ("wattline_intervals", "wattline_parcel", "does not end"),
    ],
)
def test_what_is_malformed_is_refused_with_its_reason(old: str, new: str, reason: str) -> None:
    assert open_intervals(gzip.compress(GOOD.encode())).intervals[0].amount == Decimal("1.50")
    body = gzip.compress(GOOD.replace(old, new, 1).encode())
    with pytest.raises(IntervalsError, match=reason):
        open_intervals(body)


@settings(max_examples=60)
@given(st.binary(max_size=200), st.integers(0, 60))
def test_noise_is_refused_and_nothing_else_happens(noise: bytes, cut: int) -> None:
    for body in (noise, gzip.compress(noise), gzip.compress(GOOD.encode())[:cut]):
        with pytest.raises(IntervalsError):
            open_intervals(body)
