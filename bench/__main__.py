"""Every bench on one command, with short settings: tables here, JSON in bench/out.

    python -m bench                                   all of them, in about twelve minutes
    python -m bench worker bus                        some
    python -m bench --write docs/performance.md       also into the document, between its markers

Each can be run alone with settings of its own: python -m bench.worker --help, and so on. Accuracy is
measured on a sample here (python -m bench.accuracy for all of it).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import (
    adoption,
    attached,
    broker,
    bus,
    cameras,
    capture,
    codec,
    growth,
    idle,
    live,
    memory,
    reference,
    results,
    scaling,
    sinks,
    startup,
    tracks,
    worker,
    workers,
)
from bench.bench import OUT, ROOT, Bench, one_line_on_error, open_console
from facestream.errors import UsageError
from facestream_bench.report import Report, machine_markdown

BENCHES: dict[str, Bench] = {
    each.name: each
    for each in (
        worker.BENCH,
        reference.BENCH,
        growth.BENCH,
        live.LATENCY,
        live.CARRIED,
        workers.BENCH,
        memory.BENCH,
        startup.BENCH,
        bus.BENCH,
        broker.BENCH,
        idle.BENCH,
        adoption.BENCH,
        scaling.BENCH,
        capture.BENCH,
        cameras.BENCH,
        attached.BENCH,
        codec.BENCH,
        results.BENCH,
        tracks.BENCH,
        sinks.BENCH,
    )
}
ACCURACY = "accuracy"
ACCURACY_LIMIT = 200


def main() -> int:
    options = _options()
    return one_line_on_error(lambda: run(options.names or [*BENCHES, ACCURACY], options.write))


def run(names: Sequence[str], document: Path | None) -> None:
    reports = [BENCHES[name].run(BENCHES[name].short) for name in names if name in BENCHES]
    if ACCURACY in names:
        _run_accuracy()
    if document and reports:
        write_into(document, reports)
        open_console().print(f"{document} brought up to date")


def write_into(document: Path, reports: Sequence[Report]) -> None:
    """Replace what stands between `<!-- bench:NAME -->` and `<!-- end -->`; UsageError without them."""
    try:
        text = document.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {document} ({error.strerror}): name a document with markers") from None
    parts = {report.name: report.to_markdown() for report in reports}
    parts["machine"] = machine_markdown(reports[0].machine)
    for name, part in parts.items():
        before, start, rest = text.partition(f"<!-- bench:{name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not end:
            raise UsageError(
                f"{document} has no place for {name}: add <!-- bench:{name} --> and <!-- end -->"
            )
        text = f"{before}{start}\n{part}\n\n{end}{after}"
    document.write_text(text, encoding="utf-8")


def _run_accuracy() -> None:
    """A process of its own: it needs data beside the project, and says what it skips."""
    out = OUT / "accuracy-sample.json"
    command = [sys.executable, "-m", "bench.accuracy", "--limit", str(ACCURACY_LIMIT), "--out", str(out)]
    subprocess.run(command, check=True, cwd=ROOT)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*BENCHES, ACCURACY]
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of {', '.join(names)}; all unless given"
    )
    parser.add_argument("--write", type=Path, metavar="DOCUMENT", help="put the tables between its markers")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in names]
    if unknown:
        parser.error(f"no bench is called {unknown[0]!r}: choose of {', '.join(names)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
