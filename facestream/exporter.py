"""The ledger as Prometheus sees it: read at scrape time, never guessed, never stale."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import Metric

from facestream.bus.ledger import Ledger, all_cameras, read_ledger
from facestream.bus.overview import Observer, Overview, Standing, read_overview, read_standings
from facestream.errors import BusRefused, BusUnavailable
from facestream.exporter_base import BrokerCollector
from facestream.exporter_metrics import broker_metrics, camera_metrics, up_metrics
from facestream.names import is_camera_name

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


class LedgerCollector(BrokerCollector[Observer]):
    """Every camera's ledger and the broker around it.

    A broker that is away or unfit gives `facestream_broker_up 0` and nothing else.
    """

    def read(self) -> Iterator[Metric]:
        began = time.monotonic()
        reading = self._look(began + READ_SECONDS)
        yield from camera_metrics(reading.ledgers, reading.standings)
        yield from broker_metrics(reading.overview, reading.incarnation, reading.skipped)
        yield from up_metrics(is_up=True, seconds=time.monotonic() - began)

    def down(self, seconds: float) -> Iterable[Metric]:
        return up_metrics(is_up=False, seconds=seconds, is_refused=self.is_refused)

    def describe_trouble(self, trouble: str) -> str:
        return trouble or "the broker is back"

    def _look(self, deadline: float) -> Reading:
        observer = self.connected()
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

    def connected(self) -> Observer:
        """The connection there is, while the deployment it knows is still the one in the broker."""
        if self._connection is not None:
            # Also the first thing asked: never tried again, so that a dead broker is known at once.
            incarnation = self._connection.read_meta().get("incarnation", "")
            if not incarnation or incarnation != self._connection.incarnation:
                self.drop()
        return super().connected()
