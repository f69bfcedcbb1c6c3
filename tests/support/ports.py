"""Ports for servers that cannot choose their own."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port on loopback that is free now; kept low enough that a cluster's second port fits too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55_000:
            return port
