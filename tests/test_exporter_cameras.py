"""The states of registered cameras among the exporter's figures; with no registry it serves the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from facestream import exporter_base
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.registry import Registry
from facestream.camera_state import CameraState
from facestream.exporter_cameras import CameraCollector
from support.bus import begin, publish
from support.users import guarded

Figures = dict[str, float]


def figures(page: str) -> Figures:
    """Every sample, by its name and labels as they are printed."""
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


@pytest.fixture
def cameras(broker: EmbeddedBroker, prefix: str) -> Iterator[Registry]:
    with Registry(broker.url, prefix=prefix) as registry:
        yield registry


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def collect(
    broker: EmbeddedBroker, prefix: str, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Figures]]:
    """What a scrape says at the moment, read anew each time."""
    monkeypatch.setattr(exporter_base, "CACHE_SECONDS", 0.0)
    collector = CameraCollector(lambda: Registry(broker.url, prefix=prefix), told.append, lambda: False)
    registry = CollectorRegistry()
    registry.register(collector)
    yield lambda: figures(generate_latest(registry).decode())
    collector.close()


def test_an_empty_registry_has_no_cameras(collect: Callable[[], Figures], told: list[str]) -> None:
    assert collect() == {
        "facestream_registry_up": 1,
        "facestream_producers_alive": 0,
        "facestream_registry_skipped": 0,
    }
    assert told == []


def test_each_camera_has_one_state_and_its_time(cameras: Registry, collect: Callable[[], Figures]) -> None:
    cameras.beat("north:1")
    cameras.beat("south:2")
    cameras.report_state("lobby", CameraState("connecting", 1_700_000_000_000_000, None, "north:1"))
    cameras.report_state("lobby", CameraState("live", 1_700_000_001_500_000, None, "north:1"))
    cameras.report_state("yard", CameraState("unauthorized", 1_700_000_002_000_000, "401", "gone:9"))
    assert collect() == {
        "facestream_registry_up": 1,
        "facestream_camera_state lobby live": 1,
        "facestream_camera_state yard unauthorized": 1,
        "facestream_camera_state_since_timestamp_seconds lobby": 1_700_000_001.5,
        "facestream_camera_state_since_timestamp_seconds yard": 1_700_000_002,
        "facestream_camera_held lobby": 1,
        "facestream_camera_held yard": 0,
        "facestream_producers_alive": 2,
        "facestream_registry_skipped": 0,
    }
    cameras.forget_state("lobby")
    cameras.leave("south:2")
    after = collect()
    assert not any("lobby" in name for name in after)
    assert after["facestream_producers_alive"] == 1


def test_what_strangers_wrote_is_no_label(
    connection: Connection, prefix: str, collect: Callable[[], Figures]
) -> None:
    connection.read("HSET", f"{prefix}:camera-states", 'x"} 1\nfake', "{}", "yard", '{"state": "odd"}')
    after = collect()
    assert after["facestream_registry_skipped"] == 2
    assert not any("yard" in name or "fake" in name for name in after)


def test_a_registry_that_is_away_is_said_once_and_comes_back(
    broker: EmbeddedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter_base, "CACHE_SECONDS", 0.0)
    urls, told = ["unix:///nowhere/s.sock"] * 2 + [broker.url], list[str]()
    collector = CameraCollector(lambda: Registry(urls.pop(0), prefix=prefix), told.append, lambda: False)
    up = [next(iter(collector.collect())).samples[0].value for _ in range(4)]
    collector.close()
    assert (up, urls) == ([0, 0, 1, 1], [])
    away, back = told
    assert away.startswith("no states of cameras: no broker answers")
    assert back == "the registry of cameras is back"


def test_the_exporters_user_may_read_states(tmp_path: Path) -> None:
    with guarded("valkey", tmp_path) as broker:
        with Registry(broker.url("producer")) as cameras:
            cameras.beat("north:1")
            cameras.report_state("lobby", CameraState("live", 1_700_000_000_000_000, None, "north:1"))
        registry = CollectorRegistry()
        collector = CameraCollector(lambda: Registry(broker.url("exporter")), pytest.fail, lambda: False)
        registry.register(collector)
        read = figures(generate_latest(registry).decode())
        collector.close()
        assert broker.refused() == []
    assert read["facestream_camera_state lobby live"] == read["facestream_camera_held lobby"] == 1


def test_one_that_is_known_to_be_away_is_not_asked() -> None:
    def connect() -> Registry:
        raise AssertionError("asked")

    collector = CameraCollector(connect, lambda _line: None, lambda: True)
    assert [sample.value for metric in collector.collect() for sample in metric.samples] == [0]


@contextmanager
def exporting(**settings: str) -> Iterator[str]:
    """The command in a process of its own; the address it named."""
    process = subprocess.Popen(
        [sys.executable, "-m", "facestream", "exporter", "--port", "0"],
        env=os.environ | {f"FACESTREAM_{name.upper()}": value for name, value in settings.items()},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        yield process.stderr.readline().split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def get(address: str) -> Figures:
    curl = [
        sys.executable,
        "-c",
        "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())",
    ]
    return figures(subprocess.run([*curl, address], capture_output=True, text=True, check=True).stdout)


def test_the_registry_may_be_elsewhere_and_away(
    broker: EmbeddedBroker, connection: Connection, prefix: str
) -> None:
    publish(begin(connection, "gate"))
    with EmbeddedBroker() as states:
        with Registry(states.url, prefix=prefix) as cameras:
            cameras.report_state("gate", CameraState("live", 1_700_000_000_000_000, None, "north:1"))
        with exporting(redis=broker.url, state_redis=states.url, prefix=prefix) as address:
            there = get(address)
    with exporting(redis=broker.url, state_redis=states.url, prefix=prefix) as address:
        away = get(address)
    assert there["facestream_camera_state gate live"] == 1
    assert away["facestream_registry_up"] == 0
    assert not any(name.startswith("facestream_camera_state") for name in away)
    for samples in (there, away):
        assert samples["facestream_published_total gate"] == 1
