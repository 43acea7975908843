"""What a centre does between levels: forwards to the one above it, takes in from those below, or both, or neither."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from starlette.routing import BaseRoute

from centre import api_levels, api_raw
from centre.books.file import Books
from centre.forwarding import Forwarder
from centre.forwarding_figures import ForwardedFigures
from centre.forwarding_raw import RawAnswers
from centre.forwarding_touched import Touched
from centre.manual import Manual
from centre.plant import Plant
from centre.points import Directory
from centre.settings import Setup
from centre.statement_books import StatementBooks
from centre.store.base import Store
from centre.upper import UpperFigures
from centre.upper_ingest import UpperIngest
from centre.upper_raw import RawRequests
from centre.upper_raw_ingest import RawIngest
from wattline.broker_access import BrokerAccess, ConfiguredBroker
from wattline.clock import Clock
from wattline.mqtt import PahoBroker

_AT_ONCE: Final = 16  # messages of up to 500 intervals


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelsOffice:
    """`routes` under /api/v1, to stand before its catch-all; `work` by name, each until cancelled."""

    routes: tuple[BaseRoute, ...]
    work: dict[str, Callable[[], Coroutine[None, None, None]]]


def open_levels(
    *, setup: Setup, plants: Mapping[str, Plant], store: Store, books: Books, clock: Clock, touched: Touched
) -> LevelsOffice:
    """What the keys `upper` and `levels` ask for. Raises ConfigError for a secret that cannot be had."""
    routes: list[BaseRoute] = []
    work: dict[str, Callable[[], Coroutine[None, None, None]]] = {}
    upper = setup.settings.upper
    if upper is not None:
        forwarder = Forwarder(
            name=upper.name,
            sites=tuple(plants),
            figures=ForwardedFigures(
                store=store,
                clock=clock,
                plants=plants,
                entities=StatementBooks(books=books).entities,
                grains=upper.grains,
            ),
            books=books,
            broker=_broker(upper.broker.access(f"wattline-centre-{upper.name}"), "", persistent=False),
            clock=clock,
        )
        answers = RawAnswers(
            name=upper.name,
            plants=plants,
            store=store,
            directory=Directory(store, clock),
            books=books,
            broker=_broker(upper.broker.access(f"wattline-centre-{upper.name}"), "-raw", persistent=False),
            clock=clock,
            rule=None if upper.raw is None else upper.raw.rule(),
        )
        routes += [*api_levels.forwarding_routes(forwarder), *api_raw.answer_routes(answers)]
        work |= {
            "forward-gather": partial(forwarder.gather, touched),
            "forward": forwarder.run,
            "raw-answers": answers.run,
        }
    if setup.levels is not None:
        access = setup.settings.broker.access("wattline-centre")
        dead_letters = setup.store.parent / "dead-letters-levels"
        ingest = UpperIngest(
            broker=_broker(access, "-levels", persistent=True),
            books=books,
            clock=clock,
            dead_letters=dead_letters,
        )
        requests = RawRequests(books=books, clock=clock, sites=setup.levels.members.keys())
        raw = RawIngest(
            broker=_broker(access, "-raw", persistent=True), requests=requests, clock=clock, dead_letters=dead_letters
        )
        manual = Manual(books=books, clock=clock, plants=setup.levels.members, factors=setup.factors)
        figures = UpperFigures(books=books, clock=clock, levels=setup.levels, factors=setup.factors, manual=manual)
        routes += [*api_levels.routes(figures), *api_raw.request_routes(requests)]
        work |= {"levels": ingest.run, "raw": raw.run}
    return LevelsOffice(routes=tuple(routes), work=work)


def _broker(access: BrokerAccess, suffix: str, *, persistent: bool) -> ConfiguredBroker:
    """A connection of its own, known to the broker by the client id with `suffix`."""
    access = replace(access, client_id=f"{access.client_id[: 64 - len(suffix)]}{suffix}")
    return ConfiguredBroker(
        access, lambda address: PahoBroker(address, persistent=persistent, receive_maximum=_AT_ONCE)
    )
