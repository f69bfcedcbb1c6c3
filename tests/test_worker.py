"""`facestream worker` as a process: strangers' frames are refused and counted, the rest goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import pytest

from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.ledger import read_ledger
from facestream.bus.tail import Tail, tail_rejects, tail_results
from facestream.contract import RejectMap, ResultMap
from facestream.supervisor import Supervisor
from facestream_models import Analyser
from support.bus import assert_closes, begin, declare_dead, publish, wait_until
from support.frames import BAD, header_of, jpeg
from support.portraits import portrait, weights
from support.processes import Command, assert_no_traceback, facestream, metrics_at, port_of, started

GOOD_FRAMES = 40
ALL = GOOD_FRAMES + len(BAD) + 1
MEMORY_BYTES = 400 << 20


@pytest.fixture(scope="module", autouse=True)
def _models() -> None:
    weights()


@contextmanager
def running_worker(broker: EmbeddedBroker, prefix: str, *options: object) -> Iterator[Command]:
    environment = {"FACESTREAM_PREFIX": prefix, "FACESTREAM_REDIS": broker.url}
    with started("worker", *options, environment=environment) as running:
        yield running


@dataclass
class Followed:
    """Everything that came out of the workers so far."""

    results: list[ResultMap]
    rejects: list[RejectMap]
    results_tail: Tail[ResultMap]
    rejects_tail: Tail[RejectMap]

    @classmethod
    def begin(cls, connection: Connection) -> Followed:
        return cls([], [], tail_results(connection), tail_rejects(connection))

    def ended(self) -> int:
        self.results += self.results_tail.read(0.01)
        self.rejects += self.rejects_tail.read(0.001)
        return len(self.results) + len(self.rejects)


def put_on_the_bus(connection: Connection, camera: str, header: bytes, image: bytes) -> None:
    """As a stranger would who knows the keys and nothing else."""
    keys = connection.keys
    connection.read("XADD", keys.frames(camera), "*", "h", header, "i", image)
    connection.read("XGROUP", "CREATE", keys.frames(camera), "workers", "0")
    connection.read("ZADD", keys.ready(keys.partition(camera)), 1, camera)


def sizes(image: Any) -> dict[str, Any]:
    header = header_of(image)
    names = ("width", "height", "source_width", "source_height", "region")
    return {name: getattr(header, name) for name in names}


def test_strangers_frames_are_refused_and_good_ones_go_on(
    broker: EmbeddedBroker, prefix: str, connection: Connection
) -> None:
    """Every bad frame there is, between good ones: each has its one end, and the worker is as it was."""
    followed = Followed.begin(connection)
    man = portrait("luispedro.jpg")
    image = jpeg(man)
    good = begin(connection, "good")
    publish(good, GOOD_FRAMES // 2, image, **sizes(man))
    for number, bad in enumerate(BAD):
        camera = f"bad-{number}"
        put_on_the_bus(connection, camera, bad.header(camera), bad.image())
    put_on_the_bus(connection, "Not A\nCamera", header_of(man, camera="good").pack(), image)

    with running_worker(broker, prefix, "--metrics-port", 0, "--attributes", "gender,age") as running:
        wait_until(lambda: followed.ended() == ALL - GOOD_FRAMES // 2, "all have ended")
        publish(good, GOOD_FRAMES // 2, image, **sizes(man))
        wait_until(lambda: followed.ended() == ALL, "the worker goes on")
        check_rejects(connection, followed)
        check_metrics(port_of(running), followed)
        assert psutil.Process(running.process.pid).memory_info().rss < MEMORY_BYTES
        running.signal(signal.SIGTERM)
        ended = running.end()

    assert ended.status == 0
    assert_no_traceback(ended)
    assert ended.out == ""
    engine = Analyser(weights=weights()).engine
    assert ended.err.splitlines()[0].endswith(f": ready for frames, computing with {engine}")
    assert "refused a frame of " in ended.err
    assert all(line.startswith("worker ") for line in ended.err.splitlines()), ended.err
    assert [result["seq"] for result in followed.results] == list(range(GOOD_FRAMES))
    ledger = read_ledger(connection, "good")
    assert (ledger.published, ledger.results, ledger.dropped, ledger.in_flight) == (40, 40, {}, 0)


def check_rejects(connection: Connection, followed: Followed) -> None:
    """Each is in the rejects stream with its reason and words, counted in its ledger, its picture gone."""
    by_camera = {reject["camera"]: reject for reject in followed.rejects}
    assert len(by_camera) == len(BAD) + 1
    for number, bad in enumerate(BAD):
        camera = f"bad-{number}"
        reject = by_camera[camera]
        assert (reject["reason"], reject["attempts"]) == (bad.reason.value, 1), bad.name
        assert bad.words in reject["error"], bad.name
        ledger = read_ledger(connection, camera)
        assert (ledger.dropped, ledger.in_flight) == ({bad.reason.value: 1}, 0), bad.name
    assert by_camera["Not A\nCamera"]["reason"] == "contract_error"


def check_metrics(port: int, followed: Followed) -> None:
    # The last batch is counted after its commit, which is what we saw.
    wait_until(lambda: metrics_at(port)["facestream_worker_results_total"] == GOOD_FRAMES, "it is counted")
    metrics = metrics_at(port)
    for reason in {reject["reason"] for reject in followed.rejects}:
        count = sum(reject["reason"] == reason for reject in followed.rejects)
        assert metrics[f"facestream_worker_dropped_total{{reason={reason}}}"] == count
    faces = sum(len(result["faces"]) for result in followed.results)
    assert faces == GOOD_FRAMES
    assert metrics["facestream_worker_faces_found_total"] == faces
    assert metrics["facestream_worker_faces_total{attribute=gender}{label=male}"] == faces
    assert metrics["facestream_worker_result_age_seconds_count"] == GOOD_FRAMES
    assert metrics["facestream_worker_frames_in_hand"] == 0
    assert metrics["facestream_worker_joins_total"] == 1
    batches = metrics["facestream_worker_stage_seconds_count{stage=take}"]
    assert 0 < batches <= ALL
    assert metrics["facestream_worker_stage_seconds_count{stage=commit}"] == batches
    for stage in ("decode", "detect", "align", "classify"):
        assert metrics[f"facestream_worker_stage_seconds_sum{{stage={stage}}}"] > 0
    assert not any("camera" in name for name in metrics)


def test_a_frame_that_kills_workers_is_poison_and_the_next_goes_on(
    broker: EmbeddedBroker, prefix: str, connection: Connection
) -> None:
    """A worker dies with a frame in its hands; nobody tries it more often than may be."""
    followed, keys = Followed.begin(connection), connection.keys
    slow = np.zeros((9_000, 10_000, 3), np.uint8)
    epoch = begin(connection, "cam")
    with running_worker(broker, prefix) as dying:
        publish(epoch, 1, jpeg(slow), **sizes(slow))
        wait_until(lambda: read_ledger(connection, "cam").in_hand_of_workers == 1, "it has the frame")
        dying.signal(signal.SIGKILL)
        dying.end()
    assert read_ledger(connection, "cam").in_flight == 1
    for name in connection.read("ZRANGE", keys.workers(0), 0, -1):
        declare_dead(connection, name.decode())
    man = portrait("luispedro.jpg")
    publish(epoch, 1, jpeg(man), **sizes(man))
    environment = {
        "FACESTREAM_PREFIX": prefix,
        "FACESTREAM_REDIS": broker.url,
        "FACESTREAM_MAX_ATTEMPTS": "1",
    }
    with started("worker", environment=environment) as running:
        wait_until(lambda: followed.ended() == 2, "both have ended")
        running.signal(signal.SIGTERM)
        ended = running.end()
    assert_no_traceback(ended)
    assert "adopted 1 frame of a worker that died" in ended.err
    assert "refused a frame of cam: poison" in ended.err
    [reject], [result] = followed.rejects, followed.results
    assert (reject["reason"], reject["attempts"], reject["seq"]) == ("poison", 2, 0)
    assert (result["seq"], len(result["faces"])) == (1, 1)
    assert assert_closes(connection, "cam").dropped == {"poison": 1}


def test_a_worker_that_is_killed_at_work_is_never_given_up(broker: EmbeddedBroker, prefix: str) -> None:
    """Only one that cannot even start is: a frame that kills workers must be able to become poison."""
    told: list[str] = []
    environment = {"FACESTREAM_PREFIX": prefix, "FACESTREAM_REDIS": broker.url}
    with Supervisor(told.append, environment, give_up_after=1) as children:
        child = children.start("worker", ["worker"], restart=True)
        for deaths in (1, 2):
            wait_until(lambda: child.has_started, "it is at work")
            child.process.kill()
            child.process.wait()
            assert children.check() == []
            child.restart_at = 0.0
            assert children.check() == []
            assert child.restarts == deaths
        child.process.kill()  # before it could say anything
        child.process.wait()
        children.check()
        assert children.check() == [child]
    assert [line.partition(" (")[0] for line in told] == ["worker died", "worker died", told[-1]]
    assert "given up" in told[-1]


def test_several_workers_are_replaced_and_end_together(
    broker: EmbeddedBroker, prefix: str, connection: Connection
) -> None:
    followed = Followed.begin(connection)
    epoch = begin(connection, "cam")
    man = portrait("luispedro.jpg")
    with running_worker(broker, prefix, "--workers", 2) as running:
        children = running.wait_for_children(2, "worker")
        publish(epoch, 1, jpeg(man), **sizes(man))
        wait_until(lambda: followed.ended() == 1, "they work")
        os.kill(children[0], signal.SIGKILL)
        wait_until(lambda: "died (SIGKILL); restarting" in running.err, "it is said")
        wait_until(lambda: len(set(running.children("worker")) - {children[0]}) == 2, "it is replaced")
        running.signal(signal.SIGINT)
        ended = running.end()
    assert ended.status == 0
    assert_no_traceback(ended)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "which broker? name it with --redis redis://host:6379/0 or FACESTREAM_REDIS"),
        (["--redis", "redis://127.0.0.1:1/0", "--batch", 0], "--batch: input should be greater than"),
        (["--redis", "redis://127.0.0.1:1/0", "--workers", 2], "no broker answers at redis://127.0.0.1:1/0"),
    ],
)
def test_a_worker_that_cannot_work_says_so_once(options: list[object], line: str) -> None:
    ended = facestream("worker", *options)
    assert_no_traceback(ended)
    assert ended.status in {2, 75}
    [said] = ended.err.splitlines()
    assert said.startswith(f"facestream: {line}")
