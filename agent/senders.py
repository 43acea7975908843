"""Under which names parcels wait: `site` and `gateway` of the settings may have been edited since they were sealed.

Such a parcel goes out under the names it bears, and only the centre's word for these names releases it. No I/O.
"""

from agent.spool import Spool
from metering.parcel import Parcel, ParcelError, sender_of
from metering.topics import Committed, Topics
from wattline.broker import PublishRefused


class Senders:
    """Of one connection; `own` is what the settings say now. All parcels of an epoch bear the same names."""

    def __init__(self, own: Topics, spool: Spool) -> None:
        self._own, self._spool = own, spool
        self._earlier: dict[int, Topics] = {}
        self._words: dict[Topics, Committed] = {}
        self.denied: dict[Topics, PublishRefused] = {}
        """Earlier names under which the broker lets nothing pass, and why."""

    def topics_of(self, parcel: Parcel) -> Topics:
        """Where this parcel belongs."""
        epoch = parcel.id.epoch
        if epoch == self._spool.epoch:
            return self._own
        if epoch not in self._earlier:
            try:
                site, gateway = sender_of(parcel.body)
            except ParcelError:
                return self._own
            self._earlier[epoch] = Topics(site, gateway)
        return self._earlier[epoch]

    def listens(self, topics: Topics) -> bool:
        """True when we listen for the word on these names already, and from now on."""
        known = topics == self._own or topics in self._words
        self._words.setdefault(topics, Committed(epochs={}))
        return known

    def heard(self, topic: str, committed: Committed) -> Committed:
        """All that the store has by its last word for each of the names; for earlier ones of their epochs alone."""
        topics = next((each for each in self._words if each.committed == topic), self._own)
        self._words[topics] = committed
        if len(self._words) == 1:
            return committed
        epochs = {
            epoch: ranges
            for each, word in self._words.items()
            for epoch, ranges in word.epochs.items()
            if self._earlier.get(epoch, self._own) == each
        }
        return Committed(epochs=epochs)
