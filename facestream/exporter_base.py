"""What is read at scrape time: over a connection made anew when it failed, once for all who ask."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from facestream.errors import BusRefused, FacestreamError

CACHE_SECONDS = 1.0


class Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class BrokerCollector(Collector, Generic[C]):
    """Metrics for a Prometheus registry; scrapes within a second share one reading, however many ask.

    `connect` makes the connection, anew after each failure. `tell` gets one line when the readings begin to
    fail, and one when they are well again.
    """

    def __init__(self, connect: Callable[[], C], tell: Callable[[str], None]) -> None:
        self._connect, self._tell = connect, tell
        self._connection: C | None = None
        self._lock = threading.Lock()
        self._metrics: list[Metric] = []
        self._read_at = float("-inf")
        self._trouble = ""
        self.is_refused = False
        """Whether the last reading failed because the broker does not want us, or we not it."""

    @abstractmethod
    def read(self) -> Iterable[Metric]:
        """All that one scrape says."""

    @abstractmethod
    def down(self, seconds: float) -> Iterable[Metric]:
        """What is said instead when reading failed, after so many seconds."""

    @abstractmethod
    def describe_trouble(self, trouble: str) -> str:
        """A reason as `tell` gets it; "" when there is none any more."""

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
                self._metrics = self.read_or_fail()
                self._read_at = time.monotonic()
            metrics = self._metrics
        yield from metrics

    def close(self) -> None:
        with self._lock:
            self.drop()

    def drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def connected(self) -> C:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def read_or_fail(self) -> list[Metric]:
        """What there is to say now, whatever happens."""
        began, self.is_refused = time.monotonic(), False
        try:
            metrics, trouble = list(self.read()), ""
        except FacestreamError as error:
            metrics, trouble, self.is_refused = [], str(error), isinstance(error, BusRefused)
        except Exception as error:
            # A scrape is answered whatever lies in the broker; what it stumbled on is said, not thrown.
            metrics, trouble = [], f"unexpected {type(error).__name__} while reading"
        if trouble:
            self.drop()
            metrics = list(self.down(time.monotonic() - began))
        if bool(trouble) != bool(self._trouble):
            self._tell(self.describe_trouble(trouble))
        self._trouble = trouble
        return metrics
