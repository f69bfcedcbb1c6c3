"""docs/metrics.md says what processes really serve, and their names are what Prometheus expects."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from bench import metrics_page
from bench.metrics_page import PAGE, SECTIONS
from facestream_models.faces import Estimates, Faces, Labels
from facestream_worker.face_metrics import FaceMetrics

ROOT = Path(__file__).parent.parent
CONSTRUCTORS = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
CONSTRUCTORS |= {f"{kind}MetricFamily" for kind in ("Counter", "Gauge", "Histogram", "Summary", "Info")}
UNITS = {"", "0 or 1", "0 to 1", "bytes", "seconds", "seconds since 1970", "pixels", "events", "descriptors"}
UNITS |= {"frames", "faces", "cameras", "workers", "producers", "results", "rejects", "states", "records"}
UNITS |= {"minutes", "people", "partitions"}
ALL = [each for section in SECTIONS for each in section.describe()]


def test_the_page_is_what_the_code_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == metrics_page.page(), "run `make docs`"


def test_every_metric_that_the_code_makes_is_on_the_page() -> None:
    """Found by what it is made with, so that a new module cannot be forgotten."""
    known = {each.name for each in ALL}
    for path, text in modules_with_metrics():
        for name, kind in made_in(ast.parse(text)):
            if name.endswith("_"):  # what follows is not written there
                assert any(each.startswith(name) for each in known), f"{name}… of {path}"
                continue
            suffix = {"Counter": "_total", "Info": "_info"}.get(kind.removesuffix("MetricFamily"), "")
            assert any(each.endswith(name + suffix) for each in known), f"{name} of {path}"


def modules_with_metrics() -> Iterator[tuple[Path, str]]:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package in pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "prometheus_client" in text:
                yield path, text


def made_in(module: ast.Module) -> list[tuple[str, str]]:
    """Names, or what they end with, and constructors of the metrics that a module makes."""
    made = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CONSTRUCTORS:
            parts = ast.walk(node.args[0]) if node.args else ()  # a Counter may be one of Python's own
            texts = [each.value for each in parts if isinstance(each, ast.Constant)]
            if texts and isinstance(texts[-1], str):
                made.append((texts[-1], node.func.id))
    return made


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_names_units_and_texts_follow_the_conventions(metric: metrics_page.Described) -> None:
    assert re.fullmatch(r"(facestream|process)_[a-z_]+", metric.name)
    assert metric.unit in UNITS
    assert metric.about.strip()
    assert "|" not in metric.about
    if "worker" in metric.name and metric.name != "facestream_workers_alive":
        assert "camera" not in metric.labels


def test_no_name_is_used_twice() -> None:
    names = [each.name for each in ALL]
    assert len(names) == len(set(names))


def test_prometheus_own_check_finds_nothing_in_a_worker_s_page(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool here (Debian: apt install prometheus)")
    registry = CollectorRegistry()
    metrics_page.WorkerMetrics(registry, "w")
    found = subprocess.run(
        [promtool, "check", "metrics"], input=generate_latest(registry), capture_output=True, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")


def test_faces_are_counted_so_that_drift_shows() -> None:
    """The share of unknown answers and the means of the scores, of labels and of numbers alike."""
    registry = CollectorRegistry()
    metrics = FaceMetrics(registry, "x_")
    gender = Labels(("female", "unknown", "male"), np.array([0.9, 0.6, 0.9], np.float32))
    age = Estimates(np.array([30, np.nan, 41], np.float32), np.array([0.5, 0.25, 0.75], np.float32))
    boxes = np.array([[0, 0, 40, 50], [9, 9, 20, 18], [1, 1, 100, 90]], np.float32)
    scores = np.array([0.75, 0.625, 0.875], np.float32)
    metrics.count(Faces(boxes, scores, np.zeros((3, 5, 2), np.float32), {"gender": gender, "age": age}))
    metrics.count(Faces.empty())

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"x_{name}", labels)

    assert value("faces_found_total") == 3
    for label in ("female", "male", "unknown"):
        assert value("faces_total", attribute="gender", label=label) == 1
    assert value("faces_total", attribute="age", label="estimated") == 2
    assert value("faces_total", attribute="age", label="unknown") == 1
    assert (value("face_score_count"), value("face_score_sum")) == (3, 2.25)
    assert value("attribute_score_sum", attribute="age") == 1.5
    assert value("attribute_score_count", attribute="gender") == 3
    assert value("face_side_pixels_sum") == 40 + 18 + 90
