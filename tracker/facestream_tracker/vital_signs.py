"""A tracker's health: ready once the brokers know it, healthy while its loop turns."""

from __future__ import annotations

from facestream.errors import BusError
from facestream.vitals import Health
from facestream_tracker.hooks import Hooks

LOOP = "the tracking loop"
LACKING_AT_START = {"broker": "the broker was not joined yet"}


class VitalSigns(Hooks):
    """Tells a Health what becomes of the loop."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def turned(self) -> None:
        self._health.beat(LOOP)

    def began(self, partitions: int) -> None:
        self._health.have("broker")

    def bus_lost(self, error: BusError) -> None:
        self._health.lack("broker", str(error))
