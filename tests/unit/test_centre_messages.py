"""What the centre reads of a message: nothing that arrives on a topic of ours stops it, however wrong."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from centre import keeping
from centre.messages import Unreadable, read_message
from centre.store.base import Written
from metering.parcel import Received
from metering.status import encode_status
from support.ingest_rig import TOPICS, Rig, body, play
from support.store_contract import device, status, sweep
from wattline.events import capture_events

TOLD = json.loads(encode_status(status(devices=(device(),))))


def changed(**fields: object) -> bytes:
    return json.dumps(TOLD | fields).encode()


def of_device(**fields: object) -> bytes:
    return changed(devices=[TOLD["devices"][0] | fields])


def of_point(**fields: object) -> bytes:
    first, *rest = TOLD["devices"][0]["points"]
    return of_device(points=[first | fields, *rest])


WRONG: Mapping[str, tuple[bytes, str]] = {
    "no JSON number": (changed(epoch=float("inf")), "infinity"),
    "too large a number": (changed().replace(b'"at": 1767225600000000000', b'"at": 1e400'), "infinity"),
    "an infinite counter": (changed(counters={"acquired": float("inf")}), "infinity"),
    "half a surrogate pair": (changed(software="\ud800"), "surrogates"),
    "half a pair as a counter": (changed(counters={"\ud800": 1}), "surrogates"),
    "half a pair as an asset": (of_device(asset="\ud800"), "surrogates"),
    "a device that is no name": (of_device(name="<script>"), "'<script>' is not a name"),
    "a device with half a pair": (of_device(name="\ud800"), "is not a name"),
    "a point that is no name": (of_point(name="a b"), "'a b' is not a name"),
    "read never": (of_device(interval_s="NaN"), "incomer: read each NaN s"),
    "read always": (of_device(interval_s="0"), "incomer: read each 0 s"),
    "read backwards": (of_point(interval_s="-1"), "incomer/energy_active_import_total: read each -1 s"),
    "a register without an end": (of_point(modulus="Infinity"), "no register starts again at Infinity"),
    "a register of nothing": (of_point(modulus="0"), "incomer/energy_active_import_total: no register starts again"),
    "a register that is no number": (of_point(modulus="sNaN"), "no register starts again at sNaN"),
    "a register beyond counting": (of_point(modulus="1e999999"), "no register starts again at 1E+999999"),
    "a novel": (changed(state="x" * 100_000), "is not a valid State"),
}


@pytest.mark.parametrize(("payload", "reason"), WRONG.values(), ids=list(WRONG))
def test_a_status_of_which_no_figure_could_be_made_is_refused_with_what_is_wrong(payload: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_message(TOPICS.status, payload)
    assert reason in str(refused.value)


def test_wrong_messages_that_are_retained_stop_neither_the_intake_nor_its_next_start(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        for payload, _ in WRONG.values():
            rig.deliver(payload, TOPICS.status, retain=True)
        await rig.sleep(3)
        await rig.stop()
        rig.start()
        rig.deliver(body(1))
        await rig.sleep(3)
        assert rig.unacked == 0
        assert (await rig.store.totals()).parcels == 1
        reasons = [path.read_text() for path in (tmp_path / "dead").glob("*.txt")]
        assert len(reasons) == len(WRONG)
        assert max(map(len, reasons)) < 1000

    play(tmp_path, check)


def test_messages_no_one_can_read_are_told_once_an_hour_a_cause(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        for number in range(90):
            rig.deliver(b"no parcel %d" % number)
            rig.deliver(b"{}", TOPICS.status)
            await rig.sleep(60)
        assert rig.ingest.counts.refused == 180
        assert len([*(tmp_path / "dead").glob("*.payload")]) == 91

    with capture_events() as events:
        play(tmp_path, check)
    told = [event["topic"] for event in events if event["event"] == "ingest.refused"]
    assert told == [TOPICS.readings, TOPICS.status] * 2


def test_a_message_of_which_nothing_but_the_log_tells_is_told_each_time(tmp_path: Path) -> None:
    async def check(rig: Rig) -> None:
        (tmp_path / "dead").write_text("a file where the folder should be")
        for _ in range(3):
            rig.deliver(b"no parcel")
            await rig.sleep(60)

    with capture_events() as events:
        play(tmp_path, check)
    told = [event["file"] for event in events if event["event"] == "ingest.refused"]
    assert ["not kept" in file for file in told] == [True] * 3


def test_no_more_is_read_at_a_time_than_fits_and_all_of_it_is_acknowledged_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MOST_POINTS", 10)
    written: list[int] = []

    async def check(rig: Rig) -> None:
        write = rig.store.write

        async def counted(parcels: Sequence[Received], *, received_at: int) -> Written:
            written.append(len(parcels))
            assert rig.unacked == 20
            return await write(parcels, received_at=received_at)

        monkeypatch.setattr(rig.store, "write", counted)
        for seq in range(1, 21):
            rig.deliver(body(seq, sweep(seq, dict.fromkeys(("frequency", "voltage_l1_n", "power_active_total"), 1.0))))
        await rig.sleep(3)
        assert rig.unacked == 0
        assert rig.committed()[-1] == {7: ((1, 20),)}
        assert written == [4, 4, 4, 4, 4]

    play(tmp_path, check)
