"""The ledger as Prometheus sees it: read at scrape time, never guessed, never stale."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from facestream.bus.ledger import Ledger, all_cameras, read_ledger
from facestream.bus.overview import Observer, Overview, Standing, read_overview, read_standings
from facestream.errors import BusRefused, BusUnavailable, FacestreamError
from facestream.exporter_metrics import broker_metrics, camera_metrics, up_metrics
from facestream.names import is_camera_name

CACHE_SECONDS = 1.0
READ_SECONDS = 8.0
"""Longest reading of all cameras; Prometheus itself gives up after ten seconds unless told otherwise."""


@dataclass(slots=True)
class Reading:
    """All that one scrape says. skipped: cameras and workers of impossible names or with broken ledgers."""

    overview: Overview
    ledgers: list[Ledger] = field(default_factory=list)
    standings: dict[str, Standing] = field(default_factory=dict)
    incarnation: str = ""
    skipped: int = 0


class LedgerCollector(Collector):
    """Every camera's ledger and the broker around it, for a Prometheus registry.

    `connect` makes an Observer, anew after each failure. A broker that is away or unfit gives
    `facestream_broker_up 0` and nothing else; `tell` gets one line when that changes. Scrapes within a
    second of each other share one reading, however many ask.
    """

    def __init__(self, connect: Callable[[], Observer], tell: Callable[[str], None]) -> None:
        self._connect, self._tell = connect, tell
        self._observer: Observer | None = None
        self._lock = threading.Lock()
        self._metrics: list[Metric] = []
        self._read_at = -CACHE_SECONDS
        self._trouble = ""

    @property
    def is_away(self) -> bool:
        """Whether the last reading failed."""
        return bool(self._trouble)

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not wait for the broker."""
        return ()

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if time.monotonic() - self._read_at >= CACHE_SECONDS:
                self._metrics = self._read()
                self._read_at = time.monotonic()
            metrics = self._metrics
        yield from metrics

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _read(self) -> list[Metric]:
        began = time.monotonic()
        try:
            reading = self._look(began + READ_SECONDS)
        except FacestreamError as error:
            return self._failed(str(error), began)
        except Exception as error:
            # A scrape is answered whatever lies in the broker; what it stumbled on is said, not thrown.
            return self._failed(f"unexpected {type(error).__name__} while reading the broker", began)
        self._say("")
        cameras = camera_metrics(reading.ledgers, reading.standings)
        broker = broker_metrics(reading.overview, reading.incarnation, reading.skipped)
        return [*up_metrics(is_up=True, seconds=time.monotonic() - began), *broker, *cameras]

    def _failed(self, reason: str, began: float) -> list[Metric]:
        self._drop()
        self._say(reason)
        return list(up_metrics(is_up=False, seconds=time.monotonic() - began))

    def _look(self, deadline: float) -> Reading:
        observer = self._connected()
        reading = Reading(read_overview(observer), incarnation=observer.incarnation)
        listed = all_cameras(observer)
        names = sorted(filter(is_camera_name, listed))
        reading.standings = read_standings(observer, names)
        for camera in names:
            if time.monotonic() > deadline:
                raise BusUnavailable(
                    f"the broker at {observer.address} is too slow: {len(reading.ledgers)} of {len(names)} "
                    f"cameras read in {READ_SECONDS:g} s"
                )
            try:
                reading.ledgers.append(read_ledger(observer, camera))
            except (BusRefused, ValueError):
                continue
        reading.skipped = len(listed) - len(reading.ledgers) + reading.overview.skipped
        return reading

    def _connected(self) -> Observer:
        """The connection there is, while the deployment it knows is still the one in the broker."""
        if self._observer is not None:
            # Also the first thing asked: never tried again, so that a dead broker is known at once.
            incarnation = self._observer.read_meta().get("incarnation", "")
            if incarnation and incarnation == self._observer.incarnation:
                return self._observer
            self._drop()
        self._observer = self._connect()
        return self._observer

    def _drop(self) -> None:
        if self._observer is not None:
            self._observer.close()
            self._observer = None

    def _say(self, trouble: str) -> None:
        if bool(trouble) != bool(self._trouble):
            self._tell(trouble or "the broker is back")
        self._trouble = trouble
