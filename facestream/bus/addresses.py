"""Where workers serve their metrics, so that Prometheus can be told."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from facestream.bus.connection import Connection
from facestream.errors import BusRefused

_PAGE: Final = 500
_MAX_WORKERS: Final = 10_000
_MAX_NAME: Final = 128
_MAX_ADDRESS: Final = 128
# Prometheus asks whatever stands here: a host and a port, and nothing that could be more than that.
_ADDRESS = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})")
_MAX_PORT: Final = 65_535


def is_address(text: str) -> bool:
    """Whether it is `host:port` or `[IPv6]:port`."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and len(text) <= _MAX_ADDRESS and 1 <= int(found[1]) <= _MAX_PORT


def announce(connection: Connection, worker: str, address: str) -> None:
    """Say that a worker's metrics are at `address`; it has to be said again after the broker forgot."""
    keys = connection.keys
    if not connection.call("announce", [keys.about, keys.workers(0)], [worker, address]):
        raise BusRefused(f"the broker at {connection.address} holds something else under {keys.about}")


def read_addresses(connection: Connection, workers: Collection[str]) -> dict[str, str]:
    """The addresses that those of the workers gave who serve metrics; what is no address is left out."""
    found: dict[str, str] = {}
    cursor, seen = b"0", 0
    while seen < _MAX_WORKERS:
        arguments = [cursor, _PAGE, _MAX_NAME, _MAX_ADDRESS]
        cursor, _left_out, flat = connection.call("roster", [connection.keys.about], arguments)
        for raw, value in zip(flat[::2], flat[1::2], strict=True):
            worker, address = raw.decode(errors="replace"), value.decode(errors="replace")
            if worker in workers and is_address(address):
                found[worker] = address
        seen += max(1, len(flat) // 2)
        if cursor == b"0":
            break
    return found
