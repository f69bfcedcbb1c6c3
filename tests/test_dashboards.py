"""The dashboards of deploy/grafana: every query is asked of a Prometheus that has seen a real run."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import promql_parser
import psutil
import pytest
import yaml

from bench.metrics_page import SECTIONS
from deploy.grafana.__main__ import FOLDER, PAGES, file_of, to_json
from deploy.grafana.panels import Page, Panel
from facestream.broker import EmbeddedBroker
from facestream.bus.connection import Connection
from facestream.bus.registry import Registry
from facestream.camera_url import CameraUrl
from facestream.cameras import CameraSettings
from support.bus import begin, publish, wait_until
from support.portraits import weights
from support.processes import Command, port_of, started
from support.prometheus import DEPLOY, Prometheus, prometheus

CAMERA = "door"
# Long enough for a rate over it, short enough for a run of seconds.
WINDOW = "5s"
QUERIES = [
    (page, panel, query) for page in PAGES for panel in page.panels() for query in panel.queries.values()
]


def filled(query: str, instance: str = "w:1") -> str:
    """A query as Grafana asks it once the choices are made."""
    chosen = {"$__rate_interval": WINDOW, "$camera": CAMERA, "$instance": instance}
    for name, value in chosen.items():
        query = query.replace(name, value)
    return query


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_are_what_the_code_gives(page: Page) -> None:
    assert file_of(page).read_text(encoding="utf-8") == to_json(page), "run `make docs`"
    assert {path.stem for path in FOLDER.glob("*.json")} == {each.name for each in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_grafana_finds_in_a_file_what_it_needs(page: Page) -> None:
    written = json.loads(file_of(page).read_text(encoding="utf-8"))
    panels = written["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & places, f"{panel['title']} covers another"
        places |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}
            assert panel["description"]
            assert [target["refId"] for target in panel["targets"]] == list("ABCDEF")[: len(panel["targets"])]
    chosen = {variable["name"] for variable in written["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]+)\}?", json.dumps(panels)))
    assert used == chosen


@pytest.mark.parametrize(("page", "panel", "query"), QUERIES, ids=lambda value: getattr(value, "name", ""))
def test_every_query_parses_and_names_what_exists(page: Page, panel: Panel, query: str) -> None:
    promql_parser.parse(filled(query))
    known = {each.name for section in SECTIONS for each in section.describe()}
    known |= {f"{name}_{part}" for name in known for part in ("bucket", "sum", "count")}
    groups = yaml.safe_load((DEPLOY / "recording.yml").read_text(encoding="utf-8"))["groups"]
    known |= {rule["record"] for group in groups for rule in group["rules"]}
    assert set(re.findall(r"[\w:]*(?:facestream|process)_[\w:]+", query)) <= known


@dataclass(frozen=True, slots=True)
class Watched:
    """A run that Prometheus sees, and the worker that is looked at."""

    prometheus: Prometheus
    instance: str


@pytest.fixture(scope="module")
def run(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A camera, a frame that is no picture, two workers of which one is killed, and the exporter."""
    weights()
    prefix, folder = "tdashboards", tmp_path_factory.mktemp("prometheus")
    environment = {"FACESTREAM_REDIS": broker.url, "FACESTREAM_PREFIX": prefix}
    connection = Connection(broker.url, prefix=prefix)
    with Registry(broker.url, prefix=prefix) as registry:
        registry.add(CAMERA, CameraUrl.parse("demo:"), CameraSettings(fps=10))
    publish(begin(connection, "broken"), 1, b"no picture")
    found = folder / "workers.json"
    with (
        started("exporter", "--port", 0, environment=environment) as exporter,
        started("worker", "--workers", 2, "--metrics-port", 0, environment=environment) as workers,
        started("producer", "--processes", 1, "--metrics-port", 0, environment=environment) as producer,
        started("ps", "--prometheus-sd", found, "--every", 1, environment=environment),
    ):
        others = [f"127.0.0.1:{port_of(each)}" for each in (workers, producer)]
        jobs = {
            "facestream-exporter": [f"127.0.0.1:{port_of(exporter)}"],
            "facestream-worker": found,
            "facestream-other": others,
        }
        with prometheus(folder, jobs) as watching:
            yield Watched(watching, seen(watching, workers))
    connection.close()


def seen(watching: Prometheus, workers: Command) -> str:
    """Wait until both have worked, and kill one; the address of the other."""
    wait_until(lambda: len(watching.query("facestream_worker_results_total > 5")) == 2, "both work", 60)
    [killed, _] = workers.children("worker")
    psutil.Process(killed).kill()
    wait_until(lambda: bool(watching.query("facestream_restarts_total > 0")), "one is started again", 60)
    [survivor] = [
        each["metric"]["instance"]
        for each in watching.query("facestream_worker_info")
        if f"-{killed}-" not in each["metric"]["worker"]
    ]
    return str(survivor)


def test_no_panel_is_empty(run: Watched) -> None:
    """Each shows a figure at some moment, one that is a number: what was divided by nothing is none."""
    empty = {f"{page.name}: {panel.title}: {query}": query for page, panel, query in QUERIES}

    def all_have_shown_something() -> bool:
        for name, query in list(empty.items()):
            values = [each["value"][1] for each in run.prometheus.query(filled(query, run.instance))]
            if any(math.isfinite(float(value)) for value in values):
                del empty[name]
        return not empty

    with suppress(AssertionError):
        wait_until(all_have_shown_something, "no panel is empty", 30)
    assert not list(empty)


def test_the_choices_have_values(run: Watched) -> None:
    for page in PAGES:
        for query in page.choices.values():
            match = re.fullmatch(r"label_values\((\w+), (\w+)\)", query)
            assert match
            assert any(match[2] in each["metric"] for each in run.prometheus.query(match[1]))


def test_no_alert_fires_on_a_run_that_is_well(run: Watched) -> None:
    """But for the worker that was killed, which one restart is no crash loop."""
    firing = run.prometheus.query('ALERTS{alertstate="firing"}')
    assert not [each["metric"] for each in firing]
