"""One command in several processes: started beside each other, watched, and ended together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facestream.log import VARIABLE, Form, Log
from facestream.metrics import RestartCounter, serve_metrics
from facestream.signals import end_with_owner, stop_on_signals
from facestream.supervisor import GRACE_SECONDS, Supervisor
from facestream.vitals import Health

POLL_SECONDS = 0.1


def run_several(
    kind: str,
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str],
    *,
    metrics_port: int | None = None,
    grace_seconds: float = GRACE_SECONDS,
    follow_stdin: bool = False,
) -> int:
    """Run the commands as children `kind-0`, `kind-1`, … until asked to stop; the exit status.

    One that dies is started again. One that cannot start ends them all: it has said why, and the others
    would say the same. metrics_port: child i of N serves on this port + i, restarts are on this port + N;
    of 0 each takes a free one.
    """
    restarts, health = RestartCounter(), Health()
    if metrics_port is not None:
        host = environment.get("FACESTREAM_METRICS_HOST", "127.0.0.1")
        serve_metrics(restarts.registry, _port(metrics_port, len(commands)), host, health=health)
    form: Form = "json" if environment.get(VARIABLE) == "json" else "console"
    relay = Log("facestream", form=form).relay
    with stop_on_signals() as stop, Supervisor(relay, environment, on_restart=restarts.count) as children:
        if follow_stdin:
            end_with_owner(stop, grace_seconds)
        for number, command in enumerate(commands):
            port = [] if metrics_port is None else ["--metrics-port", str(_port(metrics_port, number))]
            children.start(f"{kind}-{number}", [*command, *port], restart=True)
        while not stop.wait(POLL_SECONDS):
            health.beat("the watch over child processes")
            if children.check():
                return 1
        children.stop(grace_seconds)
    return 0


def _port(first: int, number: int) -> int:
    return first and first + number
