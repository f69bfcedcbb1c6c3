"""`facestream producer` without sources: the registry's cameras, in as many processes as there are cores."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from facestream.address_policy import AddressPolicy
from facestream.bus.connection import Connection
from facestream.bus.registry import Registry
from facestream.commands.options import require_redis
from facestream.cores import usable_cores
from facestream.errors import BusError
from facestream.log import Log
from facestream.several import run_several
from facestream_producer.fleet import LEAVE_SECONDS, Fleet
from facestream_producer.turns import FEWEST_AT_ONCE, turns

if TYPE_CHECKING:
    from facestream.settings import Settings
    from facestream_producer.capture import Shape
    from facestream_producer.command import Share
    from facestream_producer.hooks import Hooks

CAMERAS_A_PROCESS = 8


def run_processes(
    settings: Settings, share: Share, attributes: str | None, metrics_port: int | None, *, follow_stdin: bool
) -> int:
    """Share the cameras among child processes, until asked to stop; the exit status."""
    url = require_redis(settings)
    # What is wrong with the broker is said here, once, before there are children to say it.
    Connection(url, prefix=settings.prefix, partitions=settings.partitions).close()
    parts = divided(share.max_cameras, share.processes)
    with _registry(settings) as cameras:
        _greet(Log("producer", form=settings.log), cameras, len(parts))
    asked = [] if attributes is None else ["--attributes", attributes]
    alike = ["producer", "--processes", "1", "--one-of", str(len(parts)), *asked]
    return run_several(
        "producer",
        [[*alike, "--max-cameras", str(part)] for part in parts],
        settings.as_environment(url),
        metrics_port=metrics_port,
        grace_seconds=LEAVE_SECONDS + 2,
        follow_stdin=follow_stdin,
    )


def usual_processes(max_cameras: int) -> int:
    """One a core, but none that would have hardly a camera: each takes its memory without any."""
    return min(len(usable_cores()), -(-max_cameras // CAMERAS_A_PROCESS))


def divided(cameras: int, processes: int) -> list[int]:
    """So many cameras among so many processes, as evenly as can be; a process without one is left out."""
    each, over = divmod(cameras, processes)
    return [share for number in range(processes) if (share := each + (number < over))]


def carry_registered(
    settings: Settings,
    share: Share,
    connection: Connection,
    shape: Shape,
    metrics: Hooks,
    stop: threading.Event,
) -> None:
    """The registry's cameras in this process, until asked to stop."""

    turns().limit(max(FEWEST_AT_ONCE, len(usable_cores()) // share.one_of))
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
    log = Log("producer", name, form=settings.log)
    with _registry(settings) as cameras:
        if share.one_of == 1:
            with suppress(BusError):  # the fleet says so, and waits
                _greet(log, cameras, 1)
        fleet = Fleet(
            connection,
            cameras,
            name,
            shape,
            metrics,
            log,
            stop,
            max_cameras=share.max_cameras,
            depth=settings.depth,
            beside=share.one_of - 1,
        )
        fleet.run()


def _registry(settings: Settings) -> Registry:
    url = settings.state_redis_url or require_redis(settings)
    return Registry(url, prefix=settings.prefix, policy=AddressPolicy.of(settings))


def _greet(log: Log, cameras: Registry, processes: int) -> None:
    """Say what there is to do; without a camera nothing else would be said, ever."""
    count = len(cameras.list())
    if count:
        text = f"cameras registered: {count}; shared by all producers, here by processes: {processes}"
    else:
        text = "no camera is registered: facestream cameras add NAME --url-file - adds one, at any time"
    log(text, event="started", cameras=count, processes=processes)
