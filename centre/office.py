"""What is done with the books while the centre runs: the routes that write to them, and the work that never ends."""

from collections import ChainMap
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Final

from starlette.routing import BaseRoute

from centre import api_alarms, api_certificates, api_manual
from centre.accounting.certificates_file import load_validity
from centre.alarm_watch import AlarmWatch
from centre.aside import Aside
from centre.batch_ingest import BatchIngest
from centre.books.file import Books
from centre.dead_letters import DeadLetters
from centre.management import Management
from centre.manual import Manual
from centre.plant import Plant
from centre.points import Directory
from centre.settings import Setup
from centre.store.base import Store
from centre.web_i18n import load_words
from centre.web_production import ProductionDesk
from wattline.broker_access import ConfiguredBroker
from wattline.clock import Clock
from wattline.events import EventLog
from wattline.mqtt import PahoBroker
from wattline.resources import config_dir

_AT_ONCE: Final = 16  # messages of up to 16 KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """`routes` under /api/v1, to stand before its catch-all; `work` by name, each until cancelled."""

    alarms: AlarmWatch
    batches: BatchIngest | None
    desk: ProductionDesk
    routes: tuple[BaseRoute, ...]
    work: Mapping[str, Callable[[], Coroutine[None, None, None]]]


def open_office(
    *, setup: Setup, plants: dict[str, Plant], store: Store, books: Books, clock: Clock, directory: Directory
) -> Office:
    """Everything that works on the books; `plants` are changed in place where somebody edits them.

    Raises ConfigError for a broken catalogue of words, or a secret.
    """
    below = {} if setup.levels is None else dict(setup.levels.members)
    manual = Manual(books=books, clock=clock, plants=ChainMap({}, plants, below), factors=setup.factors)
    watch = AlarmWatch(
        management=Management(store=store, clock=clock, rules=setup.rules, directory=directory, books=books),
        books=books,
        clock=clock,
        plants=plants,
        rules=setup.rules,
        words=load_words(),
    )
    letters = setup.store.parent / "dead-letters-production"
    batches = _batches(setup, manual, Aside(letters, clock, EventLog()))
    routes = api_manual.routes(manual, DeadLetters(letters))
    validity = load_validity(config_dir() / "certificates.yaml")
    return Office(
        alarms=watch,
        batches=batches,
        desk=ProductionDesk(manual=manual, letters=DeadLetters(letters)),
        routes=(*routes, *api_alarms.routes(watch), *api_certificates.routes(books, validity)),
        work={"alarms": watch.run} | ({} if batches is None else {"batches": batches.run}),
    )


def _batches(setup: Setup, manual: Manual, aside: Aside) -> BatchIngest | None:
    """What listens to lines, where the settings want it; the broker keeps for it what comes while it is away."""
    wanted = setup.settings.production
    if wanted is None:
        return None
    access = setup.settings.broker.access("wattline-centre")
    broker = ConfiguredBroker(
        replace(access, client_id=f"{access.client_id[:57]}-batches"),
        lambda address: PahoBroker(address, persistent=True, receive_maximum=_AT_ONCE),
    )
    return BatchIngest(broker=broker, manual=manual, aside=aside, approval=wanted.approval == "required")
