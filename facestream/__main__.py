"""The `facestream` command, which needs more than programs that read results do."""

from __future__ import annotations

import sys
from typing import NoReturn

from facestream.missing import describe_missing


def main() -> NoReturn:
    """Run the command line, or say in one line what is missing for it."""
    try:
        from facestream.commands.app import main as run_command_line

        run_command_line()
    except ModuleNotFoundError as error:
        print(f"facestream: {describe_missing(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
