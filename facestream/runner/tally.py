"""What one run has done so far, counted from what was really published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from facestream.contract import RejectMap, ResultMap
from facestream.ordering import InOrder

# A batch ends as one: less time than this between the first result and the last says nothing.
RATE_SECONDS = 0.25
_MAX_STRAYS = 10_000


@dataclass(slots=True)
class CameraRun:
    """One source's epoch in this run, from its producer's words and the results that came of it."""

    camera: str
    epoch: int
    given: str
    live: bool
    length: int | None
    in_order: InOrder
    results: int = 0
    captured: int = 0
    published: int = 0
    dropped_at_source: dict[str, int] = field(default_factory=dict)
    ended: bool = False
    error: str | None = None


class Tally:
    """Counts the results and rejects of this run's epochs; others on the same broker are passed over.

    window, lossless_window: how many results may wait for one that is missing, of a live source and of any
    other: a live one drops many and nobody wants to wait, another drops next to none and keeps its order.
    """

    def __init__(self, window: int, lossless_window: int) -> None:
        self.cameras: dict[tuple[str, int], CameraRun] = {}
        self.failed: dict[str, str] = {}
        self.faces = 0
        self.labels: dict[str, Counter[str]] = {}
        self.rejects: Counter[str] = Counter()
        self.reject_examples: dict[str, str] = {}
        self.ages_ms: Counter[int] = Counter()
        self.first_us, self.last_us = 0, 0
        self._window, self._lossless_window = window, lossless_window
        self._strays: list[ResultMap] = []

    def hear(self, event: dict[str, Any]) -> None:
        """One event of the producer."""
        match event["event"]:
            case "began":
                self._begin(event)
            case "ended":
                run = self.cameras[event["camera"], event["epoch"]]
                run.captured, run.published = event["captured"], event["published"]
                run.dropped_at_source, run.error, run.ended = event["dropped"], event["error"], True
            case "failed":
                self.failed[event["source"]] = event["error"]

    def add(self, results: Iterable[ResultMap]) -> Iterator[ResultMap]:
        """Count results; those whose turn has come, in `seq` order per camera.

        A result may be seen before the event that says its epoch is ours, so strangers wait for a while.
        """
        waiting, self._strays = [*self._strays, *results], []
        for result in waiting:
            run = self.cameras.get((result["camera"], result["epoch"]))
            if run is None:
                self._strays.append(result)
                continue
            yield from self._count(run, result)
        del self._strays[:-_MAX_STRAYS]

    def add_rejects(self, rejects: Iterable[RejectMap]) -> None:
        cameras = {run.camera for run in self.cameras.values()}
        for reject in rejects:
            if reject["camera"] in cameras:
                self.rejects[reject["reason"]] += 1
                self.reject_examples.setdefault(reject["reason"], reject["error"])

    def flush(self) -> Iterator[ResultMap]:
        for run in self.cameras.values():
            yield from run.in_order.flush()

    @property
    def failures(self) -> dict[str, str]:
        """Sources that failed at the start or broke off, and why."""
        return self.failed | {run.given: run.error for run in self.cameras.values() if run.error}

    @property
    def results(self) -> int:
        return sum(run.results for run in self.cameras.values())

    @property
    def length(self) -> int | None:
        """Frames to expect in all, when every source knows."""
        lengths = [run.captured if run.ended else run.length for run in self.cameras.values()]
        known = [length for length in lengths if length is not None]
        return sum(known) if known and len(known) == len(lengths) else None

    @property
    def rate(self) -> float:
        """Results per second, from the first to the last; 0 when that is too short to tell."""
        seconds = (self.last_us - self.first_us) / 1e6
        return (self.results - 1) / seconds if seconds > RATE_SECONDS else 0.0

    def age_ms(self, share: float) -> int | None:
        """The age that `share` of the results did not exceed when they were complete."""
        wanted = share * self.ages_ms.total()
        seen = 0
        for age, count in sorted(self.ages_ms.items()):
            seen += count
            if seen >= wanted:
                return age
        return None

    def _begin(self, event: dict[str, Any]) -> None:
        key = event["camera"], event["epoch"]
        if key not in self.cameras:
            window = self._window if event["live"] else self._lossless_window
            order = InOrder(window, event["first_seq"])
            self.cameras[key] = CameraRun(*key, event["given"], event["live"], event["length"], order)

    def _count(self, run: CameraRun, result: ResultMap) -> Iterator[ResultMap]:
        yield from run.in_order.add(result)
        run.results += 1
        self.faces += len(result["faces"])
        for face in result["faces"]:
            for role, answer in face["attributes"].items():
                label = answer.get("label")
                if isinstance(label, str):
                    self.labels.setdefault(role, Counter())[label] += 1
        self.ages_ms[max(0, result["completed_at_us"] - result["captured_at_us"]) // 1000] += 1
        self.first_us = min(self.first_us or result["completed_at_us"], result["completed_at_us"])
        self.last_us = max(self.last_us, result["completed_at_us"])
