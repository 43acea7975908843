"""A profile that writes before reading needs the operator's word in agent.yaml; without it nothing is started."""

from pathlib import Path

import pytest

from agent.build import build
from agent.settings import load
from drivers.modbus.bus import ModbusDevice
from wattline.clock import SystemClock
from wattline.errors import ConfigError

TEXT = """\
site: s
gateway: g
broker: {url: "mqtt://127.0.0.1:1883"}
spool: {directory: ./spool}
buses:
  - name: net
    LINK
    devices:
      - name: roof
        unit: 1
        profile: PROFILE
        every: 1s
        MORE
"""


def written(folder: Path, link: str, more: str = "", profile: str = "carlo-gavazzi-em24-e1") -> Path:
    path = folder / "agent.yaml"
    path.write_text(TEXT.replace("LINK", link).replace("MORE", more).replace("PROFILE", profile))
    return path


TCP = "tcp: 10.0.0.20:502"
SERIAL = "serial: {port: /dev/ttyUSB0, line: 9600 8N1}"


def test_without_allow_writes_the_profile_is_refused_and_told_what_it_would_write(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, TCP))
    assert str(caught.value).endswith(
        "agent.yaml:11: buses.0.devices.0.profile: carlo-gavazzi-em24-e1 writes 7 to cfg_application (holding register"
        " 40960) before reading, when it reads otherwise: allow_writes: true allows it"
    )


def test_allow_writes_reaches_that_device_and_no_other(tmp_path: Path) -> None:
    both = "allow_writes: true\n      - {name: other, unit: 2, profile: abb-b23, every: 1s}"
    plan = load(written(tmp_path, TCP, both)).plan()
    assert [device.allow_writes for device in plan.buses[0].devices] == [True, False]
    (bus,) = build(plan, SystemClock()).buses
    devices = [polled.device for polled in bus.devices]
    assert [isinstance(device, ModbusDevice) and device.allow_writes for device in devices] == [True, False]


def test_a_serial_line_is_never_written_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"agent.yaml:13: .*allow_writes: .* only over Modbus TCP, TLS or UDP"):
        load(written(tmp_path, SERIAL, "allow_writes: true"))


def test_a_profile_that_only_requires_a_setting_needs_no_word(tmp_path: Path) -> None:
    plan = load(written(tmp_path, TCP, profile="wago-879-30xx")).plan()
    assert [device.allow_writes for device in plan.buses[0].devices] == [False]


def test_a_pipeline_reaches_the_device_over_tcp_only_and_never_with_a_gap(tmp_path: Path) -> None:
    plan = load(written(tmp_path, TCP, "pipeline: 4", profile="wago-879-30xx")).plan()
    assert [device.pipeline for device in plan.buses[0].devices] == [4]
    (bus,) = build(plan, SystemClock()).buses
    device = bus.devices[0].device
    assert isinstance(device, ModbusDevice)
    assert device.pipeline == 4
    for link in (SERIAL, f"{TCP}\n    gap: 10ms"):
        with pytest.raises(ConfigError, match=r"pipeline: several requests at once go over tcp and tls only"):
            load(written(tmp_path, link, "pipeline: 4", profile="wago-879-30xx"))
