"""Inspector: judges every answered sweep before it is handed on: what is not plausible, and who answered."""

from collections.abc import Mapping

from agent.identity import IdentityBook
from agent.quality import Plausibility
from metering.quantities import IDENTITY
from metering.sweep import Sweep
from wattline.events import EventLog


class Inspector:
    """`plausibility` by device; the book remembers who answered."""

    def __init__(self, plausibility: Mapping[str, Plausibility], identities: IdentityBook, log: EventLog) -> None:
        self._plausibility = plausibility
        self._identities = identities
        self._log = log

    def judge(self, sweep: Sweep) -> Sweep:
        """The sweep, with a fault beside each value that is not plausible."""
        if IDENTITY in sweep.values and (swapped := self._identities.swapped(sweep)) is not None:
            old, new = swapped
            self._log.warning("device.swapped", device=sweep.device, old=old, new=new)
        return self._plausibility[sweep.device].judged(sweep)
