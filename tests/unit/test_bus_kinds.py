"""Each way of reaching a bus becomes its link, and only what is used is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.build import real_bus
from agent.plan import BusPlan, LinkPlan, RtuOverTcpPlan, SerialPlan, TcpPlan, TlsPlan, UdpPlan
from drivers.modbus.serial_line import SerialLine
from support.points import make_point, make_profile
from wattline.clock import SystemClock

LINE = SerialLine.parse("9600 8N1")


@pytest.mark.parametrize(
    ("over", "link"),
    [
        (TcpPlan(host="meter", port=502), "TcpLink"),
        (TlsPlan(host="meter", port=802, ca=None, certificate=None, key=None, name=None), "TlsLink"),
        (UdpPlan(host="meter", port=502), "UdpLink"),
        (RtuOverTcpPlan(host="meter", port=4001), "RtuOverTcpLink"),
        (SerialPlan(port=Path("/dev/x"), line=LINE, rs485=False), "RtuLink"),
        (SerialPlan(port=Path("/dev/x"), line=LINE, rs485=False, ascii=True), "AsciiLink"),
    ],
)
def test_each_kind_of_bus_has_its_link_and_gives_a_slow_meter_its_time(over: LinkPlan, link: str) -> None:
    plan = BusPlan(name="bus", over=over, timeout_s=0.5, gap_s=0.0, devices=())
    bus = real_bus(plan, SystemClock())
    assert type(bus._link).__name__ == link
    bus.add_device("slow", 1, make_profile(make_point("cfg_a", 1), timeout_s=3.0))
    known = vars(bus._link)
    assert 3.0 in (known.get("timeout_s"), known.get("_slow", {}).get(1))


def test_a_gateway_with_tcp_only_holds_no_other_link() -> None:
    code = (
        "import sys, agent.app, agent.build; "
        "print([m for m in ('tls', 'udp', 'ascii', 'rtu', 'rtu_over_tcp', 'serial_port') if 'drivers.modbus.' + m in sys.modules]"
        " + [m for m in ('pydantic', 'yaml', 'pymodbus') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
