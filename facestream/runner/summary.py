"""The end of a run, in words and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.table import Table
from rich.text import Text

from facestream.bus.ledger import Ledger
from facestream.runner.tally import Tally

CAUTION = "labels are apparent, as annotators perceived; never decide anything about a person by them"


@dataclass(slots=True)
class Summary:
    """What a run did.

    `ledger` is the sum over its cameras, read when nothing was in flight any more; `dropped_after` what
    the ledger counted as dropped after publication since the run began.
    """

    tally: Tally
    ledger: Ledger
    dropped_after: dict[str, int]
    workers: int
    restarts: int
    interrupted: bool
    results_path: str | None = None
    results_error: str | None = None
    annotated: list[str] = field(default_factory=list)

    @property
    def captured(self) -> int:
        return sum(run.captured for run in self.tally.cameras.values())

    @property
    def published(self) -> int:
        return sum(run.published for run in self.tally.cameras.values())

    @property
    def dropped(self) -> dict[str, int]:
        """Frames without a result by reason, at the source and after."""
        counts: dict[str, int] = {}
        for run in self.tally.cameras.values():
            for reason, count in run.dropped_at_source.items():
                counts[reason] = counts.get(reason, 0) + count
        for reason, count in self.dropped_after.items():
            counts[reason] = counts.get(reason, 0) + count
        return counts

    @property
    def every_frame_has_one_end(self) -> bool:
        """Both identities of the ledger close, nothing is in flight, and what was counted here agrees."""
        ended = self.tally.results + sum(self.dropped.values())
        return self.ledger.closes and self.ledger.in_flight == 0 and ended == self.captured

    def to_json(self) -> dict[str, Any]:
        ages = {f"p{share}": self.tally.age_ms(share / 100) for share in (50, 95, 99)}
        return {
            "captured": self.captured,
            "published": self.published,
            "results": self.tally.results,
            "dropped": self.dropped,
            "every_frame_has_one_end": self.every_frame_has_one_end,
            "faces": self.tally.faces,
            "labels": {role: dict(counts) for role, counts in self.tally.labels.items()},
            "frames_per_second": round(self.tally.rate, 2),
            "age_ms": ages,
            "workers": self.workers,
            "restarts": self.restarts,
            "interrupted": self.interrupted,
            "failed": self.tally.failures,
            "results_path": self.results_path,
            "results_error": self.results_error,
            "annotated": self.annotated,
        }

    @property
    def is_unfinished(self) -> bool:
        """Whether sources were left before their end without anybody asking this run to stop."""
        return bool(self.dropped.get("shutdown")) and not self.interrupted

    def to_table(self) -> Table:
        table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold")
        table.add_column()
        for name, value in self._rows():
            table.add_row(name, Text(value))  # not markup: a file's name may hold brackets
        return table

    def _rows(self) -> list[tuple[str, str]]:
        tally = self.tally
        results = tally.results
        verdict = (
            "every frame has one end" if self.every_frame_has_one_end else "NOT ALL FRAMES ACCOUNTED FOR"
        )
        rows = [
            ("captured", f"{self.captured:,}"),
            ("published", f"{self.published:,}"),
            ("results", f"{results:,}  ({verdict})"),
            ("dropped", _counts(self.dropped) or "none"),
        ]
        rows += [(f"  {reason}", text) for reason, text in tally.reject_examples.items()]
        rows.append(
            ("faces", f"{tally.faces:,}" + (f"  ({tally.faces / results:.2f} a frame)" if results else ""))
        )
        rows += [(role, _counts(counts)) for role, counts in tally.labels.items()]
        if tally.labels:
            rows.append(("", CAUTION))
        rows.append(("rate", f"{_rate(tally)}, {self.workers} worker{'s' if self.workers > 1 else ''}"))
        if results:
            ages = [f"p{share} {tally.age_ms(share / 100)} ms" for share in (50, 95, 99)]
            rows.append(("age", ", ".join(ages) + "  (from capture to result)"))
        if self.is_unfinished:
            rows.append(("NOT FINISHED", "the producer was asked to end from outside"))
        if self.restarts:
            rows.append(("restarts", str(self.restarts)))
        if self.results_path and self.results_path != "-":
            error = f"  (NOT COMPLETE: {self.results_error})" if self.results_error else ""
            rows.append(("results in", self.results_path + error))
        rows += [("annotated", path) for path in self.annotated]
        return rows


def _rate(tally: Tally) -> str:
    return f"{tally.rate:.1f} frames/s" if tally.rate else "too few frames to tell"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))
