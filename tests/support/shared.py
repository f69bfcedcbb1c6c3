"""Clips beside the project that may not be part of it; tests with them are marked `shared_data`."""

from __future__ import annotations

from pathlib import Path

import pytest

VIDEOS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "videos"


def shared_video(name: str) -> Path:
    clip = VIDEOS / name
    if not clip.exists():
        pytest.skip(f"needs {name}, which is not part of the project")
    return clip
