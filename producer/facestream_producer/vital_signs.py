"""A producer's health: ready while the broker and the registry answer, healthy while its loops turn."""

from __future__ import annotations

from facestream.errors import BusFull, BusUnavailable, FacestreamError
from facestream.vitals import Health
from facestream_producer.hooks import Hooks

LACKING_AT_START = {"broker": "the broker was not reached yet"}


class VitalSigns(Hooks):
    """Tells a Health what becomes of the producer's loops, and whether frames can be published."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def watched(self, loop: str) -> None:
        self._health.beat(loop)

    def left(self, loop: str) -> None:
        self._health.rest(loop)

    def reached(self) -> None:
        self._health.have("broker")

    def published(self, size_bytes: int) -> None:
        self._health.have("broker")

    def troubled(self, error: FacestreamError) -> None:
        if isinstance(error, BusUnavailable | BusFull):
            self._health.lack("broker", str(error))


class Turning(Hooks):
    """Says of one source's loop that it turns. A registered camera has states of its own instead."""

    def __init__(self, hooks: Hooks, loop: str) -> None:
        self._hooks, self._loop = hooks, loop

    def turned(self) -> None:
        self._hooks.watched(self._loop)
