"""The demo's command: usage, a missing extra, and the line it shows."""

import sys
from decimal import Decimal

import pytest

from drivers.simulation import demo
from drivers.simulation.demo_figures import Live

LIVE = Live(stored=12_345, power_w=1_234_567.0, co2_kg=Decimal("3.456"))


def test_a_missing_extra_is_named_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_NEEDED", ("json", "no_such_module"))
    assert demo.main([]) == 1
    told = capsys.readouterr().err
    assert "no_such_module is not installed" in told
    assert "pip install 'wattline[demo]'" in told


@pytest.mark.parametrize("args", [["--for", "1"], ["--for", "soon"], ["--port", "0"], ["--port", "70000"], ["surplus"]])
def test_wrong_usage_ends_with_2(args: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        demo.main(args)
    assert caught.value.code == 2


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        demo.main(["--help"])
    assert caught.value.code == 0
    assert "wattline demo --for 60" in capsys.readouterr().out


def test_without_a_terminal_there_is_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    line = demo._StatusLine()
    for second in range(25):
        line.show(LIVE, "20 devices, 20 answering; broker connected; 2 parcels waiting", float(second))
    line.end()
    shown = capsys.readouterr().out.splitlines()
    assert [text[:5] for text in shown] == ["00:00", "00:10", "00:20"]
    assert shown[0] == "00:00  - readings/s  12,345 stored  2 waiting  1,235 kW  3.46 kg CO2"
    assert "0 readings/s" in shown[1]


def test_on_a_terminal_one_line_is_written_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    line = demo._StatusLine()
    line.show(LIVE, "", 0.0)
    line.show(Live(stored=13_345, power_w=None, co2_kg=Decimal(0)), "", 2.0)
    line.end()
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert shown.count("\r") == 2
    assert "00:02  500 readings/s  13,345 stored  - waiting  - kW  0.00 kg CO2" in shown
