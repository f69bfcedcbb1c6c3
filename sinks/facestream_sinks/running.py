"""Runs a sink as a process: its settings, its place in the broker, its log and metrics, and its end."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from platformdirs import user_state_path
from prometheus_client import CollectorRegistry

from facestream.commands.options import require_redis
from facestream.errors import UsageError
from facestream.log import Log, hear
from facestream.metrics import serve_metrics
from facestream.names import check_camera_name
from facestream.results.reader import ResultReader
from facestream.settings import Settings, load_settings
from facestream.signals import stop_on_signals
from facestream.vitals import Health
from facestream_sinks.hooks import Several
from facestream_sinks.intake import Intake
from facestream_sinks.loop import Patience, run
from facestream_sinks.metrics import PrometheusHooks
from facestream_sinks.notices import Notices
from facestream_sinks.parameters import Common
from facestream_sinks.parking import Parking
from facestream_sinks.readiness import Readiness
from facestream_sinks.sink import Sink

# What a sink elsewhere had in hand when it died is another's then; its successor here takes it up at once.
ADOPT_AFTER_SECONDS = 15.0
# Longer than the five minutes that a receiver may ask us to wait.
STUCK_SECONDS = 360.0
_AGO = re.compile(r"([0-9]{1,9})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

MakeSink = Callable[[Settings, Callable[[str], None]], Sink]


def carry(common: Common, kind: str, destination: str, make_sink: MakeSink) -> int:
    """Make the sink and carry results to it until a signal asks to stop.

    destination: what tells this receiver from others; it names the group unless the user did.
    Raises UsageError for settings that cannot be, BusRefused where the broker will not let us read.
    """
    settings = load_settings(redis=common.redis, metrics_host=common.metrics_host)
    start = parse_start(common.start)
    cameras = sorted({check_camera_name(camera) for camera in common.cameras or []})
    group = common.group or name_group(kind, destination, cameras)
    say = Log("sink", group, form=settings.log)
    with stop_on_signals() as stop, closing(make_sink(settings, say)) as sink:
        registry = CollectorRegistry()
        notices = Notices(say)
        health = Health(pulse_seconds=STUCK_SECONDS)
        hooks = Several(notices, PrometheusHooks(registry), Readiness(health))
        if common.metrics_port is not None:
            serve_metrics(registry, common.metrics_port, settings.metrics_host, health=health)
        hear("facestream.results", say)
        reader = _reader(settings, group, cameras, start)
        parking = Parking(common.parked or user_state_path("facestream") / f"parked-{group}.jsonl")
        say(f"sink to {sink.shown}: group {group}, of {', '.join(cameras) or 'all cameras'}")
        with reader:
            run(Intake(reader, hooks), sink, parking, hooks, Patience(stop, settings.grace_seconds))
        say(notices.summary())
    return 0


def _reader(settings: Settings, group: str, cameras: Sequence[str], start: str | timedelta) -> ResultReader:
    return ResultReader(
        require_redis(settings),
        group=group,
        consumer=_own_name(),
        cameras=cameras or None,
        start=start,
        auto_acknowledge=False,
        adopt_after_seconds=ADOPT_AFTER_SECONDS,
        prefix=settings.prefix,
        partitions=settings.partitions,
    )


def name_group(kind: str, destination: str, cameras: Sequence[str]) -> str:
    """The same for the same receiver and cameras; two sinks that differ in either do not share results."""
    told_apart = "\n".join([destination, *cameras])
    return f"sink-{kind}-{hashlib.sha256(told_apart.encode(errors='replace')).hexdigest()[:8]}"


def parse_start(text: str) -> str | timedelta:
    match = _AGO.fullmatch(text)
    if match:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    if text not in ("latest", "earliest"):
        raise UsageError(f"--start {text!r}: latest, earliest, or so long ago, such as 90s, 10m, 2h or 1d")
    return text


def _own_name() -> str:
    """The same for whoever comes after us here, who takes up at once what we had in hand."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:60].strip("._-") or "sink"


def absolute(path: Path) -> str:
    return str(path.absolute())
