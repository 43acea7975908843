"""A real systemd, booted in a container on an overlay of this machine's own root: no image, nothing left behind.

Needs root and the packages systemd, systemd-container and util-linux. All that the container writes goes to memory.
"""

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_PROGRAMS = ("systemd-nspawn", "nsenter", "mount", "umount")
_BOOT_S = 60
_POWEROFF_S = 20


def unavailable() -> str | None:
    """Why no container can be booted here; None when it can."""
    if os.geteuid() != 0:
        return "booting a systemd in a container needs root"
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


class Machine:
    """The booted container; `root` is its file system as seen from here."""

    def __init__(self, root: Path, leader: int) -> None:
        self.root = root
        self._leader = leader

    def run(self, *command: str, timeout: float = 30, check: bool = True) -> str:
        """Run a command in the container; returns what it printed, fails with it when the command failed."""
        done = subprocess.run(
            ["nsenter", "--target", str(self._leader), "--all", "--", *command],
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """One property of a unit, as `systemctl show` tells it."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).strip()

    def wait(self, what: str, true: Callable[[], bool], within_s: float = 30) -> None:
        """Poll until `true()`; after `within_s` fail with `what` and the end of the journal."""
        deadline = time.monotonic() + within_s
        while not true():
            if time.monotonic() > deadline:
                journal = self.run("journalctl", "--no-pager", "--lines=60", check=False)
                raise AssertionError(f"not within {within_s:g} s: {what}\n{journal}")
            time.sleep(0.1)


@contextmanager
def booted(prepare: Callable[[Path], None]) -> Generator[Machine]:
    """Boot a container whose root `prepare` has laid out; it is powered off and unmounted whatever happens."""
    with ExitStack() as stack:
        root = _overlay(stack)
        (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
        (root / "etc/fstab").write_text("")
        prepare(root)
        yield stack.enter_context(_running(root))


def _overlay(stack: ExitStack) -> Path:
    """This machine's root with a layer in memory above it."""
    work = Path(tempfile.mkdtemp(prefix="wattline-nspawn-"))
    stack.callback(work.rmdir)
    _mounted(stack, "tmpfs", work, "mode=0755,size=2g")
    for name in ("upper", "work", "root"):
        (work / name).mkdir()
    _mounted(stack, "overlay", work / "root", f"lowerdir=/,upperdir={work / 'upper'},workdir={work / 'work'}")
    return work / "root"


def _mounted(stack: ExitStack, kind: str, at: Path, options: str) -> None:
    subprocess.run(["mount", "-t", kind, kind, "-o", options, str(at)], check=True, capture_output=True)
    stack.callback(subprocess.run, ["umount", "--lazy", str(at)], check=True)


@contextmanager
def _running(root: Path) -> Generator[Machine]:
    container = subprocess.Popen(
        [
            "systemd-nspawn", "--quiet", f"--directory={root}", f"--machine=wattline-{os.getpid()}",
            "--register=no", "--keep-unit", "--private-network", "--link-journal=no", "--console=pipe", "--boot",
            # nothing of this machine's own services, and no question asked at the first boot
            "systemd.unit=basic.target", "systemd.firstboot=off",
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    machine: Machine | None = None
    try:
        machine = Machine(root, _leader(container))
        machine.wait("systemd has booted", lambda: _is_up(machine), _BOOT_S)
        yield machine
    finally:
        if machine is not None:
            machine.run("systemctl", "poweroff", check=False)
        try:
            container.wait(_POWEROFF_S)
        except subprocess.TimeoutExpired:
            container.kill()
            container.wait()


def _leader(container: "subprocess.Popen[bytes]") -> int:
    """The container's first process as this machine numbers it."""
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
    deadline = time.monotonic() + _BOOT_S
    while time.monotonic() < deadline:
        if container.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended with {container.returncode}")
        for child in children.read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
        time.sleep(0.05)
    raise AssertionError("systemd-nspawn started no systemd")


def _is_up(machine: Machine | None) -> bool:
    assert machine is not None
    return machine.run("systemctl", "is-system-running", check=False).strip() in {"running", "degraded"}
