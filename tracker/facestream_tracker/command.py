"""`facestream tracker`: results in, tracks and audience figures out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facestream.commands.parameters import FollowStdin, MetricsHost, MetricsPort, Redis

if TYPE_CHECKING:
    import threading

    from facestream.bus.overview import Observer
    from facestream.settings import Settings
    from facestream_tracker.loop import Wish

HELP = """Make people of the faces in the results, and count them: tracks, and audience figures by the minute.

Reads the results of all cameras and publishes two streams, `tracks` and `audience`, and metrics. Start a
second one, here or elsewhere, and they share the work; each goes on where another died. Lines that people
cross are settings of the cameras: facestream cameras set lobby --line "door: 0.1,0.5 0.9,0.5"

Examples:

facestream tracker --redis redis://broker:6379/0 --metrics-port 9500

facestream tracker --min-group 5 --no-tracks
"""

WAIT_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    app.command("tracker", help=HELP)(tracker)


def tracker(
    redis: Redis = None,
    min_group: Annotated[
        int, typer.Option(help="Withhold audience figures of fewer people than this.", min=1, max=1000)
    ] = 1,
    with_tracks: Annotated[
        bool, typer.Option("--tracks/--no-tracks", help="Publish every track, or audience figures alone.")
    ] = True,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = None,
    follow_stdin: FollowStdin = False,
) -> int:
    from facestream.settings import load_settings
    from facestream.signals import end_with_owner, stop_on_signals
    from facestream_tracker.loop import Wish

    settings = load_settings(redis=redis, metrics_host=metrics_host)
    with stop_on_signals() as stop:
        if follow_stdin:
            end_with_owner(stop)
        _run(settings, Wish(min_group, with_tracks), metrics_port, stop, is_child=follow_stdin)
    return 0


def _run(
    settings: Settings, wish: Wish, metrics_port: int | None, stop: threading.Event, *, is_child: bool
) -> None:
    import os
    import secrets
    import socket
    import sys

    from prometheus_client import CollectorRegistry

    from facestream.bus.registry import Registry
    from facestream.bus.tracker_state import TrackerState
    from facestream.log import Log
    from facestream.metrics import serve_metrics
    from facestream.vitals import Health
    from facestream_tracker.hooks import Hooks
    from facestream_tracker.lines import RegisteredLines
    from facestream_tracker.loop import Loop
    from facestream_tracker.metrics import PrometheusHooks
    from facestream_tracker.notices import Notices, SignOfLife
    from facestream_tracker.vital_signs import LACKING_AT_START, VitalSigns

    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    registry, health = CollectorRegistry(), Health(LACKING_AT_START)
    log = Log("tracker", name, form=settings.log, lead=f"tracker {name}: ")
    hooks: list[Hooks] = [PrometheusHooks(registry), Notices(log), VitalSigns(health)]
    if is_child:
        hooks.append(SignOfLife(sys.stdout))
    if metrics_port is not None:
        serve_metrics(registry, metrics_port, settings.metrics_host, health=health)
    connection = _founded(settings, stop)
    if connection is None:
        return
    state_url = settings.state_redis_url or ""
    state = TrackerState(state_url, connection.keys, name)
    lines = RegisteredLines(lambda: Registry(state_url, prefix=settings.prefix))
    Loop(connection, state, lines, wish, hooks).run(stop)
    for each in (lines, state, connection):
        each.close()


def _founded(settings: Settings, stop: threading.Event) -> Observer | None:
    """The broker, as soon as somebody works there: before, nobody knows how many partitions there are."""
    from facestream.bus.overview import Observer
    from facestream.commands.options import require_redis

    has_said = False
    while not stop.is_set():
        connection = Observer(require_redis(settings), prefix=settings.prefix, partitions=settings.partitions)
        if connection.founded:
            return connection
        connection.close()
        if not has_said:
            typer.echo("facestream: no producer or worker was here yet; waiting for the first", err=True)
        has_said = True
        stop.wait(WAIT_SECONDS)
    return None
