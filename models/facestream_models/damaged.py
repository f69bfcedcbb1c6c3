"""A picture whose bytes do not hold together."""

from __future__ import annotations

from facestream.errors import ImageError


class Damaged(ImageError):
    """It began as a picture, then broke off or contradicts itself; the message lacks the file's name."""

    def __init__(self) -> None:
        super().__init__("is damaged or breaks off; copy or download it again")
