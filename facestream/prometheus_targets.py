"""The file that Prometheus discovers workers from."""

from __future__ import annotations

import ipaddress
import json
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from facestream.errors import UsageError

STDOUT = "-"


def targets_of(addresses: Mapping[str, str], here: str | None = None) -> str:
    """Workers and their addresses in Prometheus' file_sd format, in the order of the names.

    An address of a machine's own loopback is for Prometheus on that machine alone: those of other hosts than
    `here` are left out.
    """
    here = socket.gethostname() if here is None else here
    groups = [
        {"targets": [address], "labels": {"worker": worker}}
        for worker, address in sorted(addresses.items())
        if not _is_loopback(address) or _host_of(worker) == here
    ]
    return json.dumps(groups, indent=2) + "\n"


def write_targets(text: str, where: str) -> None:
    """Replace the file in one step, or print; raises UsageError where it cannot be written."""
    if where == STDOUT:
        sys.stdout.write(text)
        return
    path = Path(where)
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            file.write(text)
        Path(file.name).chmod(0o644)  # Prometheus is another user
        Path(file.name).replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {where} ({error.strerror}): name another file") from None


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host_of(worker: str) -> str:
    """Of the host's name, the process and a few letters, which a worker's name is made of, the host's."""
    return worker.rsplit("-", 2)[0]
