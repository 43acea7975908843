"""The agent's settings: what is wrong is refused with file and line, and a secret never shows."""

import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from agent.build import build
from agent.plan import UNRATED, RtuOverTcpPlan, SerialPlan, TcpPlan, TlsPlan, UdpPlan
from agent.settings import AgentSettings, load
from drivers.modbus import catalogue
from drivers.modbus.serial_line import SerialLine
from wattline.clock import SystemClock
from wattline.errors import ConfigError
from wattline.resources import config_dir

CANARY = "canary-7f3a91"
GOOD = """\
site: jiangjin-1
gateway: press-shop
broker: {url: "mqtt://127.0.0.1:1883"}
spool: {directory: /var/lib/wattline}
buses:
  - name: substation
    tcp: 10.0.0.20:502
    devices:
      - {name: incomer, unit: 1, profile: schneider-pm5100, every: 1s}
      - {name: line-1, unit: 3, profile: abb-b23, every: {gauges: 1s, counters: 1min}, points: [power_active]}
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to(text: str) -> Path:
        path = tmp_path / "agent.yaml"
        path.write_text(text)
        return path

    return to


def refused(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_the_shipped_example_loads() -> None:
    settings = load(config_dir() / "agent.example.yaml")
    assert settings.buses[0].devices[2].every.counters == 60
    assert settings.spool.budget == 512 * 1024 * 1024


def test_a_small_file_has_sensible_defaults(write: Write) -> None:
    settings = load(write(GOOD))
    bus = settings.buses[0]
    assert (bus.over, bus.gap) == (TcpPlan(host="10.0.0.20", port=502), 0)
    assert settings.plan().buses[0].timeout_s == 1
    assert (settings.commit, settings.spool.commit_interval, settings.spool.seal_interval) == ("store", 30, 5)
    assert (settings.spool.history, settings.spool.history_of) == (0, "all")
    assert bus.devices[0].every.gauges == bus.devices[0].every.counters == Decimal(1)


def test_the_environment_wins_over_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTLINE_BROKER__URL", "mqtts://other.example")
    monkeypatch.setenv("WATTLINE_SPOOL__BUDGET", "64 MiB")
    settings = load(write(GOOD))
    access = settings.broker.access("x")
    assert (access.endpoints, access.tls) == ((("other.example", 8883),), True)
    assert settings.spool.budget == 64 * 1024 * 1024
    assert str(settings.spool.directory) == "/var/lib/wattline"


def test_side_files_are_only_where_they_are_wanted(write: Write) -> None:
    assert load(write(GOOD)).plan().spool.side_directory is None
    with_side = GOOD.replace("/var/lib/wattline", "/var/lib/wattline, side_directory: /run/wattline")
    assert load(write(with_side)).plan().spool.side_directory == Path("/run/wattline")


MISTAKES = [
    ("site: jiangjin-1", "site: [", "3: the bracket that opens in line 1"),
    ("site: jiangjin-1", "site: jiang jin", "1: site: 'jiang jin' is not a name"),
    ("site: jiangjin-1", "sight: jiangjin-1", "1: sight: is not a key that is known here; did you mean site?"),
    ("site: jiangjin-1", "_env_file: x", "1: _env_file: is not a key"),
    ("gateway: press-shop", "gateway: press-shop\ngateway: b", "3: gateway: stands here a second time"),
    ("gateway: press-shop", "gateway: &a x", "gateway"),
    ("unit: 1,", "unit: 010,", "9: buses.0.devices.0.unit: 010 is ambiguous"),
    ("unit: 1,", "unit: .nan,", "9: buses.0.devices.0.unit: .nan is ambiguous"),
    ("unit: 1,", "unit: 1.0,", "9: buses.0.devices.0.unit: "),
    ("unit: 1,", "unit: 256,", "9: buses.0.devices.0.unit: "),
    ("unit: 1,", "unti: 1,", "9: buses.0.devices.0.unit: is missing"),
    ("unit: 3", "unit: 1", "10: buses.0.devices.1.unit: bus substation: unit 1 stands here a second time (first in line 9)"),
    ("name: line-1", "name: incomer", "10: buses.0.devices.1.name: device incomer stands here a second time"),
    ("name: line-1", "name: line 1", "10: buses.0.devices.1.name: 'line 1' is not a name"),
    ("schneider-pm5100", "schneider-pm510", "9: buses.0.devices.0.profile: no profile 'schneider-pm510': did you mean schneider-pm5100"),
    ("schneider-pm5100", "../../etc/passwd", "9: buses.0.devices.0.profile: no profile"),
    ("[power_active]", "[power_activ]", "10: buses.0.devices.1.points: "),
    ("[power_active]", "[]", "10: buses.0.devices.1.points: "),
    ("every: 1s", "every: 7s", "9: buses.0.devices.0.every: an interval divides 15min"),
    ("every: 1s", "every: 1", "9: buses.0.devices.0.every"),
    ("every: 1s", "every: 10ms", "9: buses.0.devices.0.every: an interval is 100ms to 1d"),
    ("gauges: 1s", "gauge: 1s", "10: buses.0.devices.1.every.gauge: is not a key"),
    ("tcp: 10.0.0.20:502", "tcp: 10.0.0.20", "7: buses.0.tcp: must be HOST:PORT"),
    ("tcp: 10.0.0.20:502", "tcp: 10.0.0..20:502", "7: buses.0.tcp: must be HOST:PORT, such as 10.0.0.20:502"),
    ("tcp: 10.0.0.20:502", "tcp: 10.0.020:502", "7: buses.0.tcp: must be HOST:PORT, such as 10.0.0.20:502"),
    ("tcp: 10.0.0.20:502", "tcp: 10.0.0.256:502", "7: buses.0.tcp: must be HOST:PORT, such as 10.0.0.20:502"),
    ("tcp: 10.0.0.20:502", "tcp: 10.0.0.20:99999", "7: buses.0.tcp: must be HOST:PORT"),
    ("tcp: 10.0.0.20:502", "tcp: 10.0.0.20:502\n    timeout: 1", "8: buses.0.timeout: must be a duration"),
    ("    tcp: 10.0.0.20:502\n", "", "6: buses.0: needs one of tcp: "),
    ("tcp: 10.0.0.20:502", "tcp: 10.0.0.20:502\n    serial: {port: /dev/x, line: 9600 8N1}", "6: buses.0: needs one of tcp: "),
    ("tcp: 10.0.0.20:502", "serial: {port: /dev/x, line: 9600}", "7: buses.0.serial.line: '9600' is no serial line"),
    ("tcp: 10.0.0.20:502", "serial: {port: ttyUSB0, line: 9600 8N1}", "7: buses.0.serial.port: must be the whole path"),
    ("tcp: 10.0.0.20:502", "serial: {port: /dev/x, line: 9600 7E1, ascii: 1}", "7: buses.0.serial.ascii: "),
    ("tcp: 10.0.0.20:502", "tcp: 10.0.0.20:502\n    udp: 10.0.0.20:502", "6: buses.0: needs one of tcp: "),
    ("tcp: 10.0.0.20:502", "udp: 10.0.0.20", "7: buses.0.udp: must be HOST:PORT"),
    ("tcp: 10.0.0.20:502", "rtu_over_tcp: 10.0.0.20", "7: buses.0.rtu_over_tcp: must be HOST:PORT"),
    ("tcp: 10.0.0.20:502", "tls: 10.0.0.20", "7: buses.0.tls: "),
    ("tcp: 10.0.0.20:502", "tls: {address: 10.0.0.20:0}", "7: buses.0.tls.address: must be HOST:PORT"),
    ("tcp: 10.0.0.20:502", "tls: {address: 10.0.0.20, certificate: /x}", "7: buses.0.tls: certificate and key go together"),
    ("tcp: 10.0.0.20:502", "tls: {address: 10.0.0.20, ca: [/x]}", "7: buses.0.tls.ca: must be the path of a PEM file"),
    ("tcp: 10.0.0.20:502", "tls: {address: 10.0.0.20, ca: {secret: x}}", "7: buses.0.tls.ca: "),
    ("tcp: 10.0.0.20:502", "tls: {address: 10.0.0.20, name: a b}", "7: buses.0.tls.name: must be a host name"),
    ('"mqtt://127.0.0.1:1883"', '"http://x"', "3: broker.url: must be mqtts://"),
    ('"mqtt://127.0.0.1:1883"', '"mqtt://u:p@x"', "3: broker.url: must be mqtts://"),
    ('"mqtt://127.0.0.1:1883"', '"mqtt://x", username: a, password: {file: /x}', "3: broker: a password would leave"),
    ("directory: /var/lib/wattline", "directory: /x, budget: 512", "4: spool.budget: must be a size"),
    ("/var/lib/wattline", "/a/b, side_directory: /a/b/c", "4: spool: side_directory is a folder in RAM"),
    ("site: jiangjin-1", "site: jiangjin-1\nprofiles: nowhere", "2: profiles: there is no folder"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_a_mistake_is_refused_with_its_line(write: Write, right: str, wrong: str, message: str) -> None:
    assert right in GOOD
    if message == "gateway":  # an anchor alone harms nobody; its alias is refused
        wrong += "\ncommit: *a"
        message = "3: an alias"
    lines = refused(write(GOOD.replace(right, wrong, 1)))
    assert any(line.startswith(message) for line in lines), lines


def test_a_second_bus_of_the_same_name_is_refused(write: Write) -> None:
    bus = GOOD[GOOD.index("  - name: substation") :]
    lines = refused(write(GOOD + bus))
    assert lines[0] == "11: buses.1.name: bus substation stands here a second time (first in line 6)"
    assert lines[1].startswith("14: buses.1.devices.0.name: device incomer stands here a second time")


SERIAL = GOOD.replace("tcp: 10.0.0.20:502", "serial: {port: /dev/serial/by-id/usb-1, line: 19200 8E1, rs485: true}")


def test_a_serial_bus_has_port_line_and_a_shorter_time_out(write: Write) -> None:
    (bus,) = load(write(SERIAL)).plan().buses
    line = SerialLine.parse("19200 8E1")
    assert bus.over == SerialPlan(port=Path("/dev/serial/by-id/usb-1"), line=line, rs485=True)
    assert str(bus.over) == "/dev/serial/by-id/usb-1 (19200 8E1)"
    assert bus.timeout_s == 0.2


def test_a_serial_bus_may_speak_ascii(write: Write) -> None:
    (bus,) = load(write(SERIAL.replace("19200 8E1, rs485: true", "9600 7E1, ascii: true"))).plan().buses
    line = SerialLine.parse("9600 7E1")
    assert bus.over == SerialPlan(port=Path("/dev/serial/by-id/usb-1"), line=line, rs485=False, ascii=True)
    assert str(bus.over) == "/dev/serial/by-id/usb-1 (9600 7E1, ASCII)"
    assert isinstance(bus.over, SerialPlan)
    assert bus.over.read_s(10) == 2 * line.read_s(10)


@pytest.mark.parametrize(
    ("written", "over", "shown"),
    [
        ("udp: meter.plant:502", UdpPlan(host="meter.plant", port=502), "meter.plant:502 (UDP)"),
        ("rtu_over_tcp: 10.0.0.21:4001", RtuOverTcpPlan(host="10.0.0.21", port=4001), "10.0.0.21:4001 (RTU over TCP)"),
        ("tcp: '[fe80::1]:502'", TcpPlan(host="fe80::1", port=502), "[fe80::1]:502"),
    ],
)
def test_a_bus_is_reached_in_one_of_several_ways(write: Write, written: str, over: object, shown: str) -> None:
    (bus,) = load(write(GOOD.replace("tcp: 10.0.0.20:502", written))).plan().buses
    assert (bus.over, str(bus.over), bus.timeout_s) == (over, shown, 1.0)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("10.0.0.22", "10.0.0.22", 802), ("10.0.0.22:8802", "10.0.0.22", 8802), ("'[fe80::2]'", "fe80::2", 802)],
)
def test_tls_has_a_port_of_its_own_and_keys_by_reference(write: Write, address: str, host: str, port: int) -> None:
    tls = f"tls: {{address: {address}, ca: /etc/ca.pem, certificate: /etc/our.pem, key: {{credential: our-key}}, name: m1}}"
    over = load(write(GOOD.replace("tcp: 10.0.0.20:502", tls))).plan().buses[0].over
    assert isinstance(over, TlsPlan)
    assert (over.host, over.port, over.name) == (host, port, "m1")
    assert "credential our-key" in repr(over.key)
    assert "/etc/ca.pem" in repr(over.ca)
    assert str(over).endswith(f":{port} (TLS)")


def test_a_port_of_two_buses_and_a_unit_no_serial_meter_has_are_refused(write: Write) -> None:
    bus = SERIAL[SERIAL.index("  - name: substation") :].replace("substation", "second")
    bus = bus.replace("incomer", "a").replace("line-1", "b").replace("unit: 3", "unit: 248")
    assert refused(write(SERIAL + bus)) == [
        "12: buses.1.serial.port: port /dev/serial/by-id/usb-1 stands here a second time (first in line 7)",
        "15: buses.1.devices.1.unit: a unit on a serial line is 1 to 247",
    ]


def test_a_line_under_two_names_is_one_line(write: Write, tmp_path: Path) -> None:
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "by-id").symlink_to("ttyUSB0")
    second = SERIAL[SERIAL.index("  - name: substation") :].replace("substation", "second")
    second = (
        second.replace("incomer", "a").replace("line-1", "b").replace("/dev/serial/by-id/usb-1", f"{tmp_path}/by-id")
    )
    first = SERIAL.replace("/dev/serial/by-id/usb-1", f"{tmp_path}/ttyUSB0")
    (told,) = refused(write(first + second))
    assert told == f"12: buses.1.serial.port: port {tmp_path}/ttyUSB0 stands here a second time (first in line 7)"
    rtu = [GOOD, GOOD[GOOD.index("  - name: substation") :].replace("substation", "second")]
    rtu[1] = rtu[1].replace("incomer", "a").replace("line-1", "b")
    (told,) = refused(write("".join(rtu).replace("tcp: 10", "rtu_over_tcp: 10")))
    assert "rtu_over_tcp: converter 10.0.0.20:502 stands here a second time" in told


def test_a_serial_bus_that_cannot_carry_its_plan_is_refused(write: Write) -> None:
    plan = load(write(SERIAL.replace("19200 8E1", "1200 8N1"))).plan()
    with pytest.raises(ConfigError, match="bus substation: its reads need"):
        build(plan, SystemClock())


def test_all_mistakes_are_told_at_once(write: Write) -> None:
    text = GOOD.replace("unit: 1,", "unit: x,").replace("every: 1s", "every: often").replace("/var/lib/wattline", "[]")
    assert [line.split(":")[0] for line in refused(write(text))] == ["4", "9", "9"]


@pytest.mark.parametrize("text", ["", "just text", "- a\n- b\n", "~"])
def test_a_file_that_is_no_settings_at_all_is_refused(write: Write, text: str) -> None:
    assert refused(write(text))


def test_a_mistake_in_the_environment_names_the_variable(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTLINE_SPOOL__BUDGET", "lots")
    assert refused(write(GOOD))[0].startswith(
        "environment variable WATTLINE_SPOOL__BUDGET: spool.budget: must be a size"
    )


def test_a_misspelt_variable_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTLINE_BROKR__URL", "x")
    assert refused(write(GOOD)) == [
        "environment variable WATTLINE_BROKR__URL: is not a key that is known here; did you mean BROKER?"
    ]


def test_a_variable_that_is_no_json_where_a_list_belongs_is_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTLINE_BUSES", f"[{{{CANARY}")
    message = "\n".join(refused(write(GOOD)))
    assert "buses" in message
    assert CANARY not in message


@pytest.mark.parametrize(
    "password",
    [
        CANARY,
        f"{{text: {CANARY}}}",
        f"{{credential: x, other: {CANARY}}}",
        f"[{CANARY}]",
        "12345",
        "{credential: ../x}",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(write: Write, password: str) -> None:
    text = GOOD.replace(":1883", f':1883", username: a, password: {password} #')
    text = text.replace('#"}', "} #")
    lines = refused(write(text))
    assert lines[0].startswith("3: broker.password: ")
    assert not any(CANARY in line or "12345" in line for line in lines)


def with_password(reference: str) -> str:
    return GOOD.replace('{url: "mqtt://127.0.0.1:1883"}', f'{{url: "mqtts://x", username: a, password: {reference}}}')


def secret(settings: AgentSettings) -> str:
    assert settings.broker.password is not None
    return settings.broker.password.reveal()


def test_a_secret_comes_from_credential_file_or_environment_and_never_shows(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mqtt").write_text(f"{CANARY}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for settings in (
        load(write(with_password("{credential: mqtt}"))),
        load(write(with_password(f"{{file: {tmp_path / 'mqtt'}}}"))),
    ):
        assert secret(settings) == CANARY
        assert CANARY not in repr(settings) + str(settings) + repr(settings.model_dump())
    monkeypatch.setenv("WATTLINE_BROKER__PASSWORD", f"{CANARY}-env")
    settings = load(write(with_password("{credential: mqtt}")))
    assert secret(settings) == f"{CANARY}-env"
    assert CANARY not in repr(settings) + str(settings) + repr(settings.model_dump())


def test_a_rotated_secret_is_read_anew(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "mqtt"
    path.write_text("old")
    settings = load(write(with_password(f"{{file: {path}}}")))
    assert secret(settings) == "old"
    path.write_text("new\n")
    assert secret(settings) == "new"


def test_a_secret_that_cannot_be_read_says_why_and_nothing_of_itself(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mqtt"
    settings = load(write(with_password(f"{{file: {path}}}")))
    for content, why in (
        (None, "No such file"),
        (b"", "is empty"),
        (CANARY.encode() + b"\xff", "not UTF-8"),
        (b"x" * 70000, "too large"),
    ):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=why) as caught:
            secret(settings)
        assert CANARY not in str(caught.value)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError, match="LoadCredential=mqtt"):
        secret(load(write(with_password("{credential: mqtt}"))))


def test_a_profile_of_the_plant_goes_before_a_shipped_one(write: Write, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    shipped = catalogue.find("schneider-pm5100").read_text()
    (tmp_path / "own" / "my-meter.yaml").write_text(shipped.replace("id: schneider-pm5100", "id: my-meter"))
    settings = load(write("profiles: own\n" + GOOD.replace("schneider-pm5100", "my-meter")))
    assert settings.buses[0].devices[0].load(settings.profiles).id == "my-meter"


def test_what_a_connection_is_rated_for_has_units(write: Write) -> None:
    rated = GOOD.replace("every: 1s}", "every: 1s, rated: {power: 0.25 MW, current: 400 A}}")
    incomer, line = load(write(rated)).plan().buses[0].devices
    assert (incomer.rated.power_w, incomer.rated.current_a, incomer.rated.voltage_v) == (250_000, 400, None)
    assert line.rated == UNRATED
    (message,) = refused(write(rated.replace("400 A", "400")))
    assert message.startswith("9: buses.0.devices.0.rated.current: must be a number with its unit (A, kA)")


def test_ten_thousand_points_load_in_two_seconds(write: Write) -> None:
    buses = "".join(
        f"  - name: bus-{bus}\n    tcp: 10.0.0.{bus}:502\n    devices:\n"
        + "".join(
            f"      - {{name: meter-{bus}-{unit}, unit: {unit}, profile: schneider-pm5100, every: 1s}}\n"
            for unit in range(1, 26)
        )
        for bus in range(1, 11)
    )
    path = write(GOOD[: GOOD.index("  - name")] + buses)
    before = time.process_time()
    settings = load(path)
    assert time.process_time() - before < 2
    assert sum(len(d.load(settings.profiles).select(d.points)) for bus in settings.buses for d in bus.devices) >= 10_000
