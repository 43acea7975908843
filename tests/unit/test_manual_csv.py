"""CSV files of manual data: every mistake with its place and what would be right, and then nothing is taken."""

import csv
import io
from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from centre.manual_csv import Wrong, read_csv, read_rows
from support.books_manual import KNOWN, PRODUCTION

HEADER = "site,node,month,product,batch,produced,unit\n"


def mistakes(text: str | bytes) -> list[str]:
    content = text.encode() if isinstance(text, str) else text
    with pytest.raises(Wrong) as caught:
        read_csv(content, "p.csv", KNOWN)
    return caught.value.message.splitlines()


def test_a_file_is_known_by_its_header_and_read_whole() -> None:
    found = read_csv(PRODUCTION, "p.csv", KNOWN)
    assert found.form == "production"
    assert [entry.values["produced"] for entry in found.entries] == ["120.5", "80", "33"]
    assert [entry.place for entry in found.entries] == [2, 3, 4]
    assert found.entries[2].key == ("works", "line-2", "2026-10", "shaft", "")


def test_every_mistake_names_file_line_column_and_what_would_be_right() -> None:
    told = mistakes(HEADER + 'works,line-9,2026-13,gear,,"12,5",tons\nworks,line-1,2026-12,gear,,-1,t\n,,,,,,\n')
    assert [line.split(": ")[:2] for line in told] == [
        ["p.csv:2:2", "node"], ["p.csv:2:3", "month"], ["p.csv:2:6", "produced"], ["p.csv:2:7", "unit"],
        ["p.csv:3:3", "month"], ["p.csv:3:6", "produced"],
    ]  # fmt: skip
    assert "line-1, line-2" in told[0]
    assert "such as 2026-10" in told[1]
    assert "such as 1250.5" in told[2]
    assert "kg, m, m2, m3, pcs, t" in told[3]
    assert told[4].endswith("2026-12 has not begun")


def test_two_rows_about_the_same_are_a_mistake_that_names_both() -> None:
    row = "works,line-1,2026-10,gear,B1,1,t\n"
    assert mistakes(HEADER + row + row) == ["p.csv:3:1: is about the same as line 2: works, line-1, 2026-10, gear, B1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "p.csv:1:1: the form value_added also needs"),
        ("site,node,month,product,produced,unit,colour\n", "'colour' is no column of the form production"),
        ("site,node,month,produced,unit\n", "the form production also needs product"),
        ("site,site,node,month,value_added,unit\n", "p.csv:1:2: site stands here a second time"),
        ("a," * 300_000, "p.csv:1:101: has 300001 columns; no form has so many"),
        (HEADER, "p.csv:2:1: has no rows"),
        (HEADER + "works,line-1\n", "p.csv:2:2: has 2 cells; the header has 7"),
        (HEADER + 'works,"line-1\n', "is no CSV"),
        (HEADER.encode() + "works,line-1,2026-10,齿轮,,1,t\n".encode("gb18030"), "p.csv:2:1: is not UTF-8"),
    ],
)
def test_a_file_that_is_no_form_is_refused_with_what_it_lacks(text: str | bytes, expected: str) -> None:
    assert any(expected in line for line in mistakes(text))


def test_what_does_not_belong_together_is_refused() -> None:
    fuel = "site,node,month,fuel,stock_begin,purchased,sold,stock_end,unit\n"
    assert "more than the 12" in mistakes(fuel + "works,plant,2026-10,diesel,2,10,0,13,t\n")[0]
    assert "a unit of diesel: kg, t" in mistakes(fuel + "works,plant,2026-10,diesel,2,10,0,1,L\n")[0]
    assert "a fuel of the factor table" in mistakes(fuel + "works,plant,2026-10,peat,2,10,0,1,t\n")[0]
    batch = "site,node,month,product,begin,end,produced,unit\n"
    times = "2026-10-02T08:00:00+08:00,2026-10-01T08:00:00+08:00"
    assert "end lies after begin" in mistakes(batch + f"works,plant,2026-10,gear,{times},1,t\n")[0]
    waste = "site,node,month,waste,stock_begin,generated,used,old_stock_used,disposed,stock_end,unit\n"
    assert "at most what was used" in mistakes(waste + "works,plant,2026-10,slag,5,10,3,4,1,11,t\n")[0]


def test_a_reading_needs_a_register_of_the_tree_its_unit_and_a_time_with_offset() -> None:
    header = "site,device,point,at,reading,unit\n"
    good = read_csv((header + "works,water,volume_total,2026-11-01T08:00:00+08:00,12.50,m3\n").encode(), "r.csv", KNOWN)
    assert good.entries[0].period == str(1_793_491_200 * 10**9)
    told = mistakes(header + "works,water,flow_volume,2026-11-01T08:00:00,x,kWh\n")
    assert "volume, volume_total" in told[0]
    assert "with its offset" in told[1]
    assert len(told) == 3
    [told_of_year_1] = mistakes(header + "works,water,volume_total,0001-01-01T08:00:00+08:00,1,m3\n")
    assert told_of_year_1.endswith("at: '0001-01-01T08:00:00+08:00' lies before 2000")


def test_a_form_from_a_page_is_checked_by_the_same_rules() -> None:
    row = {"site": "works", "node": "plant", "month": "2026-10", "value_added": "1250.50", "unit": "1e4CNY"}
    assert read_rows("value_added", [row], KNOWN).entries[0].values["value_added"] == "1250.5"
    with pytest.raises(Wrong, match="value_added:1: colour: is no column"):
        read_rows("value_added", [row | {"colour": "red"}], KNOWN)
    with pytest.raises(Wrong, match="value_added:1:3: month: must not be empty"):
        read_rows("value_added", [row | {"month": ""}], KNOWN)
    with pytest.raises(Wrong, match="there is no form"):
        read_rows("moon", [row], KNOWN)


ROWS = st.lists(
    st.tuples(st.text("abc ,\"'\n", min_size=1, max_size=6), st.decimals(0, 10**9, places=3)), min_size=1, max_size=8,
    unique_by=lambda row: row[0].strip(),
)  # fmt: skip


@given(ROWS, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_the_digest_is_of_what_is_said_not_of_how_it_is_written(
    rows: list[tuple[str, Decimal]], newline: str, mark: bool
) -> None:
    def file(end: str, quoting: Literal[0, 1]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator=end, quoting=quoting)
        writer.writerow(HEADER.strip().split(","))
        for name, amount in rows:
            writer.writerow(["works", "plant", "2026-10", "gear", name, f"{amount:f}", "t"])
        return out.getvalue().encode()

    if any(not name.strip().isprintable() for name, _ in rows):
        with pytest.raises(Wrong):
            read_csv(file(newline, csv.QUOTE_MINIMAL), "p.csv", KNOWN)
        return
    plain = read_csv(file("\n", csv.QUOTE_MINIMAL), "p.csv", KNOWN)
    other = read_csv((b"\xef\xbb\xbf" if mark else b"") + file(newline, csv.QUOTE_ALL), "other.csv", KNOWN)
    assert plain.digest == other.digest
    assert sum(Decimal(entry.values["produced"]) for entry in other.entries) == sum(amount for _, amount in rows)


@given(st.binary(max_size=200))
def test_any_bytes_are_entries_or_a_clear_mistake(content: bytes) -> None:
    with pytest.raises(Wrong, match=r"p\.csv:\d+:\d+: "):
        read_csv(HEADER.encode() + b"x" + content, "p.csv", KNOWN)
