"""Writes the golden bytes of contract version 1 with msgpack alone, not with the code they test.

Usage: python tests/golden/make.py. Done once, when the version was made: these bytes stand for what was
sent then, so they are never written anew; a new version gets files of its own beside them.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgpack

HERE = Path(__file__).parent


def main() -> None:
    for source in sorted(HERE.glob("*.v1.json")):
        target = source.with_suffix(".msgpack")
        if not target.exists():
            target.write_bytes(msgpack.packb(json.loads(source.read_text())))


if __name__ == "__main__":
    main()
