"""Cameras that stay attached: what reconnecting leaves behind, and how soon a camera is back.

    python -m bench.attached                          all of it, in about three minutes
    python -m bench.attached --reconnects 100         quicker

*Reconnects*: a camera on loopback that cuts every connection short, at once, in the middle of a picture,
after some, over and over; memory, threads and open files of this process before and after. *Back*: an RTSP
server is killed and started again, and the clock runs from when it answers to the first frame, the pause
between tries left out. *Taken over*: of two producers one is killed, and the clock runs until the other has
sent a frame of each of its cameras. *One more*: a camera is added to ninety-nine, whose rates and epochs are
watched.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import psutil

from bench.bench import Bench
from bench.clips import as_a_camera
from bench.cut_server import cut_server
from bench.producers import Studio, camera_names, studio
from bench.rtsp_server import RtspServer
from facestream.address_policy import AddressPolicy
from facestream.backoff import Backoff
from facestream.camera_state import CameraState
from facestream.camera_url import CameraUrl
from facestream_bench.frames import positive
from facestream_bench.report import Figure, Report, at_least, at_most
from facestream_producer.live import LiveSource

# A hundred of these leave a core idle: what one more does is to be seen, and not what too many do.
SCENE = "demo:seconds=4,fps=10"
SIZE = (160, 90)
ANYWHERE = AddressPolicy(allow_loopback=True)
# So often it is done before the first look: libraries load, pools fill.
WARM = 100
FPS = 5.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reconnects", type=positive, default=1000, help="how many are measured")
    parser.add_argument("--returns", type=positive, default=10, help="times the RTSP server comes back")
    parser.add_argument("--takeovers", type=positive, default=3, help="producers killed, one after the other")
    parser.add_argument("--taken", type=positive, default=8, help="cameras that two producers share")
    parser.add_argument("--cameras", type=positive, default=99, help="cameras before one more is added")
    parser.add_argument("--seconds", type=float, default=10.0, help="for which rates are counted")


def measure(options: argparse.Namespace, command: str) -> Report:
    names = ("reconnects", "returns", "takeovers", "taken", "cameras", "seconds")
    settings = {name: getattr(options, name) for name in names}
    report = Report("attached", "Cameras that stay attached", command, settings)
    with tempfile.TemporaryDirectory(prefix="fsbench-") as folder:
        clip = as_a_camera(SCENE, Path(folder) / "camera.mp4", size=SIZE)
        stream = as_a_camera(SCENE, Path(folder) / "camera.ts", size=SIZE).read_bytes()
        report.figures += _reconnects(stream, options.reconnects)
        if program := RtspServer.program():
            report.figures += _returns(program, clip, options.returns)
        report.figures += _takeovers(clip, options.takeovers, options.taken)
        report.figures += _one_more(clip, options.cameras, options.seconds)
    return report


def _reconnects(stream: bytes, count: int) -> list[Figure]:
    process, stop = psutil.Process(), threading.Event()
    with cut_server(stream) as server:
        source = LiveSource(
            "cut",
            CameraUrl.parse(server.url, ANYWHERE),
            policy=ANYWHERE,
            stop=stop,
            backoff=Backoff(0.001, 0.001),
        )
        reader = threading.Thread(target=_drain, args=(source,), daemon=True)
        reader.start()
        _wait_for(lambda: server.answered >= WARM)
        before, began = _held(process), time.monotonic()
        _wait_for(lambda: server.answered >= WARM + count)
        after, took = _held(process), time.monotonic() - began
        stop.set()
        reader.join()
    rise = (after[0] - before[0]) / count
    return [
        Figure("reconnects", "reconnects", count, "", 0),
        Figure("reconnect_ms", "… one, its little video included", took * 1000 / count, "ms"),
        Figure("resident_before_mb", "… resident before", before[0] / 1000, "MB"),
        Figure("resident_after_mb", "… resident after", after[0] / 1000, "MB"),
        Figure("rise_kb", "… rise of each", rise, "KB", 2, at_most(5)),
        Figure("threads", "… threads more", after[1] - before[1], "", 0, at_most(0)),
        Figure("files", "… open files more", after[2] - before[2], "", 0, at_most(0)),
    ]


def _drain(source: LiveSource) -> None:
    for _ in source.frames():
        pass


def _held(process: psutil.Process) -> tuple[float, int, int]:
    """KB resident, threads, open files: the least of some looks, for a connection may be open at any."""
    looks = []
    for _ in range(50):
        looks.append((process.memory_info().rss / 1000, process.num_threads(), process.num_fds()))
        time.sleep(0.005)
    resident, threads, files = zip(*looks, strict=True)
    return median(resident), min(threads), min(files)


def _returns(program: str, clip: Path, times: int) -> list[Figure]:
    live, stop = threading.Event(), threading.Event()

    def note(state: CameraState) -> None:
        if state.state == "live":
            live.set()

    seconds = []
    with RtspServer(program, clip) as server:
        server.start()
        source = LiveSource(
            "back",
            CameraUrl.parse(server.url, ANYWHERE),
            policy=ANYWHERE,
            on_state=note,
            stop=stop,
            backoff=Backoff(0.01, 0.01),
        )
        reader = threading.Thread(target=_drain, args=(source,), daemon=True)
        reader.start()
        _wait_for(live.is_set)
        for _ in range(times):
            server.kill()
            time.sleep(0.5)
            live.clear()
            answered = server.start()
            _wait_for(live.is_set)
            seconds.append(time.monotonic() - answered)
        stop.set()
        reader.join()
    return [
        Figure("back_s", f"back after its server answers, median of {times}", median(seconds), "s", 2),
        Figure("back_slowest_s", "… slowest", max(seconds), "s", 2, at_most(2)),
    ]


def _takeovers(clip: Path, times: int, cameras: int) -> list[Figure]:
    seconds = [_takeover(clip, camera_names(cameras)) for _ in range(times)]
    label = f"taken over from a killed producer, {cameras // 2} cameras, median of {times}"
    return [
        Figure("takeover_s", label, median(seconds), "s", 2),
        Figure("takeover_slowest_s", "… slowest", max(seconds), "s", 2, at_most(10)),
    ]


def _takeover(clip: Path, names: list[str]) -> float:
    with studio(clip) as made, made.producer(1) as dying, made.producer(1):
        made.add(names, FPS)
        made.wait_for_all(names)

        def theirs() -> list[str]:
            return made.held_by(names, f":{dying.pid}")

        made.wait_until(lambda: len(theirs()) == len(names) // 2, "the cameras are not shared")
        epochs = {name: ledger.epoch for name, ledger in made.ledgers(theirs()).items()}
        dying.kill()
        return made.wait_until(lambda: _all_again(made, epochs), "not all were taken over")


def _all_again(made: Studio, epochs: dict[str, int]) -> bool:
    now = made.ledgers(list(epochs))
    return all(now[name].epoch > epoch and now[name].seq >= 0 for name, epoch in epochs.items())


def _one_more(clip: Path, cameras: int, seconds: float) -> list[Figure]:
    *names, last = camera_names(cameras + 1)
    with studio(clip) as made, made.producer(2):
        made.add(names, FPS)
        made.wait_for_all(names)
        time.sleep(seconds)
        before, epochs = made.rates(names, seconds), made.ledgers(names)
        made.add([last], FPS)
        after = made.rates(names, seconds)
        made.wait_for_all([last])
        changed = sum(ledger.epoch != epochs[name].epoch for name, ledger in made.ledgers(names).items())
    shares = [after[name] / before[name] for name in names]
    return [
        Figure(
            "one_more_rate", f"one more than {cameras}: their rate after over before", median(shares), "", 2
        ),
        Figure("one_more_slowest", "… of the one that lost most", min(shares), "", 2, at_least(0.9)),
        Figure("one_more_epochs", "… epochs that began anew", changed, "", 0, at_most(0)),
    ]


def _wait_for(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.005)


BENCH = Bench("attached", __doc__ or "", add_options, measure, short=("--returns", "5"))

if __name__ == "__main__":
    sys.exit(BENCH.main())
