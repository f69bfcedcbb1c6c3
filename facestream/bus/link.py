"""Carries out requests to the broker, waiting for each reply."""

from __future__ import annotations

from typing import Any

from facestream.bus.client import open_unchecked
from facestream.bus.overview import Observer
from facestream.bus.requests import Command, Contact, Together
from facestream.errors import BusUnavailable


class Link:
    """Nothing is sent before `open`. Raises SettingsError when `url` is no broker's address."""

    def __init__(self, url: str, prefix: str, partitions: int | None) -> None:
        open_unchecked(url).close()
        self._url, self._prefix, self._partitions = url, prefix, partitions
        self._connection: Observer | None = None

    def open(self) -> Contact:
        """Raises BusUnavailable when nothing answers, BusRefused when what answers cannot be used."""
        self.close()
        self._connection = Observer(self._url, prefix=self._prefix, partitions=self._partitions)
        clock_ms = max(int(server.get("server_time_usec", 0)) for server in self._connection.info()) // 1000
        connection = self._connection
        return Contact(connection.keys, connection.incarnation, connection.is_cluster, clock_ms)

    def perform(self, request: Command | Together) -> Any:
        if self._connection is None:
            raise BusUnavailable("the link to the broker is closed")
        if isinstance(request, Command):
            return self._connection.read(*request.words)
        return self._connection.read_together(request.commands, atomic=request.atomic)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
