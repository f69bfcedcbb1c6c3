"""One bench as a command: options in, tables and JSON out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from facestream.errors import FacestreamError
from facestream_bench.report import Report

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "bench" / "out"
SHARED_VIDEOS = ROOT.parent / "shared" / "data" / "videos"


@dataclass(frozen=True, slots=True)
class Bench:
    """name: of the module and of the JSON file. short: the options with which `python -m bench` runs it."""

    name: str
    doc: str
    add_options: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[argparse.Namespace, str], Report]
    short: Sequence[str] = ()

    def run(self, arguments: Sequence[str]) -> Report:
        """Measure, print the tables, write the JSON."""
        options = self._parse(arguments)
        command = " ".join(["python -m", f"bench.{self.name}", *map(_portable, arguments)])
        report = self.measure(options, command)
        console = open_console()
        report.print(console)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
        console.print(f"written to {_portable(str(options.out))}", soft_wrap=True)
        return report

    def main(self) -> int:
        return one_line_on_error(lambda: self.run(sys.argv[1:]))

    def _parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        parser = argparse.ArgumentParser(
            prog=f"python -m bench.{self.name}",
            description=self.doc,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_options(parser)
        parser.add_argument("--out", type=Path, default=OUT / f"{self.name}.json", help="where the JSON goes")
        return parser.parse_args(arguments)


def open_console() -> Console:
    """Wide enough for the tables where there is no terminal to ask."""
    return Console() if sys.stdout.isatty() else Console(width=110)


def one_line_on_error(action: Callable[[], object]) -> int:
    """Run it; the exit status. What a user can mend is said in one line."""
    try:
        action()
    except FacestreamError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def shared_clip(name: str, otherwise: str) -> str:
    """A clip of the data beside the project, which only some have; else `otherwise`."""
    clip = SHARED_VIDEOS / name
    return str(clip) if clip.exists() else otherwise


def _portable(text: str) -> str:
    """A path as it is typed from the project's own folder."""
    return os.path.relpath(text, ROOT) if text.startswith(str(ROOT.parent) + os.sep) else text
