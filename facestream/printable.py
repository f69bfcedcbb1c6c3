"""Text of strangers on its way to a terminal."""

from __future__ import annotations


def printable(text: str, most: int = 128) -> str:
    """On one line, at most so long, and nothing in it that steers a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:most])
