"""What the kernel says of another process: CPU time, memory, bytes written to the device."""

import time
from dataclasses import dataclass
from pathlib import Path

_SCHED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at a process. `written` counts bytes handed to the block device's cache, by that process alone."""

    at_ns: int
    cpu_s: float
    rss_mib: float
    pss_mib: float
    written: int
    switches: int


def look(pid: int) -> Sample:
    """Sample the process; all its threads, those that ended too, count."""
    process = Path(f"/proc/{pid}")
    status = _table(process / "status")
    io = _table(process / "io")
    switches = sum(
        int(_table(task / "status")["voluntary_ctxt_switches"]) for task in sorted((process / "task").iterdir())
    )
    return Sample(
        at_ns=time.time_ns(),
        cpu_s=cpu_clock(pid),
        rss_mib=_mebibytes(status["VmRSS"]),
        pss_mib=_mebibytes(_table(process / "smaps_rollup")["Pss"]),
        written=int(io["write_bytes"]) - int(io["cancelled_write_bytes"]),
        switches=switches,
    )


def cpu_clock(pid: int) -> float:
    """CPU seconds of the whole process by the kernel's clock (clock_getcpuclockid): not in ticks of 10 ms as stat."""
    return time.clock_gettime(~pid << 3 | _SCHED)


def _table(path: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value.strip() for name, _, value in lines if value}


def _mebibytes(text: str) -> float:
    return int(text.split(maxsplit=1)[0]) * 1024 / 1e6
