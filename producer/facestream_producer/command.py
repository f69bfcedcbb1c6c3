"""`facestream producer`: capture sources and publish their frames."""

from __future__ import annotations

from typing import Annotated

import typer

from facestream.commands.parameters import FollowStdin, Redis

HELP = """Capture files, folders of images or a device, and publish every frame to the broker.

A file is lossless: it waits for the workers, and every frame that decodes gets a result. A device
is live: what the workers cannot take in time is dropped and counted.

Example:  facestream producer clips/*.mp4 --redis redis://broker:6379/0
"""


def register(app: typer.Typer) -> None:
    app.command("producer", help=HELP)(producer)


def producer(
    sources: Annotated[
        list[str], typer.Argument(help="Files, folders, quoted globs, a device such as /dev/video0, or demo:")
    ],
    redis: Redis = None,
    camera: Annotated[
        str | None, typer.Option(help="The camera's name, for a single source; a file's own name otherwise.")
    ] = None,
    attributes: Annotated[
        str | None, typer.Option(help="What workers shall say of each face; all they can unless given.")
    ] = None,
    max_side: Annotated[
        int | None, typer.Option(help="Longer side of the published frame, in pixels.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on after the last published frame of a file that was cut short."),
    ] = False,
    resume_after: Annotated[int, typer.Option("--resume-after", hidden=True)] = 0,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve Prometheus metrics here.", min=0, max=65535)
    ] = None,
    follow_stdin: FollowStdin = False,
) -> int:
    from prometheus_client import CollectorRegistry

    from facestream.bus.connection import Connection
    from facestream.commands.options import parse_attributes, require_redis
    from facestream.metrics import serve_metrics
    from facestream.settings import load_settings
    from facestream.signals import end_with_owner, stop_on_signals
    from facestream_producer.capture import Shape
    from facestream_producer.metrics import PrometheusHooks
    from facestream_producer.session import Session, name_cameras

    settings = load_settings(redis=redis, max_side=max_side)
    roles = None if attributes is None else parse_attributes(attributes)
    shape = Shape(settings.max_side, settings.jpeg_quality, settings.max_age_ms, roles)
    with stop_on_signals() as stop:
        if follow_stdin:
            end_with_owner(stop)
        connection = Connection(
            require_redis(settings), prefix=settings.prefix, partitions=settings.partitions
        )
        registry = CollectorRegistry()
        if metrics_port is not None:
            serve_metrics(registry, metrics_port)
        session = Session(
            connection,
            shape,
            PrometheusHooks(registry),
            stop,
            depth=settings.depth,
            resume=resume,
            resume_after=resume_after,
        )
        found, failed = session.expand(sources)
        if found:
            failed += session.run(found, name_cameras(found, camera))
        connection.close()
    return 1 if failed else 0
