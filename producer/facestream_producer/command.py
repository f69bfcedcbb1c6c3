"""`facestream producer`: capture sources and publish their frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from facestream.commands.parameters import FollowStdin, MetricsHost, Redis
from facestream.errors import UsageError

if TYPE_CHECKING:
    import threading

    from facestream.bus.connection import Connection
    from facestream.settings import Settings
    from facestream_producer.capture import Shape
    from facestream_producer.hooks import Hooks

HELP = """Capture cameras or files, and publish their frames to the broker.

Without a source it attaches the registered cameras (`facestream cameras`) in one process a core, sharing
them with every other producer that does so. With sources it captures those: files, folders of images, or
a device.

A file is lossless: it waits for the workers, and every frame that decodes gets a result. A device
is live: what the workers cannot take in time is dropped and counted.

Example:  facestream producer clips/*.mp4 --redis redis://broker:6379/0
"""


def register(app: typer.Typer) -> None:
    app.command("producer", help=HELP)(producer)


def producer(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]…",
            help="Files, folders, quoted globs, a device such as /dev/video0, or demo:; none: the registry.",
        ),
    ] = None,
    redis: Redis = None,
    camera: Annotated[
        str | None, typer.Option(help="The camera's name, for a single source; a file's own name otherwise.")
    ] = None,
    max_cameras: Annotated[
        int, typer.Option(help="Of the registry, hold so many cameras at most.", min=1, max=10_000)
    ] = 100,
    processes: Annotated[
        int | None,
        typer.Option(
            help="Share the registry's cameras among so many processes; unless given, one a core, and no more"
            " than one for every eight cameras.",
            min=1,
            max=256,
        ),
    ] = None,
    one_of: Annotated[int, typer.Option("--one-of", hidden=True)] = 1,
    attributes: Annotated[
        str | None, typer.Option(help="What workers shall say of each face; all they can unless given.")
    ] = None,
    max_side: Annotated[
        int | None, typer.Option(help="Longer side of the published frame, in pixels.")
    ] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play files at their own pace, as if they were cameras.")
    ] = False,
    loop: Annotated[bool, typer.Option("--loop", help="With --realtime, over and over.")] = False,
    fps: Annotated[
        float | None, typer.Option(help="With --realtime, frames a second at most.", min=0.1, max=120)
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on after the last published frame of a file that was cut short."),
    ] = False,
    resume_after: Annotated[int, typer.Option("--resume-after", hidden=True)] = 0,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            help="Serve Prometheus metrics here; process i of N on this port + i, restarts on this port + N.",
            min=0,
            max=65535,
        ),
    ] = None,
    metrics_host: MetricsHost = None,
    follow_stdin: FollowStdin = False,
) -> int:
    from facestream.commands.options import parse_attributes
    from facestream.settings import load_settings
    from facestream_producer.capture import Shape
    from facestream_producer.registered import run_processes, usual_processes

    settings = load_settings(redis=redis, max_side=max_side, metrics_host=metrics_host)
    if (loop or fps) and not realtime:
        raise UsageError("--loop and --fps go with --realtime: without it every frame of a file is sent once")
    if sources and processes:
        raise UsageError("--processes shares the registry's cameras: leave it out, or leave out the sources")
    roles = None if attributes is None else parse_attributes(attributes)
    share = Share(max_cameras, processes or usual_processes(max_cameras), one_of)
    if not sources and share.processes > 1:
        return run_processes(settings, share, attributes, metrics_port, follow_stdin=follow_stdin)
    shape = Shape(settings.max_side, settings.jpeg_quality, settings.max_age_ms, roles)
    how = How(resume, resume_after, fps, realtime, loop)
    return _run_here(sources or [], camera, how, share, settings, shape, metrics_port, follow_stdin)


class Share(NamedTuple):
    """Of the registry's cameras: how many to hold, in how many processes, and how many share them here."""

    max_cameras: int
    processes: int
    one_of: int


class How(NamedTuple):
    """Whether to go on with an epoch that was cut short, later than which one, and at which pace."""

    resume: bool
    resume_after: int
    fps: float | None
    realtime: bool
    loop: bool


def _run_here(
    sources: list[str],
    camera: str | None,
    how: How,
    share: Share,
    settings: Settings,
    shape: Shape,
    metrics_port: int | None,
    follow_stdin: bool,
) -> int:
    """Capture in this process, until all is sent or asked to stop; the exit status."""
    from prometheus_client import CollectorRegistry

    from facestream.bus.connection import Connection
    from facestream.commands.options import require_redis
    from facestream.metrics import serve_metrics
    from facestream.signals import end_with_owner, stop_on_signals
    from facestream.vitals import Health
    from facestream_producer.hooks import Several
    from facestream_producer.metrics import PrometheusHooks
    from facestream_producer.registered import carry_registered
    from facestream_producer.vital_signs import LACKING_AT_START, VitalSigns

    failed = 0
    with stop_on_signals() as stop:
        if follow_stdin:
            end_with_owner(stop)
        connection = Connection(
            require_redis(settings), prefix=settings.prefix, partitions=settings.partitions
        )
        registry, health = CollectorRegistry(), Health(LACKING_AT_START)
        if metrics_port is not None:
            serve_metrics(registry, metrics_port, settings.metrics_host, health=health)
        metrics = Several(PrometheusHooks(registry), VitalSigns(health))
        if sources:
            failed = _carry_sources(sources, camera, connection, shape, metrics, settings, how, stop)
        else:
            carry_registered(settings, share, connection, shape, metrics, stop)
        connection.close()
    return 1 if failed else 0


def _carry_sources(
    sources: list[str],
    camera: str | None,
    connection: Connection,
    shape: Shape,
    metrics: Hooks,
    settings: Settings,
    how: How,
    stop: threading.Event,
) -> int:
    """To the end of the sources; how many failed."""
    from facestream.log import Log
    from facestream_producer.attaching import Play
    from facestream_producer.session import Session, name_cameras

    session = Session(
        connection,
        shape,
        metrics,
        stop,
        depth=settings.depth,
        resume=how.resume,
        resume_after=how.resume_after,
        play=Play(how.fps, how.loop) if how.realtime else None,
        say=Log("producer", form=settings.log),
    )
    found, failed = session.expand(sources)
    if found:
        failed += session.run(found, name_cameras(found, camera))
    return failed
