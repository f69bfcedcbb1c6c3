"""The figures of a reading under the names Prometheus knows them by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from facestream import __version__
from facestream.audit import BROKER, SOURCE
from facestream.bus.ledger import AGE_BOUNDS_MS, Ledger
from facestream.bus.overview import Overview, Standing
from facestream.contract import DropReason, SourceDrop

STATES = ("open", "ended", "killed")
# A reason this release does not know is still counted, under a label that cannot grow.
UNKNOWN = "unknown"


def up_metrics(*, is_up: bool, seconds: float, is_refused: bool = False) -> Iterator[Metric]:
    up = "1 when the broker answered and is fit to use, else 0 and no other figure is given"
    yield GaugeMetricFamily("facestream_broker_up", up, value=float(is_up))
    refused = "1 when the broker refused the exporter: its certificate, its password or what its user may do"
    yield GaugeMetricFamily("facestream_broker_refused", refused, value=float(is_refused))
    took = "Seconds the last reading of the broker took"
    yield GaugeMetricFamily("facestream_exporter_read_seconds", took, value=seconds)
    yield InfoMetricFamily("facestream_exporter", "This exporter's release", value={"version": __version__})


def broker_metrics(overview: Overview, incarnation: str, skipped: int) -> Iterator[Metric]:
    figures: dict[str, tuple[str, float]] = {
        "broker_memory_used_bytes": ("Memory the broker uses", overview.used_bytes),
        "broker_memory_max_bytes": ("Memory the broker may use, 0 for no limit", overview.max_bytes),
        "results_retained": ("Results in the broker for their readers", overview.results),
        "rejects_retained": ("Rejects in the broker for their readers", overview.rejects),
        "workers_alive": ("Workers heard of within the last seconds", len(overview.alive)),
        "frames_orphaned": ("Frames of dead workers that wait for the next one", overview.orphans),
        "exporter_skipped": ("Cameras and workers left out: impossible names, broken ledgers", skipped),
    }
    for name, (about, value) in figures.items():
        yield GaugeMetricFamily(f"facestream_{name}", about, value=float(value))
    if incarnation:
        about = "The deployment; a new incarnation has forgotten all before it"
        yield InfoMetricFamily("facestream_deployment", about, value={"incarnation": incarnation})
    held = GaugeMetricFamily("facestream_frames_in_hand", "Frames a worker has taken", labels=["worker"])
    for worker, count in sorted(overview.in_hand.items()):
        held.add_metric([worker], count)
    yield held


def camera_metrics(ledgers: Iterable[Ledger], standings: Mapping[str, Standing]) -> Iterator[Metric]:
    ledgers = list(ledgers)
    yield from _counters(ledgers)
    yield _dropped(ledgers)
    yield from _gauges(ledgers)
    yield from _standings([standings[one.camera] for one in ledgers if one.camera in standings])
    yield _ages(ledgers)


def _counters(ledgers: list[Ledger]) -> Iterator[Metric]:
    # Without what is in the producer's hands: that may die with it, and a counter must never fall.
    captured = CounterMetricFamily(
        "facestream_captured", "Frames captured and since published or dropped", labels=["camera"]
    )
    published = CounterMetricFamily("facestream_published", "Frames published", labels=["camera"])
    results = CounterMetricFamily("facestream_results", "Frames that ended as a result", labels=["camera"])
    for ledger in ledgers:
        captured.add_metric([ledger.camera], ledger.captured - ledger.in_hand_of_producer)
        published.add_metric([ledger.camera], ledger.published)
        results.add_metric([ledger.camera], ledger.results)
    yield from (captured, published, results)


def _dropped(ledgers: list[Ledger]) -> Metric:
    dropped = CounterMetricFamily(
        "facestream_dropped",
        "Frames that ended without a result: before publication (where=source) or after (where=broker)",
        labels=["camera", "reason", "where"],
    )
    for ledger in ledgers:
        for where, counts, known in (
            (SOURCE, ledger.dropped_at_source, SourceDrop),
            (BROKER, ledger.dropped, DropReason),
        ):
            for reason, count in _by_known_reason(counts, frozenset(known)).items():
                dropped.add_metric([ledger.camera, reason, where], count)
    return dropped


def _by_known_reason(counts: Mapping[str, int], known: frozenset[str]) -> dict[str, int]:
    tidy: dict[str, int] = {}
    for reason, count in sorted(counts.items()):
        name = reason if reason in known else UNKNOWN
        tidy[name] = tidy.get(name, 0) + count
    return tidy


def _gauges(ledgers: list[Ledger]) -> Iterator[Metric]:
    in_flight = GaugeMetricFamily(
        "facestream_frames_in_flight",
        "Frames published and still in the broker, as measured",
        labels=["camera"],
    )
    at_producer = GaugeMetricFamily(
        "facestream_frames_at_producer", "Frames captured and in their producer's hands", labels=["camera"]
    )
    unaccounted = GaugeMetricFamily(
        "facestream_unaccounted_frames",
        "Frames by which an identity of the ledger does not close: 0 unless some were lost",
        labels=["camera", "identity"],
    )
    for ledger in ledgers:
        in_flight.add_metric([ledger.camera], ledger.in_flight)
        at_producer.add_metric([ledger.camera], ledger.in_hand_of_producer)
        unaccounted.add_metric([ledger.camera, SOURCE], ledger.source_difference)
        unaccounted.add_metric([ledger.camera, BROKER], ledger.broker_difference)
    yield from (in_flight, at_producer, unaccounted)


def _standings(standings: list[Standing]) -> Iterator[Metric]:
    unread = GaugeMetricFamily(
        "facestream_frames_unread", "Frames published that no worker has taken yet", labels=["camera"]
    )
    waited = GaugeMetricFamily(
        "facestream_oldest_unread_age_seconds",
        "How long the oldest unread frame has been in the broker, 0 when none is unread",
        labels=["camera"],
    )
    state = GaugeMetricFamily(
        "facestream_epoch_state",
        "1 for the state of the camera's last epoch: open, ended, or killed when its producer fell silent",
        labels=["camera", "state"],
    )
    for standing in standings:
        unread.add_metric([standing.camera], standing.unread)
        waited.add_metric([standing.camera], (standing.waited_ms or 0) / 1000)
        for name in STATES:
            state.add_metric([standing.camera, name], float(standing.state == name))
    yield from (unread, waited, state)


def _ages(ledgers: list[Ledger]) -> Metric:
    ages = HistogramMetricFamily(
        "facestream_result_age_seconds",
        "Age of a frame when its result was published, by the broker's clock",
        labels=["camera"],
    )
    for ledger in ledgers:
        buckets, within = [], 0
        for bound_ms in AGE_BOUNDS_MS:
            within += ledger.ages.get(str(bound_ms), 0)
            buckets.append((str(bound_ms / 1000), float(within)))
        buckets.append(("+Inf", float(within + ledger.ages.get("inf", 0))))
        ages.add_metric([ledger.camera], buckets, sum_value=ledger.age_sum_ms / 1000)
    return ages
