"""`facestream exporter`: the ledger of every camera, for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

    from facestream.bus.overview import Observer
    from facestream.bus.registry import Registry
    from facestream.exporter import LedgerCollector
    from facestream.log import Level, Say
    from facestream.vitals import Health

HELP = """Serve every camera's ledger to Prometheus, at http://host:port/metrics.

Captured, published, results, drops by reason, frames in flight and unread, ages of results, workers, the
broker's memory, and what the ledger cannot account for; of registered cameras also their states. Read when
scraped, at most once a second. While the broker is away there is `facestream_broker_up 0` and no other
figure of it. One exporter a broker is enough.

Example:  facestream exporter --redis redis://broker:6379/0 --host 0.0.0.0

Then:     curl -s localhost:9109/metrics | grep unaccounted
"""


def register(app: typer.Typer) -> None:
    app.command("exporter", help=HELP)(exporter)


def exporter(
    port: Annotated[int, typer.Option(help="Serve here; 0 takes a free one.", min=0, max=65_535)] = 9109,
    host: Annotated[
        str, typer.Option(help="The address to listen on: 0.0.0.0 or :: for other machines to scrape.")
    ] = "127.0.0.1",
    redis: Annotated[
        str | None,
        typer.Option(
            help="The broker, as redis://, rediss:// or unix://; or set FACESTREAM_REDIS.", metavar="URL"
        ),
    ] = None,
) -> int:
    from facestream.bus.overview import Observer
    from facestream.bus.registry import Registry
    from facestream.commands.options import require_redis
    from facestream.exporter import LedgerCollector
    from facestream.exporter_cameras import CameraCollector
    from facestream.log import OWN, Log
    from facestream.settings import load_settings
    from facestream.signals import stop_on_signals

    settings = load_settings(redis=redis)
    url = require_redis(settings)

    def connect() -> Observer:
        return Observer(url, prefix=settings.prefix, partitions=settings.partitions)

    state_url = settings.state_redis_url or url

    def connect_registry() -> Registry:
        return Registry(state_url, prefix=settings.prefix)

    with stop_on_signals() as stop:
        _refuse_unfit(connect)
        log = Log("exporter", form=settings.log, lead=OWN)
        said = _Said(log)
        ledgers = LedgerCollector(connect, said.tell)

        def tell(line: str) -> None:
            log(line, event="registry", level=_level(line))

        states = CameraCollector(connect_registry, tell, lambda: state_url == url and ledgers.is_away)
        _serve([ledgers, states], _health_of(ledgers, said), host, port, stop, log)
        ledgers.close()
        states.close()
    return 0


class _Said:
    """Tells a line, and remembers it."""

    def __init__(self, say: Say) -> None:
        self._say, self.last = say, ""

    def tell(self, line: str) -> None:
        self.last = line
        self._say(line, event="broker", level=_level(line))


def _level(line: str) -> Level:
    return "info" if line.endswith(" is back") else "warning"


def _health_of(ledgers: LedgerCollector, said: _Said) -> Health:
    """Ready while readings are good. Whoever asks causes one, so that it need not be scraped before."""
    from facestream.vitals import Health

    def read() -> None:
        with health.during("a reading of the broker"):
            for _metric in ledgers.collect():
                pass
        if ledgers.is_away:
            health.lack("reading", said.last)
        else:
            health.have("reading")

    health = Health(refresh=read)
    return health


def _refuse_unfit(connect: Callable[[], Observer]) -> None:
    """A broker that is away may come back; one that refuses us is better said at once."""
    from facestream.errors import BusUnavailable

    try:
        connect().close()
    except BusUnavailable:
        return


def _serve(
    collectors: Sequence[Collector], health: Health, host: str, port: int, stop: threading.Event, say: Say
) -> None:
    """Until `stop`; raises SettingsError when the address cannot be had."""
    from prometheus_client import CollectorRegistry

    from facestream.errors import SettingsError
    from facestream.metrics import open_server

    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    try:
        server = open_server(registry, port, host, health)
    except OSError as error:
        raise SettingsError(
            f"cannot serve on --host {host} --port {port} ({error.strerror}): choose another"
        ) from None
    at = f"[{host}]" if ":" in host else host
    say(f"metrics at http://{at}:{server.server_port}/metrics", event="serving")
    stop.wait()
    server.shutdown()
    server.server_close()
