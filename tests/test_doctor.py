"""`facestream doctor`: against real servers that are fit and unfit, and models that are there and not."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import typer

from facestream.audit import audit
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.overview import Observer
from facestream.bus.probe import probe
from facestream.commands.app import run
from facestream.commands.doctor import register
from facestream.health import broker as broker_checks
from facestream.health import processor
from facestream.health.check import Check
from facestream.health.examination import GROUP, contributed
from facestream.settings import load_settings
from facestream_models.catalogue import load_catalogue
from facestream_models.store import WeightsStore
from facestream_producer.film import h264_encoder
from support.bus import begin, publish, running_server
from support.cluster import start_cluster

LINE = re.compile(r"(ok  |warn|FAIL)  \S.*")


def doctor(*arguments: str) -> int:
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    return run(app, ["doctor", *arguments])


@pytest.fixture
def examined(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict[str, dict[str, Any]]]]:
    """Runs `doctor --json`: its exit status, and each finding by name."""

    def examine(*arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
        status = doctor("--json", *arguments)
        found = json.loads(capsys.readouterr().out)
        failed = [check["name"] for check in found["checks"] if check["level"] == "fail"]
        assert found["ok"] is (not failed)
        assert status == (1 if failed else 0)
        return status, {check["name"]: check for check in found["checks"]}

    return examine


Examined = Callable[..., tuple[int, dict[str, dict[str, Any]]]]


def test_versions_and_what_applications_add(examined: Examined) -> None:
    _, found = examined()
    for name in ("facestream", "python", "redis-py", "msgpack", "numpy", "opencv", "onnx runtime", "pyav"):
        assert found[name]["level"] == "ok", found[name]
        assert re.match(r"\d+\.\d+", found[name]["text"]), found[name]
    assert "FFmpeg" in found["pyav"]["text"]
    assert found["embedded broker"]["text"].startswith("starts")
    assert found["h264 decoding"]["level"] == found["hevc decoding"]["level"] == "ok"
    assert found["h264 encoding"]["text"] == h264_encoder()
    assert "none named" in found["broker"]["text"]


def test_every_finding_is_one_line_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    with running_server("--maxmemory-policy", "allkeys-lru") as url:
        assert doctor("--redis", url) == 1
    lines = capsys.readouterr().out.splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    troubled = [line for line in lines if not line.startswith("ok")]
    assert len(troubled) >= 2
    assert all("  — " in line for line in troubled)
    assert not any("\x1b" in line for line in lines)


def test_a_fit_broker(
    examined: Examined, broker: EmbeddedBroker, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESTREAM_PREFIX", connection.keys.prefix)
    _, found = examined("--redis", broker.url)
    about = [check for name, check in found.items() if name.startswith(("broker", "deployment"))]
    assert len(about) >= 8
    assert [check for check in about if check["level"] != "ok"] == []
    assert found["broker version"]["text"].startswith("valkey 9")
    assert connection.incarnation in found["deployment"]["text"]
    assert "1 partition" in found["deployment"]["text"]
    assert re.search(r"of 512 MiB", found["broker memory"]["text"])


def test_a_broker_that_evicts_fails(examined: Examined) -> None:
    with running_server("--maxmemory-policy", "allkeys-lru", "--maxmemory", "64mb") as url:
        status, found = examined("--redis", url)
    assert status == 1
    assert found["broker eviction"]["level"] == "fail"
    assert "allkeys-lru" in found["broker eviction"]["text"]
    assert "noeviction" in found["broker eviction"]["remedy"]
    assert found["broker memory"]["level"] == "ok"


def test_pictures_on_a_brokers_disk_are_warned_of(examined: Examined) -> None:
    with running_server("--appendonly", "yes", "--save", "60 1") as url:
        _, found = examined("--redis", url)
        facts = probe(url, "fs")
    assert facts.append_only
    assert facts.snapshots == "60 1"
    assert found["broker persistence"]["level"] == "warn"
    texts = [check.text for check in broker_checks._persistence(facts)]
    assert "append-only file: pictures reach its disk" in texts[0]
    assert "snapshots (save 60 1): pictures in flight" in texts[1]
    assert found["broker memory"]["level"] == "warn", "no maxmemory"
    assert found["broker eviction"]["level"] == "ok"


def test_looking_changes_nothing(examined: Examined) -> None:
    with running_server() as url:
        _, found = examined("--redis", url)
        assert "none yet" in found["deployment"]["text"]
        connection = Connection(url, prefix="untouched")
        assert connection.read("DBSIZE") == 1, "only what this test founded itself"
        connection.close()


def test_another_contract_or_number_of_partitions_fails(
    examined: Examined, broker: EmbeddedBroker, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESTREAM_PREFIX", connection.keys.prefix)
    monkeypatch.setenv("FACESTREAM_PARTITIONS", "48")
    assert examined("--redis", broker.url)[1]["deployment"]["level"] == "fail"
    monkeypatch.delenv("FACESTREAM_PARTITIONS")
    assert examined("--redis", broker.url)[1]["deployment"]["level"] == "ok"
    connection.read("HSET", connection.keys.meta, "contract", 99)
    assert examined("--redis", broker.url)[1]["deployment"]["level"] == "fail"


def test_a_broker_that_keeps_its_settings_to_itself(examined: Examined) -> None:
    with running_server() as url:
        admin = Connection(url)
        admin.read("ACL", "SETUSER", "app", "on", ">swordfish", "~*", "&*", "+@all", "-config")
        admin.close()
        _, found = examined("--redis", url.replace("unix://", "unix://app:swordfish@"))
    assert found["broker persistence"]["level"] == "warn"
    assert "CONFIG is refused" in found["broker persistence"]["text"]


@pytest.mark.parametrize(
    "address",
    [
        "redis://me:hunter2@127.0.0.1:1/0",
        "redis://:hunter2@127.0.0.1:1/0?password=hunter2",
        "redis://:hun/hunter2@127.0.0.1:6379/0",
        "redis://:hunter2#x@127.0.0.1:6379/0",
        "hunter2://me:hunter2@host",
    ],
)
def test_no_password_is_ever_shown(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor("--redis", address) == 1
    said = capsys.readouterr()
    assert "FAIL  broker" in said.out
    assert said.err == ""
    shown = said.out.replace("hunter2://", "")
    assert "hunter2" not in shown
    assert "'hun'" not in shown


def test_a_wrong_password_and_a_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    with running_server("--requirepass", "hunter2", credentials=":swordfish@") as wrong:
        assert doctor("--redis", wrong) == 1
        refused = capsys.readouterr().out
        doctor("--redis", wrong.replace("swordfish", "hunter2"))
        accepted = capsys.readouterr().out
    assert re.search(r"FAIL  broker +.*refused these credentials.*  — check the user and password", refused)
    assert "swordfish" not in refused
    assert "hunter2" not in accepted
    assert re.search(r"ok    broker +unix://\*\*\*@.* answers", accepted)


def test_weights_that_are_missing_or_wrong_fail(
    examined: Examined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESTREAM_WEIGHTS", str(tmp_path))
    status, found = examined()
    assert status == 1
    assert found["weights yunet-2023mar"]["level"] == "fail"
    assert found["weights yunet-2023mar"]["remedy"] == "facestream models pull yunet-2023mar"
    assert found["weights dlib-age-v1"]["level"] == "ok", "not needed unless asked for"
    assert "engine" not in found, "nothing to run"

    age = load_catalogue().get("dlib-age-v1")
    WeightsStore(tmp_path).file(age).write_bytes(b"not these")
    assert examined()[1]["weights dlib-age-v1"]["level"] == "fail"


def test_a_broken_catalogue_is_a_finding(
    examined: Examined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.toml").write_text("[[model]]\nname = 7\n")
    monkeypatch.setenv("FACESTREAM_CATALOGUE", str(tmp_path / "own.toml"))
    status, found = examined()
    assert status == 1
    assert "own.toml" in found["catalogue"]["text"]


def test_a_package_that_cannot_be_checked_has_failed() -> None:
    settings = load_settings()
    for value in ("no_such_package.checks:checks", "json:loads", "facestream.health.check:no_such_name"):
        (check,) = contributed(EntryPoint("90-x", value, GROUP), settings)
        assert check.level == "fail"
        assert check.name == value.split(":")[0]
        assert "\n" not in check.text


def test_a_clock_that_is_off_is_warned_of(broker: EmbeddedBroker) -> None:
    facts = probe(broker.url, "fs")
    assert facts.clock_error_ms < 5000
    behind = broker_checks._clock(dataclasses.replace(facts, clock_ahead_ms=-90_000.0, clock_error_ms=1.0))
    assert (behind.level, behind.text) == ("warn", "90000.0 ms behind this machine (± 1.0)")
    slow_line = dataclasses.replace(facts, clock_ahead_ms=900.0, clock_error_ms=800.0)
    assert broker_checks._clock(slow_line).level == "ok", "not more than the measurement's own error"


@pytest.mark.parametrize(
    ("url", "level"),
    [
        ("unix:///run/redis.sock", "ok"),
        ("redis://127.0.0.1:6379", "ok"),
        ("redis://[::1]:6379", "ok"),
        ("redis://localhost", "ok"),
        ("redis://10.1.2.3:6379/0", "warn"),
        ("redis://broker", "warn"),
        ("redis://127.0.0.1.example.org", "warn"),
        ("rediss://broker:6379/0", "ok"),
        ("rediss://broker:6379/0?ssl_cert_reqs=none", "warn"),
    ],
)
def test_plaintext_to_another_host_is_warned_of(url: str, level: str) -> None:
    assert broker_checks._transport(url).level == level


def test_features_of_processors() -> None:
    intel = "processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni amx_tile\nprocessor\t: 1\nflags\t\t: fpu\n"
    arm = "processor\t: 0\nFeatures\t: fp asimd bf16\n"
    apple = "hw.optional.arm.FEAT_BF16: 1\nhw.optional.AdvSIMD: 1\nhw.optional.arm.FEAT_I8MM: 0\n"
    assert processor.features_in_cpuinfo(intel) == {"fpu", "avx2", "avx512_vnni", "amx_tile"}
    assert processor.features_in_cpuinfo(arm) == {"fp", "asimd", "bf16"}
    assert processor.features_in_cpuinfo("nothing of the kind") == frozenset()
    assert processor.features_in_sysctl(apple) == {"bf16", "asimd"}
    assert "unknown" in processor.check_features(None).text


def test_a_containers_limit_is_seen(tmp_path: Path) -> None:
    assert processor.core_quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert processor.core_quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert processor.core_quota(tmp_path) == 1.5
    older = tmp_path / "older"
    (older / "cpu").mkdir(parents=True)
    (older / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (older / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert processor.core_quota(older) is None

    limited: Check = processor.check_cores(8, 1.5)
    assert limited.level == "warn"
    assert "--workers 1" in limited.remedy
    assert processor.check_cores(8, None).level == processor.check_cores(2, 2.0).level == "ok"


def test_a_cluster_is_examined_and_audited_as_one(
    examined: Examined, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESTREAM_PREFIX", prefix)
    with start_cluster() as cluster:
        connection = Connection(cluster.url, prefix=prefix)
        for camera in ("a", "b", "c"):
            publish(begin(connection, camera), 2)
        observer = Observer(cluster.url, prefix=prefix)
        audited = audit(observer)
        _, found = examined("--redis", cluster.url)
        observer.close()
        connection.close()
    assert audited.closes
    assert audited.whole.published == audited.whole.in_flight == 6
    assert found["broker role"]["text"] == "cluster of 3 masters"
    assert connection.incarnation in found["deployment"]["text"]
    assert found["broker eviction"]["level"] == "ok"
