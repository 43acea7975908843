"""Whoever can subscribe and gunzip can use the readings: no code of ours is needed on the other side."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from metering.quantities import quantity_of
from support.influx_grammar import is_line
from support.mosquitto import Mosquitto, free_port

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="mosquitto-clients is not installed"),
]

_PLANT = """\
site: works
zone: Asia/Shanghai
seed: 1
voltage: 400
frequency: 50
shifts: {{always: {{idle: 1.0}}}}
loads:
  press: {{carrier: electricity, rated: 50, shift: always}}
  boiler-gas: {{carrier: natural_gas, rated: 20, shift: always}}
nodes:
  incomer: {{feeds: [press], loss: 0.01}}
endpoints:
  - name: substation
    listen: 127.0.0.1:{port}
    meters:
      - {{name: incomer, unit: 1, profile: schneider-pm5100, measures: incomer, start: 1000}}
      - {{name: boiler-gas, unit: 7, profile: fuxin-gas-corrector, measures: boiler-gas, start: 500}}
"""
_AGENT = """\
site: works
gateway: gate
broker: {{url: "mqtt://127.0.0.1:{broker}"}}
spool: {{directory: {spool}, seal_interval: 1s}}
commit: puback
buses:
  - name: substation
    tcp: 127.0.0.1:{port}
    devices:
      - {{name: incomer, unit: 1, profile: schneider-pm5100, every: 1s}}
      - {{name: boiler-gas, unit: 7, profile: fuxin-gas-corrector, every: 1s}}
      - {{name: absent, unit: 9, profile: eastron-sdm120, every: 1s}}
"""


@contextmanager
def _wattline(log: Path, *args: str) -> Generator[None]:
    """One of our commands in a process of its own, interrupted at the end."""
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "wattline", *args], stdout=out, stderr=subprocess.STDOUT, env=os.environ
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0, log.read_text()


def test_mosquitto_sub_and_gunzip_show_valid_line_protocol(tmp_path: Path) -> None:
    port = free_port()
    plant, settings = tmp_path / "plant.yaml", tmp_path / "agent.yaml"
    plant.write_text(_PLANT.format(port=port))
    with Mosquitto(tmp_path) as broker:
        settings.write_text(_AGENT.format(port=port, broker=broker.port, spool=tmp_path / "spool"))
        with (
            _wattline(tmp_path / "simulate.log", "simulate", str(plant)),
            _wattline(tmp_path / "run.log", "run", str(settings)),
        ):
            done = subprocess.run(
                ["sh", "-c", f"mosquitto_sub -p {broker.port} -t 'wattline/v1/works/gate/readings' -C 1 -N -W 30 | gunzip"],
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines, (tmp_path / "run.log").read_text()
    assert done.stderr == ""
    assert [line for line in lines if not is_line(line)] == []
    kinds = {line.split(",", 1)[0] for line in lines}
    assert kinds == {"meter", "meter_fault", "wattline_parcel"}
    fields = [
        field.split("=")[0] for line in lines if line.startswith("meter,") for field in line.split(" ")[1].split(",")
    ]
    assert "energy_active_import_total" in fields
    assert [name for name in fields if quantity_of(name) is None] == []
