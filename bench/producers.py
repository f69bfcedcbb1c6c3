"""`facestream producer` at work on a registry of looped files, and what its ledgers count."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from facestream.address_policy import AddressPolicy
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import Ledger, read_ledgers
from facestream.bus.overview import read_standings
from facestream.bus.registry import Registry
from facestream.camera_url import CameraUrl
from facestream.cameras import CameraSettings
from facestream.errors import FacestreamError
from facestream.supervisor import FACESTREAM

PATIENCE_SECONDS = 120.0
POLL_SECONDS = 0.05


class Studio:
    """A broker, a registry whose cameras are all this clip, and producers; none outlives the block."""

    def __init__(self, broker: EmbeddedBroker, registry: Registry, clip: Path) -> None:
        self.connection = Connection(broker.url)
        self._registry, self._clip = registry, clip
        self._environment = os.environ | {
            "FACESTREAM_REDIS": broker.url,
            "FACESTREAM_SOURCE_FOLDERS": str(clip.parent),
        }

    def add(self, names: Iterable[str], fps: float) -> None:
        url = CameraUrl.parse(f"file:{self._clip}", self._registry.policy)
        for name in names:
            self._registry.add(name, url, CameraSettings(fps=fps))

    @contextmanager
    def producer(self, processes: int) -> Iterator[psutil.Popen]:
        command = [*FACESTREAM, "producer", "--follow-stdin", "--processes", str(processes)]
        producer = psutil.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self._environment
        )
        try:
            yield producer
        finally:
            if producer.poll() is None:
                producer.terminate()
            producer.communicate()

    def ledgers(self, names: Sequence[str]) -> dict[str, Ledger]:
        return {ledger.camera: ledger for ledger in read_ledgers(self.connection, names)}

    def published(self, names: Sequence[str]) -> dict[str, int]:
        return {name: ledger.published for name, ledger in self.ledgers(names).items()}

    def held_by(self, names: Sequence[str], holder: str) -> list[str]:
        """The cameras whose open epoch is that of the producer whose name ends so."""
        standings = read_standings(self.connection, names)
        return [
            name
            for name, standing in standings.items()
            if standing.state == "open" and standing.holder.endswith(holder)
        ]

    def rates(self, names: Sequence[str], seconds: float) -> dict[str, float]:
        """Frames a second that each camera publishes in a while."""
        before, began = self.published(names), time.monotonic()
        time.sleep(seconds)
        after = self.published(names)
        took = time.monotonic() - began
        return {name: (after[name] - before[name]) / took for name in names}

    def wait_for_all(self, names: Sequence[str], more_than: int = 0) -> float:
        """Until each has published more than so many frames; the seconds it took."""
        return self.wait_until(
            lambda: min(self.published(names).get(name, 0) for name in names) > more_than,
            f"not all of {len(names)} cameras sent a frame",
        )

    def wait_until(self, condition: Callable[[], bool], otherwise: str) -> float:
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise FacestreamError(f"{otherwise} in {PATIENCE_SECONDS:g} s")
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began


@contextmanager
def studio(clip: Path) -> Iterator[Studio]:
    policy = AddressPolicy(folders=(clip.parent,))
    with EmbeddedBroker() as broker, Registry(broker.url, policy=policy) as registry:
        made = Studio(broker, registry, clip)
        try:
            yield made
        finally:
            made.connection.close()


def camera_names(count: int) -> list[str]:
    return [f"camera-{number:03}" for number in range(count)]
