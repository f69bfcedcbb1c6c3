"""The broker as a process of its own: what it costs, told by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facestream.bus.connection import Connection
from facestream.cores import usable_cores


class Server:
    """The server behind a connection, on this machine."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._process = int(connection.read("INFO", "server")["process_id"])

    def cpu_seconds(self) -> float:
        """Processor time so far, user and system, to the microsecond; asking costs it some 30 of them."""
        spent = self._connection.read("INFO", "cpu")
        return float(spent["used_cpu_user"]) + float(spent["used_cpu_sys"])

    def memory(self) -> dict[str, Any]:
        memory: dict[str, Any] = self._connection.read("INFO", "memory")
        return memory

    def rss_bytes(self) -> int:
        return int(self.memory()["used_memory_rss"])

    def run_on(self, core: int) -> None:
        """All of its threads: those that write files or close connections too."""
        if hasattr(os, "sched_setaffinity"):
            for thread in Path(f"/proc/{self._process}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})


@contextmanager
def pinned() -> Iterator[tuple[int, int] | None]:
    """Keep this thread on the first core; that core and one for the server, None where there is no choice."""
    cores = usable_cores()
    if not hasattr(os, "sched_setaffinity") or len(cores) < 2:
        yield None
        return
    os.sched_setaffinity(0, {cores[0]})
    try:
        yield cores[0], cores[-1]
    finally:
        os.sched_setaffinity(0, cores)
