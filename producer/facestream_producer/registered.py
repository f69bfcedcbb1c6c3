"""`facestream producer` without sources: the registry's cameras, in as many processes as there are cores."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from typing import TYPE_CHECKING

from facestream.address_policy import AddressPolicy
from facestream.bus.connection import Connection
from facestream.bus.registry import Registry
from facestream.commands.options import require_redis
from facestream.cores import usable_cores
from facestream.log import Log
from facestream.several import run_several
from facestream_producer.fleet import LEAVE_SECONDS, Fleet
from facestream_producer.turns import FEWEST_AT_ONCE, turns

if TYPE_CHECKING:
    from facestream.settings import Settings
    from facestream_producer.capture import Shape
    from facestream_producer.command import Share
    from facestream_producer.hooks import Hooks


def run_processes(
    settings: Settings, share: Share, attributes: str | None, metrics_port: int | None, *, follow_stdin: bool
) -> int:
    """Share the cameras among child processes, until asked to stop; the exit status."""
    url = require_redis(settings)
    # What is wrong with the broker is said here, once, before there are children to say it.
    Connection(url, prefix=settings.prefix, partitions=settings.partitions).close()
    parts = divided(share.max_cameras, share.processes)
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
    state_url = settings.state_redis_url or require_redis(settings)
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
    with Registry(state_url, prefix=settings.prefix, policy=AddressPolicy.of(settings)) as cameras:
        fleet = Fleet(
            connection,
            cameras,
            name,
            shape,
            metrics,
            Log("producer", name, form=settings.log),
            stop,
            max_cameras=share.max_cameras,
            depth=settings.depth,
            beside=share.one_of - 1,
        )
        fleet.run()
