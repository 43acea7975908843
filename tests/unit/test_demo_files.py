"""The demo's folder: free ports, and all files of one mind about them."""

import re
import socket
from pathlib import Path

from drivers.simulation.demo_files import PAGE_PORT, free_ports, write_files
from wattline.resources import config_dir
from wattline.strict_yaml import load_file


def test_the_files_agree_about_every_port(tmp_path: Path) -> None:
    files = write_files(tmp_path, None)
    plant, agent, centre = (load_file(tmp_path / f"{name}.yaml").data for name in ("plant", "agent", "centre"))
    assert [bus["tcp"] for bus in agent["buses"]] == [endpoint["listen"] for endpoint in plant["endpoints"]]
    assert agent["broker"] == centre["broker"] == {"url": f"mqtt://127.0.0.1:{files.broker_port}"}
    assert f'"127.0.0.1:{files.broker_port}"' in (tmp_path / "broker.toml").read_text()
    assert centre["listen"] == f"127.0.0.1:{files.page_port}"
    assert files.page == f"http://127.0.0.1:{files.page_port}/"


def test_only_ports_differ_from_the_shipped_files(tmp_path: Path) -> None:
    write_files(tmp_path, 12345)
    for path in tmp_path.iterdir():
        shipped = (config_dir() / "demo" / path.name).read_text()
        assert re.sub(r"127\.0\.0\.1:\d+", "", path.read_text()) == re.sub(r"127\.0\.0\.1:\d+", "", shipped)


def test_the_page_gets_the_port_that_is_wished(tmp_path: Path) -> None:
    assert write_files(tmp_path, 12345).page_port == 12345


def test_a_taken_page_port_is_avoided(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", PAGE_PORT))
        except OSError:
            pass  # another demo runs on this machine: taken all the same
        else:
            taken.listen()
        assert write_files(tmp_path, None).page_port != PAGE_PORT


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(20))) == 20
