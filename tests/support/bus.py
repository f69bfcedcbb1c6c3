"""Hands on the bus for tests: frames that need no picture, what is written behind its back, its faults."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from facestream.broker import server_binary
from facestream.bus.connection import Connection
from facestream.bus.ledger import Ledger, read_ledger, read_ledgers, total
from facestream.bus.publisher import Epoch
from facestream.bus.taker import Delivery, Outcome, Retention, Taker
from facestream.contract import (
    DropReason,
    FrameHeader,
    RejectMap,
    describe_result,
    pack_reject,
    pack_result,
)

IMAGE = b"\xff\xd8 no picture \xff\xd9"


def header(**changes: Any) -> FrameHeader:
    """A valid header; `changes` are its fields by name."""
    fields: dict[str, Any] = {
        "camera": "cam",
        "source": "clip.mp4",
        "epoch": 1,
        "seq": 0,
        "pts_us": 0,
        "captured_at_us": 1_700_000_000_000_000,
        "clock": "file",
        "width": 64,
        "height": 48,
        "source_width": 64,
        "source_height": 48,
        "region": (0, 0, 64, 48),
    }
    return FrameHeader(**fields | changes)


def begin(connection: Connection, camera: str, *, live: bool = False, depth: int = 100, **how: Any) -> Epoch:
    """A camera's epoch, which nobody else holds."""
    epoch = Epoch.begin(connection, camera, live=live, depth=depth, **how)
    assert isinstance(epoch, Epoch), f"{camera} is held by another for {epoch} s"
    return epoch


def publish(epoch: Epoch, count: int = 1, image: bytes = IMAGE, **changes: Any) -> None:
    """Capture and publish so many frames; each is numbered in `pts_us` too."""
    for _ in range(count):
        epoch.totals.capture()
        epoch.publish(header(pts_us=epoch.next_seq, **changes), image)


def result_of(delivery: Delivery, held_us: int = 0, worker: str = "w") -> Outcome:
    """The delivery ends as a result without faces."""
    result = describe_result(
        FrameHeader.unpack(delivery.header),
        [],
        models={},
        timings_ms={},
        worker=worker,
        completed_at_us=1_700_000_000_000_000,
    )
    return Outcome(delivery, pack_result(result), held_us)


def reject_of(delivery: Delivery, reason: DropReason = DropReason.DECODE_ERROR) -> Outcome:
    reject: RejectMap = {
        "v": 1,
        "camera": delivery.camera.decode(),
        "reason": reason.value,
        "error": "broken on purpose",
        "entry": delivery.entry,
        "attempts": delivery.attempts,
        "worker": "w",
        "refused_at_us": 1_700_000_000_000_000,
    }
    return Outcome(delivery, pack_reject(reject), reason=reason)


def worker(connection: Connection, name: str = "w", retention: Retention | None = None) -> Taker:
    taker = Taker(connection, name, retention)
    taker.join()
    return taker


def take(taker: Taker, batch: int = 1) -> list[Delivery]:
    """What there is now, without waiting for more than a moment."""
    return taker.take(batch, 0.01)


def turns(deliveries: list[Delivery]) -> list[str]:
    """`camera:seq` of each delivery, in order."""
    return [f"{d.camera.decode()}:{FrameHeader.unpack(d.header).seq}" for d in deliveries]


def assert_closes(connection: Connection, *cameras: str) -> Ledger:
    """Both identities of every camera hold; all cameras as one."""
    ledgers = read_ledgers(connection, cameras or None)
    for ledger in ledgers:
        assert ledger.source_difference == 0, f"captured, but with no end: {ledger}"
        assert ledger.broker_difference == 0, f"published, but with no end: {ledger}"
        assert ledger.in_hand_of_workers <= ledger.in_flight, ledger
    return total(ledgers)


def counts(connection: Connection, camera: str) -> dict[str, int]:
    """What the ledger counts of a camera, without the zeros; both identities hold."""
    assert_closes(connection, camera)
    ledger = read_ledger(connection, camera)
    about = {"published": ledger.published, "results": ledger.results, "in_flight": ledger.in_flight}
    return {name: count for name, count in (about | ledger.dropped).items() if count}


def declare_dead(connection: Connection, name: str, partition: int = 0) -> None:
    """As if the worker had not been heard of since the beginning of time."""
    connection.read("ZADD", connection.keys.workers(partition), 0, name)


def expire_lease(connection: Connection, camera: str) -> None:
    """As if the producer had been silent for longer than its lease."""
    connection.read("HSET", connection.keys.ledger(camera), "lease_until_ms", 0)


def sweep_now(taker: Taker, connection: Connection, partition: int = 0) -> int:
    """Sweep, whoever has the lease; how many frames were adopted."""
    connection.read("DEL", connection.keys.sweeper(partition))
    return taker.sweep()


def age_entries(connection: Connection, camera: str, milliseconds: int) -> None:
    """Publish the camera's unread frames anew, as if so long ago: an entry's id is its time."""
    frames = connection.keys.frames(camera)
    entries = connection.read("XRANGE", frames, "-", "+")
    connection.read("DEL", frames)
    for entry, fields in entries:
        published_ms, _, number = entry.decode().partition("-")
        flat = [part for pair in fields.items() for part in pair]
        connection.read("XADD", frames, f"{int(published_ms) - milliseconds}-{number}", *flat)
    connection.read("XGROUP", "CREATE", frames, "workers", "0")
    newest = connection.read("XREVRANGE", frames, "+", "-", "COUNT", 1)[0][0]
    connection.read("HSET", connection.keys.ledger(camera), "last_id", newest)


def make_idle(connection: Connection, camera: str, entry: str, milliseconds: int) -> None:
    """As if whoever has the frame had not been seen with it for so long."""
    claim = (
        "return redis.call('XCLAIM', KEYS[1], 'workers', 'workers', 0, ARGV[1], 'IDLE', ARGV[2], 'JUSTID')"
    )
    connection.read("EVAL", claim, 1, connection.keys.frames(camera), entry, milliseconds)


def entries_of(connection: Connection, stream: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    entries: list[tuple[bytes, dict[bytes, bytes]]] = connection.read("XRANGE", stream, "-", "+")
    return entries


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Poll until it holds; fails, with `what` was waited for, when it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.005)


def is_gone(process: int) -> bool:
    """Whether no such process runs; one that only waits to be buried is gone."""
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def running_server(*options: str, credentials: str = "") -> Iterator[str]:
    """A real server with our own options, on a unix socket; its address, with `credentials` in it."""
    with tempfile.TemporaryDirectory(prefix="fs-") as folder:
        path = f"{folder}/s.sock"
        common = ["--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", "--appendonly", "no"]
        process = subprocess.Popen([server_binary(), *common, *options], stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: _answers(path), "the server answers")
            yield f"unix://{credentials}{path}"
        finally:
            process.kill()
            process.wait()


def _answers(path: str) -> bool:
    if not Path(path).exists():
        return False
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(path)
        probe.sendall(b"PING\r\n")
        return probe.recv(16).startswith((b"+PONG", b"-NOAUTH"))
    return False


@dataclass
class Relay:
    """Stands between a client and the broker. `lose` replies are swallowed, and the line is cut each time:
    the broker has done what it was asked, and the client does not know."""

    url: str
    lose: int = 0
    lost: int = 0
    lines: list[socket.socket] = field(default_factory=list)


@contextmanager
def relayed(broker_url: str) -> Iterator[Relay]:
    """A relay in front of a broker on a unix socket."""
    with tempfile.TemporaryDirectory(prefix="fs-") as folder, socket.socket(socket.AF_UNIX) as door:
        relay = Relay(f"unix://{folder}/r.sock")
        door.bind(f"{folder}/r.sock")
        door.listen()
        threads: list[threading.Thread] = []
        threads.append(threading.Thread(target=_admit, args=(door, relay, broker_url, threads)))
        threads[0].start()
        try:
            yield relay
        finally:
            door.shutdown(socket.SHUT_RDWR)
            for line in relay.lines:
                _hang_up(line)
            for thread in threads:
                thread.join()
            for line in relay.lines:
                line.close()


def _admit(door: socket.socket, relay: Relay, broker_url: str, threads: list[threading.Thread]) -> None:
    while True:
        try:
            client, _ = door.accept()
        except OSError:
            return
        server = socket.socket(socket.AF_UNIX)
        server.connect(broker_url.removeprefix("unix://"))
        relay.lines += [client, server]
        for pump in (_ask, _answer):
            threads.append(threading.Thread(target=pump, args=(client, server, relay)))
            threads[-1].start()


def _ask(client: socket.socket, server: socket.socket, _relay: Relay) -> None:
    with suppress(OSError):
        while data := client.recv(1 << 16):
            server.sendall(data)
    _hang_up(server)


def _answer(client: socket.socket, server: socket.socket, relay: Relay) -> None:
    with suppress(OSError):
        while data := server.recv(1 << 16):
            if relay.lose:
                relay.lose, relay.lost = relay.lose - 1, relay.lost + 1
                break
            client.sendall(data)
    _hang_up(client)
    _hang_up(server)


def _hang_up(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


@contextmanager
def listening(answer: bytes | None) -> Iterator[int]:
    """A TCP port where something answers every message with the same bytes; None says back what it heard."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        lines: list[socket.socket] = []
        thread = threading.Thread(target=_babble, args=(door, answer, lines))
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            door.shutdown(socket.SHUT_RDWR)
            for line in lines:
                _hang_up(line)
            thread.join()


def _babble(door: socket.socket, answer: bytes | None, lines: list[socket.socket]) -> None:
    """Hears one caller after the other."""
    with suppress(OSError):
        while True:
            line, _ = door.accept()
            lines.append(line)
            with line, suppress(OSError):
                while heard := line.recv(1 << 16):
                    line.sendall(heard if answer is None else answer)


def free_port() -> int:
    """A port nobody listens on, for a moment."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


def send_signal(process: int, number: int) -> None:
    os.kill(process, number)
