"""`facestream worker`: take frames, publish results."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from facestream.commands.parameters import Engine, FollowStdin, MetricsHost, Redis

if TYPE_CHECKING:
    from facestream.settings import Settings
    from facestream_models import Analyser

# Threads that decode for a GPU, which one core's decoding would leave idle.
MOST_DECODERS = 8

HELP = """Take frames from the broker, find and describe the faces, publish one result a frame.

Start as many as there are cores, here or on other machines; each uses one core. They need no
settings of their own about cameras. Ctrl-C finishes the frames in hand and stops.

Example:  facestream worker --redis redis://broker:6379/0 --workers 4 --metrics-port 9100
"""


def register(app: typer.Typer) -> None:
    app.command("worker", help=HELP)(worker)


def worker(
    redis: Redis = None,
    workers: Annotated[int, typer.Option(help="How many worker processes to run.", min=1, max=1024)] = 1,
    attributes: Annotated[
        str, typer.Option(help="What to say of each face: none, or a list such as gender,age.")
    ] = "gender",
    batch: Annotated[int | None, typer.Option(help="Frames taken at a time, one of each camera.")] = None,
    engine: Engine = "auto",
    grace: Annotated[
        float | None, typer.Option(help="Seconds to finish the frames in hand when asked to stop.", min=0)
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            help="Serve Prometheus metrics here; worker i of N on this port + i, restarts on this port + N.",
            min=0,
            max=65535,
        ),
    ] = None,
    metrics_host: MetricsHost = None,
    follow_stdin: FollowStdin = False,
) -> int:
    from facestream.commands.options import parse_attributes, require_redis
    from facestream.settings import load_settings

    settings = load_settings(redis=redis, batch=batch, grace_seconds=grace, metrics_host=metrics_host)
    roles = parse_attributes(attributes)
    if workers > 1:
        return _run_several(settings, workers, attributes, engine, metrics_port, follow_stdin)
    require_redis(settings)
    # Before NumPy is loaded: N workers use N cores, one each.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    return _run_one(settings, roles, engine, metrics_port, follow_stdin)


def _run_one(
    settings: Settings, roles: tuple[str, ...], engine: str, metrics_port: int | None, follow_stdin: bool
) -> int:
    import secrets
    import socket
    import sys

    import cv2
    from prometheus_client import CollectorRegistry

    from facestream.bus.connection import Connection
    from facestream.bus.taker import Retention, Taker
    from facestream.commands.options import require_redis
    from facestream.cores import usable_cores
    from facestream.log import Log
    from facestream.metrics import serve_metrics
    from facestream.signals import end_with_owner, stop_on_signals
    from facestream.vitals import Health
    from facestream_worker.announcing import Announcing, address_of
    from facestream_worker.hooks import Hooks
    from facestream_worker.leaving import leave_after
    from facestream_worker.loop import run
    from facestream_worker.metrics import PrometheusHooks
    from facestream_worker.notices import Notices, SignOfLife
    from facestream_worker.pipeline import Pipeline
    from facestream_worker.vital_signs import LACKING_AT_START, VitalSigns

    cv2.setNumThreads(1)
    with stop_on_signals() as stop:
        if follow_stdin:
            end_with_owner(stop)
        connection = Connection(
            require_redis(settings), prefix=settings.prefix, partitions=settings.partitions
        )
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        registry, health = CollectorRegistry(), Health(LACKING_AT_START)
        log = Log("worker", name, form=settings.log, lead=f"worker {name}: ")
        notices = Notices(log, greets=not follow_stdin)
        hooks: list[Hooks] = [PrometheusHooks(registry, name), notices, VitalSigns(health)]
        if metrics_port is not None:
            port = serve_metrics(registry, metrics_port, settings.metrics_host, health=health)
            address = address_of(settings.metrics_host, port)
            hooks.append(Announcing(connection, name, address, log))
        analyser = _load(settings, roles, engine)
        health.have("models")
        notices.engine = analyser.engine
        if follow_stdin:
            hooks.append(SignOfLife(sys.stdout))
        taker = Taker(connection, name, Retention(settings.results_keep_seconds, settings.results_bytes))
        decoders = min(MOST_DECODERS, len(usable_cores())) if analyser.engine == "cuda" else 1
        pipeline = Pipeline(analyser, name, settings.max_attempts, decoders=decoders)
        leave_after(taker, stop, settings.grace_seconds)
        run(taker, pipeline, hooks, stop, batch_size=settings.batch)
        connection.close()
    return 0


def _load(settings: Settings, roles: tuple[str, ...], engine: str) -> Analyser:
    from facestream_models import Analyser
    from facestream_models.catalogue import load_catalogue
    from facestream_models.store import WeightsStore

    catalogue = load_catalogue(settings.catalogue)
    analyser = Analyser(
        roles,
        detector=catalogue.for_role("detector").name,
        engine=engine,
        min_face_px=settings.min_face_px,
        weights=WeightsStore(settings.weights),
        catalogue=catalogue,
    )
    analyser.warm()
    return analyser


def _run_several(
    settings: Settings,
    workers: int,
    attributes: str,
    engine: str,
    metrics_port: int | None,
    follow_stdin: bool,
) -> int:
    from facestream.bus.connection import Connection
    from facestream.commands.options import require_redis
    from facestream.several import run_several

    url = require_redis(settings)
    # A typing error shows at once; later on a broker may go away and come back.
    Connection(url, prefix=settings.prefix, partitions=settings.partitions).close()
    return run_several(
        "worker",
        [["worker", "--attributes", attributes, "--engine", engine]] * workers,
        settings.as_environment(url),
        metrics_port=metrics_port,
        grace_seconds=settings.grace_seconds + 1,
        follow_stdin=follow_stdin,
    )
