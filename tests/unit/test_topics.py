"""Topics, committed and status messages."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.quantities import Kind
from metering.status import State, Status, decode_status, encode_status
from metering.sweep import DeviceInfo, PointInfo
from metering.topics import Committed, Topics, decode_committed, encode_committed, parse_topic


def test_topics_carry_the_version_and_parse_back() -> None:
    topics = Topics("s", "g")
    assert topics.readings == "wattline/v1/s/g/readings"
    assert parse_topic(topics.committed) == (topics, "committed")


@pytest.mark.parametrize(
    "topic", ["", "wattline/v2/s/g/readings", "wattline/v1/s/readings", "wattline/v1//g/readings", "a/b/c/d/e"]
)
def test_a_foreign_topic_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        parse_topic(topic)


bounds = st.lists(st.integers(1, 10**6), unique=True, max_size=8).map(sorted)


@given(st.dictionaries(st.integers(1, 1000), bounds, max_size=4))
def test_a_committed_message_reads_back(epochs: dict[int, list[int]]) -> None:
    ranges = {epoch: tuple(zip(flat[::2], flat[1::2], strict=False)) for epoch, flat in epochs.items()}
    committed = Committed(epochs=ranges)
    assert decode_committed(encode_committed(committed)) == committed


def test_the_watermark_is_the_end_of_the_range_that_starts_at_one() -> None:
    committed = Committed(epochs={4: ((1, 845), (850, 900)), 5: ((2, 3),)})
    assert committed.watermark(4) == 845
    assert committed.watermark(5) == committed.watermark(6) == 0
    assert (committed.highest(4), committed.highest(6)) == (900, 0)
    assert committed.holds(4, 850)
    assert committed.holds(5, 2)
    assert not committed.holds(4, 846)
    assert not committed.holds(6, 1)


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"\xff", b'{"version":2,"epochs":{}}', b'{"version":1}', b'{"version":1,"epochs":[]}', b'{"version":1,"epochs":{"x":[]}}',
     b'{"version":1,"epochs":{"1":[[5,2]]}}', b'{"version":1,"epochs":{"1":[[0,2]]}}', b'{"version":1,"epochs":{"1":[[1]]}}', b'{"version":1,"epochs":{"1":[["a",2]]}}', b"[" * 100_000,
     b'{"version":1,"epochs":{"1":[[1,1e400]]}}', b'{"version":1,"epochs":{"1":[[1,Infinity]]}}', b'{"version":1,"epochs":{"1":[[1,NaN]]}}',
     b'{"version":1,"epochs":{"1":[[1.5,2]]}}', b'{"version":1,"epochs":{"1":[[true,2]]}}', b'{"version":1,"epochs":{"1":[[1,2],[2,1]]}}',
     b'{"version":1,"epochs":{"1":[[-5,2]]}}', b'{"version":1,"epochs":{"1":[[1,' + b"9" * 5000 + b"]]}}"],
)  # fmt: skip
def test_a_committed_message_that_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_committed(payload)


def test_a_status_reads_back() -> None:
    energy = PointInfo(name="energy_active_import_total", unit="kWh", kind=Kind.COUNTER, modulus=Decimal("1e8"))
    device = DeviceInfo(
        name="m", bus="b", profile="p", interval_s=Decimal("0.5"), asset="utilities/boiler",
        points=(energy, PointInfo(name="frequency", unit="Hz", kind=Kind.GAUGE)),
    )  # fmt: skip
    status = Status(state=State.ONLINE, software="0.1", epoch=3, at=17, counters={"acquired": 5}, devices=(device,))
    assert decode_status(encode_status(status)) == status
    lost = Status(state=State.LOST, software="0.1", epoch=3, at=17, counters={})
    assert decode_status(encode_status(lost)) == lost


@pytest.mark.parametrize("payload", [b"{}", b'{"version":1}', b'{"version":1,"state":"tired","software":"","epoch":1,"at":1,"counters":{}}',
                                     b'{"version":1,"state":"lost","software":"","epoch":1,"at":1,"counters":[]}'])  # fmt: skip
def test_a_status_that_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_status(payload)
