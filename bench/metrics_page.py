"""The tables of docs/metrics.md, from the code: every metric that a process of ours serves.

python -m bench.metrics_page            print the page
python -m bench.metrics_page --write    write it where it belongs (`make docs`)
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric

from facestream.bus.overview import Overview
from facestream.exporter_cameras import camera_registry_metrics
from facestream.exporter_metrics import broker_metrics, camera_metrics, up_metrics
from facestream.metrics import RestartCounter
from facestream_producer.metrics import PrometheusHooks as ProducerMetrics
from facestream_sinks.metrics import PrometheusHooks as SinkMetrics
from facestream_tracker.metrics import PrometheusHooks as TrackerMetrics
from facestream_worker.metrics import PrometheusHooks as WorkerMetrics

PAGE = Path(__file__).parent.parent / "docs/metrics.md"

BEGIN, END = "<!-- metrics: begin -->", "<!-- metrics: end -->"


# What a text may begin with when it is no plural of what is counted.
_UNITS = {
    "1": "0 or 1",
    "score": "0 to 1",
    "times": "events",
    "this": "",
    "the": "",
}


@dataclass(frozen=True, slots=True)
class Section:
    """The metrics of one kind of process, and what is to be said of all of them."""

    title: str
    about: str
    describe: Callable[[], Iterable[Described]]


@dataclass(frozen=True, slots=True)
class Described:
    name: str
    kind: str
    labels: tuple[str, ...]
    about: str

    @property
    def unit(self) -> str:
        """By its name where that says it, else by what the text begins to count."""
        plain = self.name.removesuffix("_total")
        for unit in ("seconds", "bytes", "pixels"):
            if plain.endswith(f"_{unit}"):
                return "seconds since 1970" if plain.endswith("_timestamp_seconds") else unit
        if plain.endswith("_fds"):
            return "descriptors"
        first = self.about.removeprefix("Number of ").split()[0].rstrip(",").lower()
        return _UNITS.get(first, first)


def described(name: str, kind: str, labels: Iterable[str], about: str) -> Described:
    suffix = {"counter": "_total", "info": "_info"}.get(kind, "")
    return Described(name + suffix, kind, tuple(labels), about)


def of_families(families: Iterable[Metric]) -> Iterator[Described]:
    for family in families:
        # What an Info says are the labels of its only sample.
        said = family.samples[0].labels if family.type == "info" else getattr(family, "_labelnames", ())
        yield described(family.name, family.type, said, family.documentation)


def of_registry(registry: CollectorRegistry) -> Iterator[Described]:
    """What is registered, whether or not it has a value yet."""
    collectors: Iterable[Any] = registry._collector_to_names
    for collector in collectors:
        if getattr(collector, "_labelnames", ()):
            yield described(collector._name, collector._type, collector._labelnames, collector._documentation)
        else:
            yield from of_families(collector.collect())


def worker() -> Iterable[Described]:
    registry = CollectorRegistry()
    WorkerMetrics(registry)
    return of_registry(registry)


def producer() -> Iterable[Described]:
    registry = CollectorRegistry()
    ProducerMetrics(registry)
    return of_registry(registry)


def tracker() -> Iterable[Described]:
    registry = CollectorRegistry()
    TrackerMetrics(registry)
    return of_registry(registry)


def sink() -> Iterable[Described]:
    registry = CollectorRegistry()
    SinkMetrics(registry)
    return of_registry(registry)


def exporter() -> Iterator[Described]:
    yield from of_families(up_metrics(is_up=True, seconds=0.0))
    yield from of_families(broker_metrics(Overview(0, 0), "an incarnation", 0))
    yield from of_families(camera_metrics([], {}))


def every_process() -> Iterable[Described]:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return of_registry(registry)


SECTIONS = (
    Section("Exporter: the ledger", "The truth, by the broker's clock; read when scraped.", exporter),
    Section(
        "Exporter: the registry of cameras",
        "What the producers say of registered cameras; read when scraped.",
        lambda: of_families(camera_registry_metrics({}, ())),
    ),
    Section("Worker", "What this worker has seen since its start; it may miss an event.", worker),
    Section(
        "Tracker",
        "Figures by camera are kept with what is known of it, and go on where another tracker died.",
        tracker,
    ),
    Section("Producer", "What this producer has seen since its start; it may miss an event.", producer),
    Section(
        "Sink", "What this sink has carried since its start; one that is killed may miss an event.", sink
    ),
    Section(
        "Whoever starts several processes",
        "`run`, and `worker` or `producer` with more than one process.",
        lambda: of_registry(RestartCounter().registry),
    ),
    Section("Every process", "Of the process itself; on Linux only.", every_process),
)


def tables() -> str:
    return "\n".join(map(_section, SECTIONS))


def page() -> str:
    """The page as it has to be: what people wrote, and the tables as the code has them."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{rest.split(END)[1]}"


def _section(section: Section) -> str:
    lines = [f"## {section.title}", "", section.about, "", "| metric | type | labels | unit | meaning |"]
    lines.append("|---|---|---|---|---|")
    for each in sorted(section.describe(), key=lambda each: each.name):
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines.append(f"| `{each.name}` | {each.kind} | {labels} | {each.unit} | {each.about} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--write", action="store_true", help=f"write them into docs/{PAGE.name}")
    if options.parse_args().write:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(tables(), end="")


if __name__ == "__main__":
    main()
