"""What is done with the books while the centre runs: the routes that write to them, and the work that never ends."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

from starlette.routing import BaseRoute

from centre import api_alarms, api_certificates, api_manual
from centre.alarm_watch import AlarmWatch
from centre.books.file import Books
from centre.management import Management
from centre.manual import Manual
from centre.plant import Plant
from centre.points import Directory
from centre.settings import Setup
from centre.store.base import Store
from centre.web_i18n import load_words
from wattline.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """`routes` under /api/v1, to stand before its catch-all; `work` by name, each until cancelled."""

    alarms: AlarmWatch
    routes: tuple[BaseRoute, ...]
    work: dict[str, Callable[[], Coroutine[None, None, None]]]


def open_office(
    *, setup: Setup, plants: Mapping[str, Plant], store: Store, books: Books, clock: Clock, directory: Directory
) -> Office:
    """Everything that works on the books. Raises ConfigError for a broken catalogue of words."""
    below: Mapping[str, Plant] = {} if setup.levels is None else setup.levels.members
    manual = Manual(books=books, clock=clock, plants={**below, **plants}, factors=setup.factors)
    watch = AlarmWatch(
        management=Management(store=store, clock=clock, rules=setup.rules, directory=directory),
        books=books,
        clock=clock,
        plants=plants,
        rules=setup.rules,
        words=load_words(),
    )
    return Office(
        alarms=watch,
        routes=(*api_manual.routes(manual), *api_alarms.routes(watch), *api_certificates.routes(books)),
        work={"alarms": watch.run},
    )
