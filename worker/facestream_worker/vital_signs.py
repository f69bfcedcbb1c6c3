"""A worker's health: ready once its models are warm and the broker knows it, healthy while its loop turns."""

from __future__ import annotations

from facestream.errors import BusError
from facestream.vitals import Health
from facestream_worker.hooks import Hooks

LOOP = "the frame loop"
LACKING_AT_START = {"models": "the models are not loaded yet", "broker": "the broker was not joined yet"}


class VitalSigns(Hooks):
    """Tells a Health what becomes of the frame loop; who loads the models says so himself."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def turned(self) -> None:
        self._health.beat(LOOP)

    def joined(self, broker_forgot: bool) -> None:
        self._health.have("broker")

    def bus_lost(self, error: BusError) -> None:
        self._health.lack("broker", str(error))
