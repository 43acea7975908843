"""The centre as one process: store, ingest, ledger and HTTP on one loop; started, watched and stopped together."""

import asyncio
import signal
import socket
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

import uvicorn
from starlette.applications import Starlette

from centre import api, api_bills, api_reports, web, web_books
from centre.api_closing import closing_routes
from centre.api_entities import entity_routes
from centre.batch_ingest import BatchIngest
from centre.bills import Bills
from centre.books.file import Books
from centre.brokers import brokers_of, retire
from centre.closing import Closings
from centre.closing_figures import StatementFigures
from centre.closing_rules import load_closing_rules
from centre.entities_kept import EntityBook
from centre.figures import Figures
from centre.forwarding_touched import shared
from centre.ingest import Ingest
from centre.known_hosts import KnownHosts
from centre.ledger import Ledger
from centre.office import open_office
from centre.outlet_readings import OutletReadings
from centre.points import Directory
from centre.report.reports import reports
from centre.settings import Setup
from centre.statement_books import StatementBooks
from centre.statements import Statements
from centre.store.sqlite import SqliteStore
from centre.until_stopped import UntilStopped
from centre.upper_office import open_levels
from metering.parcel import Received
from wattline.cancellation import end
from wattline.clock import Clock, SystemClock
from wattline.events import EventLog
from wattline.resources import config_dir
from wattline.service import Notifier, Watchdog
from wattline.time_sync import synchronised

_GOODBYE_S: Final = 2
_WORK_WITHIN_S: Final = 60.0
_STATUS_EVERY_S: Final = 10.0


Work = Callable[[], Coroutine[None, None, None]]
"""A task of the centre that runs until it is cancelled, or until it is done."""


class ListenError(Exception):
    """The address to listen on cannot be had; the message names it."""


async def run(setup: Setup) -> None:
    """Serve until SIGTERM or SIGINT; raises StoreUnusable, ListenError or ConfigError when it cannot begin."""
    log, clock = EventLog(), SystemClock()
    notifier = Notifier()
    watchdog = Watchdog(notifier, clock, log)
    async with SqliteStore(setup.store) as store, Books(setup.books, clock) as books:
        entities = EntityBook(books, clock, setup.plants)
        await entities.take_over(setup.entities, log)
        await entities.refresh()
        directory = Directory(store, clock)
        figures = Figures(store=store, clock=clock, plants=entities.today, factors=setup.factors, directory=directory)
        statements = Statements(
            store=store,
            clock=clock,
            plants=entities.today,
            rules=setup.rules,
            directory=directory,
            books=StatementBooks(books=books),
        )
        outlets = OutletReadings(plants=entities.today, rules=setup.rules)
        ingest = _ingest(setup, store, clock, watchdog, outlets.note)
        ledger = Ledger(store=store, clock=clock, plants=entities.ever.values(), directory=Directory(store, clock))
        closings = Closings(
            store=store,
            books=books,
            clock=clock,
            plants=entities.today,
            maker=StatementFigures(statements),
            limit=load_closing_rules(config_dir() / "closing.yaml").completeness,
            follows=partial(entities.followed, ledger.follows),
        )
        office = open_office(
            setup=setup, plants=entities.today, store=store, books=books, clock=clock, directory=directory
        )
        touched, touched_too = shared([ledger, entities], 2)
        levels = open_levels(
            setup=setup, plants=entities.today, store=store, books=books, clock=clock, touched=touched_too
        )
        site = Starlette(
            routes=[
                *office.routes,
                *levels.routes,
                *api_reports.routes(reports(statements)),
                *api_bills.routes(Bills(statements=statements)),
                *entity_routes(entities),
                *closing_routes(closings),
                *api.routes(figures, partial(_health, ingest, office.batches)),
                *web_books.routes(statements, office.alarms, closings, office.desk),
                *web.routes(figures),
            ]
        )
        work: dict[str, Work] = {
            "ingest": ingest.run,
            "retire": lambda: retire(setup.settings, clock),
            "entities": entities.run,
            "ledger": ledger.run,
            "closings": lambda: closings.run(shared([touched, outlets], 1)[0]),
            **office.work,
            **levels.work,
            "watchdog": watchdog.run,
            "status": lambda: _report(notifier, ingest),
        }
        await _serve(setup, site, work, notifier, log)
    log.info("centre.stopped")
    notifier.close()


def _ingest(
    setup: Setup, store: SqliteStore, clock: Clock, watchdog: Watchdog, on_stored: Callable[[Sequence[Received]], None]
) -> Ingest:
    """The ingest with all its workers, each of them watched."""

    def at_work(worker: int) -> None:
        watchdog.promise(f"ingest:{worker}", _WORK_WITHIN_S)

    broker, *more = brokers_of(setup.settings)
    for worker in range(1, len(more) + 2):
        at_work(worker)
    return Ingest(
        broker=broker,
        more=more,
        store=store,
        clock=clock,
        dead_letters=setup.store.parent / "dead-letters",
        on_work=at_work,
        on_stored=on_stored,
        synchronised=synchronised,
    )


def _health(ingest: Ingest, batches: BatchIngest | None) -> Mapping[str, object]:
    told = {} if batches is None else {"batches": batches.taken, "refused_batches": batches.refused}
    return {
        "broker": "connected" if ingest.connected else "connecting",
        "workers": f"{ingest.connected} of {1 + len(ingest.more)} connected",
        "refused_messages": ingest.counts.refused,
        "refused_readings": ingest.counts.refused_readings,
        **told,
    }


async def _serve(setup: Setup, site: Starlette, work: Mapping[str, Work], notifier: Notifier, log: EventLog) -> None:
    """`site` and `work`, started, watched and ended together."""
    with _listening(setup.settings.host, setup.settings.port) as listener:
        stopped = _stop_signal()
        server = _Server(_server_config(UntilStopped(KnownHosts(site, setup.settings.names), stopped)))
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(server.serve([listener]), name="http")
            running = [tasks.create_task(begin(), name=name) for name, begin in work.items()]
            running.append(stop := tasks.create_task(_until(stopped), name="stop"))
            await _started(server, serving)
            host, port = listener.getsockname()[:2]
            log.info("centre.started", address=f"http://{host}:{port}/", store=str(setup.store))
            notifier.ready()
            await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
            notifier.stopping()
            log.info("centre.stopping")
            server.should_exit = True
            await end(running)


async def _until(stopped: asyncio.Event) -> None:
    await stopped.wait()


class _Server(uvicorn.Server):
    """Leaves the signals to us: the whole centre stops, not only its HTTP part."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _server_config(site: UntilStopped) -> uvicorn.Config:
    return uvicorn.Config(
        site,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_GOODBYE_S,
        limit_concurrency=200,
        server_header=False,
    )


@contextmanager
def _listening(host: str, port: int) -> Generator[socket.socket]:
    """A socket bound before anything else starts, so that a taken port is told at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        yield listener
    except OSError as err:
        raise ListenError(f"listen: {host}:{port}: {err.strerror}") from err
    finally:
        listener.close()


async def _started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)


def _stop_signal() -> asyncio.Event:
    """Set by SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(ValueError):  # not in the main thread: a test stops us otherwise
            loop.add_signal_handler(number, stopped.set)
    return stopped


async def _report(notifier: Notifier, ingest: Ingest) -> None:
    """A line for `systemctl status`, kept up to date."""
    while True:
        counts = ingest.counts
        state = "connected to the broker" if ingest.connected else "waiting for the broker"
        notifier.status(f"{state}; {counts.readings} readings stored since the start, {counts.refused} refused")
        await asyncio.sleep(_STATUS_EVERY_S)
