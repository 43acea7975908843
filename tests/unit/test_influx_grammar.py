"""The judge of line protocol is strict, and our own lines pass it."""

import gzip

import pytest

from metering.faults import Fault
from metering.parcel import ParcelId, seal
from metering.sweep import Sweep
from support.influx_grammar import is_line


@pytest.mark.parametrize(
    "line",
    [
        "meter,site=s,device=d voltage_l1_n=230.1 1767225600000000000",
        'meter_fault,device=d frequency="sentinel" 1767225600000000000',
        "m a=1i,b=-2.5e-3,c=t 1",
        r'my\ m,tag=a\,b f="say \"so\"" -1',
    ],
)
def test_lines_of_the_reference_are_taken(line: str) -> None:
    assert is_line(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "meter",
        "meter v=1",  # no time: the reader would stamp its own
        "meter v= 1",
        "meter v=nan 1",
        "meter v=inf 1",
        "meter,site= v=1 1",
        "meter v=1 1.5",
        "meter v=text 1",
        "meter v=1  1",
        "meter v=1 12345678901234567890",
        "_meter v=1 1",
    ],
)
def test_what_influxdb_would_refuse_is_refused(line: str) -> None:
    assert not is_line(line)


def test_a_sealed_parcel_is_line_protocol_throughout() -> None:
    sweep = Sweep(
        device="incomer",
        taken_at=1767225600000000000,
        values={"voltage_l1_n": 230.1, "energy_active_import_total": 12, "serial_number": 'a "b" \\ c'},
        faults={"frequency": Fault.SENTINEL},
    )
    parcel = seal([sweep], site="s", gateway="g", parcel_id=ParcelId(epoch=1, seq=1), dropped=0)
    lines = gzip.decompress(parcel.body).decode().splitlines()
    assert len(lines) == 3
    assert all(map(is_line, lines))
