"""The rules of deploy/prometheus: they fire when they have to and not before, each with its runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.metrics_page import SECTIONS
from facestream.bus.ledger import AGE_BOUNDS_MS
from facestream.camera_state import STATES
from facestream.contract import DropReason, SourceDrop

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy/prometheus"
RULES = [FOLDER / "recording.yml", FOLDER / "alerts.yml"]
EXPORTER = 'job="facestream-exporter",instance="e:9109"'
LONG_MINUTES = 120
E = {"job": "facestream-exporter", "instance": "e:9109"}

Series = dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """What is scraped each minute, when to look, and the labels of what then fires; None when nothing does.

    shown: what its summary says, where that is not always the same.
    """

    alert: str
    series: Series
    minute: int
    labels: dict[str, str] | None = None
    shown: str = ""


def camera(state: str, held: str = "1x30", minutes: int = 30) -> Series:
    return {
        f'facestream_camera_state{{{EXPORTER},camera="door",state="{state}"}}': f"1x{minutes}",
        f'facestream_camera_held{{{EXPORTER},camera="door"}}': held,
    }


def results(late_a_minute: int, minutes: int = 420) -> Series:
    """A hundred results a minute of a registered camera, so many of them older than a second."""
    series = camera("live", f"1x{minutes}", minutes)
    ages = f'{EXPORTER},camera="door"'
    series[f'facestream_result_age_seconds_bucket{{{ages},le="1.0"}}'] = f"0+{100 - late_a_minute}x{minutes}"
    series[f"facestream_result_age_seconds_count{{{ages}}}"] = f"0+100x{minutes}"
    return series


def drops(reason: str, where: str, a_minute: int) -> Series:
    return {
        f'facestream_captured_total{{{EXPORTER},camera="door"}}': "0+100x30",
        f'facestream_dropped_total{{{EXPORTER},camera="door",reason="{reason}",where="{where}"}}': (
            f"0+{a_minute}x30"
        ),
    }


def one(name: str, values: str, **labels: str) -> Series:
    extra = "".join(f',{label}="{value}"' for label, value in labels.items())
    return {f"{name}{{{EXPORTER}{extra}}}": values}


def broker(up: int, refused: int) -> Series:
    return one("facestream_broker_up", f"{up}x30") | one("facestream_broker_refused", f"{refused}x30")


def memory(used: int, most: int) -> Series:
    used_bytes = one("facestream_broker_memory_used_bytes", f"{used}x30")
    return used_bytes | one("facestream_broker_memory_max_bytes", f"{most}x30")


def unknown(then: int, now: int) -> Series:
    """Faces without a gender, of a hundred a minute: a day ago, and in the last four hours."""
    worker = 'job="facestream-worker",instance="w:9100",attribute="gender"'
    day, hours = 24 * 60, 4 * 60
    return {
        f'facestream_worker_faces_total{{{worker},label="unknown"}}': (
            f"0+{then}x{day} {then * day + now}+{now}x{hours}"
        ),
        f'facestream_worker_faces_total{{{worker},label="female"}}': (
            f"0+{100 - then}x{day} {(100 - then) * day + 100 - now}+{100 - now}x{hours}"
        ),
    }


DOOR = E | {"camera": "door"}
HELD_BY_NOBODY = one("facestream_epoch_state", "1x30", camera="clip", state="killed")
IDLE = one("facestream_workers_alive", "0x30")
RESTARTED = 'facestream_restarts_total{instance="w:9104",job="facestream-other",process="worker-0"}'
OLD_NAME = "facestream_oldest_unread_age_seconds"

CASES = [
    Case("FacestreamExporterDown", one("up", "0x30"), 5, E),
    Case("FacestreamExporterDown", one("up", "1x30"), 20),
    Case("FacestreamExporterDown", {}, 5, {"job": "facestream-exporter"}),
    Case("FacestreamBrokerDown", broker(0, 0), 5, E),
    Case("FacestreamBrokerDown", broker(1, 0), 20),
    Case("FacestreamBrokerDown", broker(0, 1), 20),
    Case("FacestreamBrokerRefuses", broker(0, 1), 5, E),
    Case("FacestreamBrokerRefuses", broker(0, 0), 20),
    Case(
        "FacestreamBrokerMemory",
        memory(900, 1000),
        10,
        E,
        "The broker has used 900B, over 85 % of what it may",
    ),
    Case("FacestreamBrokerMemory", memory(800, 1000), 20),
    Case("FacestreamBrokerMemory", memory(900, 0), 20),
    Case(
        "FacestreamUnaccounted",
        one("facestream_unaccounted_frames", "3x30", camera="door", identity="broker"),
        5,
        DOOR | {"identity": "broker"},
        "3 frames of door have no end in the ledger (broker)",
    ),
    Case(
        "FacestreamUnaccounted",
        one("facestream_unaccounted_frames", "0x30", camera="door", identity="broker"),
        20,
    ),
    *(
        Case(
            "FacestreamCameraDown",
            camera(state),
            10,
            DOOR | {"state": state},
            f"door sends nothing ({state})",
        )
        for state in ("connecting", "failed", "not_found")
    ),
    Case("FacestreamCameraDown", camera("live"), 20),
    Case("FacestreamCameraDown", camera("failed", "0x30"), 20),
    Case("FacestreamCameraDown", camera("failed", minutes=3), 10),
    Case(
        "FacestreamCameraStalled",
        camera("stalled"),
        5,
        DOOR | {"state": "stalled"},
        "door is connected and sends no picture",
    ),
    Case("FacestreamCameraStalled", camera("connecting"), 20),
    Case(
        "FacestreamCameraRefuses",
        camera("unauthorized"),
        5,
        DOOR | {"state": "unauthorized"},
        "door refuses its user or password",
    ),
    Case("FacestreamCameraRefuses", camera("paused"), 20),
    Case("FacestreamCameraUnattended", camera("live", "0x30"), 5, DOOR, "No producer has door"),
    Case("FacestreamCameraUnattended", camera("paused", "0x30"), 20),
    Case(
        "FacestreamProducerSilent",
        HELD_BY_NOBODY,
        10,
        E | {"camera": "clip", "state": "killed"},
        "The producer of clip died, and nobody went on with it",
    ),
    Case(
        "FacestreamProducerSilent", HELD_BY_NOBODY | one("facestream_camera_held", "1x30", camera="clip"), 20
    ),
    Case("FacestreamNoWorkers", IDLE | one("facestream_frames_unread", "2x30", camera="door"), 5, E),
    Case("FacestreamNoWorkers", IDLE | one("facestream_frames_unread", "0x30", camera="door"), 20),
    Case(
        "FacestreamWorkerCrashLoop",
        {RESTARTED: "0x10 0+1x20"},
        16,
        {"instance": "w:9104", "job": "facestream-other", "process": "worker-0"},
        "worker-0 on w:9104 was started again 5 times in 10 minutes",
    ),
    Case("FacestreamWorkerCrashLoop", {RESTARTED: "0x10 1x20"}, 14),
    Case(
        "FacestreamBacklogGrowing",
        one(OLD_NAME, "0+20x30", camera="door"),
        10,
        DOOR,
        "The oldest frame of door has waited 3m 20s, and it grows",
    ),
    Case("FacestreamBacklogGrowing", one(OLD_NAME, "20x30", camera="door"), 20),
    Case("FacestreamBacklogGrowing", one(OLD_NAME, "0+0.1x30", camera="door"), 20),
    Case(
        "FacestreamResultsLateFast",
        results(20, 90),
        80,
        {},
        "20% of the cameras' results of the last hour were over a second old",
    ),
    Case("FacestreamResultsLateFast", results(10, 90), 80),
    Case(
        "FacestreamResultsLateSlow",
        results(8),
        400,
        {},
        "8% of the cameras' results of the last six hours were over a second old",
    ),
    Case("FacestreamResultsLateSlow", results(5), 400),
    Case(
        "FacestreamOverloaded",
        drops("trimmed_unread", "broker", 30),
        25,
        {"reason": "trimmed_unread", "where": "broker"},
        "30% of all frames are dropped before a worker comes (trimmed_unread)",
    ),
    Case("FacestreamOverloaded", drops("too_old", "broker", 10), 25),
    Case(
        "FacestreamDropping",
        drops("decode_error", "broker", 5),
        25,
        {"reason": "decode_error", "where": "broker"},
        "5% of all frames are dropped as decode_error (broker)",
    ),
    Case("FacestreamDropping", drops("motion_gate", "source", 50), 25),
    Case("FacestreamDropping", drops("decode_error", "broker", 0), 25),
    Case(
        "FacestreamUnknownShare",
        unknown(10, 60),
        27 * 60,
        {"attribute": "gender"},
        "The share of faces without gender is 44.72% away from that of the last day",
    ),
    Case("FacestreamUnknownShare", unknown(10, 20), 27 * 60),
]


STARTED = 'process_start_time_seconds{instance="w:9100",job="facestream-worker"}'
SINK = 'instance="s:9100",job="facestream-other"'
CASES += [
    Case(
        "FacestreamProcessCrashLoop",
        {STARTED: "1x10 2+1x20"},
        16,
        {"instance": "w:9100", "job": "facestream-worker"},
        "facestream-worker w:9100 began anew 6 times in 10 minutes",
    ),
    Case("FacestreamProcessCrashLoop", {STARTED: "1x10 2x5 3x15"}, 18),
    Case(
        "FacestreamSinkBehind",
        {f"facestream_sink_lag_seconds{{{SINK}}}": "400x30"},
        10,
        {"instance": "s:9100", "job": "facestream-other"},
        "s:9100 has a result that has waited for its receiver for 6m 40s",
    ),
    Case("FacestreamSinkBehind", {f"facestream_sink_lag_seconds{{{SINK}}}": "20x30"}, 20),
    Case(
        "FacestreamSinkMissed",
        {f"facestream_sink_gaps_total{{{SINK}}}": "0x10 1x20"},
        15,
        {"instance": "s:9100", "job": "facestream-other"},
        "s:9100 came too late for results: the broker had removed them",
    ),
    Case("FacestreamSinkMissed", {f"facestream_sink_gaps_total{{{SINK}}}": "3x30"}, 20),
    Case(
        "FacestreamSinkRefused",
        {f'facestream_sink_refused_total{{{SINK},parked="yes"}}': "0x10 2x20"},
        15,
        {"instance": "s:9100"},
        "The receiver of s:9100 refuses results for good",
    ),
    Case("FacestreamSinkRefused", {f'facestream_sink_refused_total{{{SINK},parked="yes"}}': "2x30"}, 20),
]


@cache
def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups_of(FOLDER / "alerts.yml") for rule in group["rules"]}


def groups_of(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load(path.read_text(encoding="utf-8"))["groups"])


@cache
def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here (Debian: apt install prometheus prometheus-alertmanager)")
    return found


def run(*command: str | Path, cwd: Path = FOLDER) -> str:
    ended = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd=cwd)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_prometheus_and_alertmanager_take_the_files() -> None:
    run(tool("promtool"), "check", "config", "prometheus.yml")
    run(tool("amtool"), "check-config", "alertmanager.yml")


@pytest.mark.parametrize("every", ["1m", "5m"])
def test_every_alert_fires_when_it_has_to_and_keeps_quiet_otherwise(every: str, tmp_path: Path) -> None:
    """Those that look at hours are looked at every five minutes: it is the same, and takes a fifth of it."""
    cases = [case for case in CASES if (case.minute > LONG_MINUTES) == (every == "5m")]
    tests = [as_promtool_has_it(case) for case in cases]
    # Without an order, what an alert is made of may be new or one look old, by chance.
    order = [group["name"] for path in RULES for group in groups_of(path)]
    assert len(set(order)) == len(order)
    page = {"rule_files": list(map(str, RULES)), "evaluation_interval": every, "tests": tests}
    page["group_eval_order"] = order
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(page), encoding="utf-8")
    run(tool("promtool"), "test", "rules", file)


def as_promtool_has_it(case: Case) -> dict[str, Any]:
    rule = alerts()[case.alert]
    expected = []
    if case.labels is not None:
        annotations = rule["annotations"] | ({"summary": case.shown} if case.shown else {})
        expected = [{"exp_labels": case.labels | rule["labels"], "exp_annotations": annotations}]
    looked = {"alertname": case.alert, "eval_time": f"{case.minute}m", "exp_alerts": expected}
    return {
        "interval": "1m",
        "name": case.alert,
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [looked],
    }


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    assert {case.alert for case in CASES if case.labels is not None} == alerts().keys()
    assert {case.alert for case in CASES if case.labels is None} == alerts().keys()


def test_every_alert_links_its_section_of_the_runbook_and_every_section_has_an_alert() -> None:
    runbook = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    sections = {
        heading.lower().replace(" ", "-"): text
        for heading, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", runbook, re.MULTILINE | re.DOTALL)
    }
    linked = {rule["annotations"]["runbook"].removeprefix("docs/runbook.md#") for rule in alerts().values()}
    assert linked == sections.keys()
    for name, text in sections.items():
        for part in ("**Means**", "**Look**", "**Do**"):
            assert part in text, f"{name} has no {part}"


def test_the_rules_name_metrics_states_and_reasons_that_exist() -> None:
    known = {each.name for section in SECTIONS for each in section.describe()}
    known |= {f"{name}_{part}" for name in known for part in ("bucket", "sum", "count")}
    text = "\n".join(path.read_text(encoding="utf-8") for path in RULES)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    assert set(re.findall(r"(?<![:\w])facestream_[a-z_]+", text)) - known == set()
    states = set(re.findall(r'(?<=state=")[a-z_]+|(?<=state=~")[a-z_|]+', text))
    assert {each for group in states for each in group.split("|")} <= STATES | {"killed"}
    reasons = {each.value for kinds in (SourceDrop, DropReason) for each in kinds}
    for group in re.findall(r'reason!?~"([a-z_|]+)"', text):
        assert set(group.split("|")) <= reasons
    bounds = {str(bound_ms / 1000) for bound_ms in AGE_BOUNDS_MS}
    assert set(re.findall(r'le="([^"]+)"', text)) <= bounds
