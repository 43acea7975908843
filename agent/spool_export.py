"""Parcels as text for other programs: InfluxDB line protocol or CSV, one sweep after the other."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from metering.lineprotocol import encode_sweep, number_text
from metering.parcel import Parcel, open_parcel
from metering.sweep import Sweep
from wattline.clock import NS

CSV_HEAD: Final = "time,site,gateway,device,point,value,fault\n"


def line_protocol(parcel: Parcel, start: int, end: int) -> Iterator[str]:
    """Lines of the sweeps taken at start <= time < end (UTC ns), as the parcel has them, without the parcel's own."""
    received = open_parcel(parcel.body)
    tags = f",site={received.site},gateway={received.gateway}"
    for sweep in _between(received.sweeps, start, end):
        for line in encode_sweep(sweep, tags):
            yield line + "\n"


def csv_rows(parcel: Parcel, start: int, end: int) -> Iterator[str]:
    """Rows under CSV_HEAD, one a point: its value, or the reason why it has none, or both where it is suspect."""
    received = open_parcel(parcel.body)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for sweep in _between(received.sweeps, start, end):
        head = (time_text(sweep.taken_at), received.site, received.gateway, sweep.device)
        for point in [*sweep.values, *(point for point in sweep.faults if point not in sweep.values)]:
            value = sweep.values.get(point, "")
            rows.writerow(
                (*head, point, value if isinstance(value, str) else number_text(value), sweep.faults.get(point, ""))
            )
    yield text.getvalue()


FORMATS: Final[dict[str, tuple[str, Callable[[Parcel, int, int], Iterator[str]]]]] = {
    "lineprotocol": ("", line_protocol),
    "csv": (CSV_HEAD, csv_rows),
}


def time_text(at_ns: int) -> str:
    """UTC in ISO 8601, to the nanosecond where it is not a whole second."""
    seconds, ns = divmod(at_ns, NS)
    fraction = f".{ns:09}" if ns else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _between(sweeps: tuple[Sweep, ...], start: int, end: int) -> Iterator[Sweep]:
    return (sweep for sweep in sweeps if start <= sweep.taken_at < end)
