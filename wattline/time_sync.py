"""Whether somebody keeps the clock of this machine right, as far as a service without rights can know.

systemd-timesyncd touches a file each time it has set the clock from a server (at least every 2048 s unless it is set up
otherwise). The kernel could be asked too (adjtimex), but the service's sandbox rightly forbids all calls that set time.
"""

import time
from pathlib import Path
from typing import Final

_TIMESYNCD: Final = Path("/run/systemd/timesync")
_LOST_S: Final = 86_400.0


def synchronised(timesyncd: Path = _TIMESYNCD) -> bool | None:
    """True when the clock was set within a day, False when timesyncd runs and has not; None when nobody can tell."""
    try:
        set_at = (timesyncd / "synchronized").stat().st_mtime
    except OSError:
        return False if timesyncd.is_dir() else None
    return time.time() - set_at < _LOST_S
