"""What a user names becomes sources: files, folders, globs, cameras, the demo scene."""

from __future__ import annotations

import re
from collections.abc import Iterable
from glob import glob, has_magic
from pathlib import Path

from facestream.errors import SourceMissing, SourceUnreadable, UsageError
from facestream.recording.entries import SUFFIX
from facestream_models.images import IMAGE_SUFFIXES, shown
from facestream_producer.demo import PREFIX, parse_demo
from facestream_producer.device import DeviceSource, is_device
from facestream_producer.folder import FolderSource
from facestream_producer.recorded import RecordingSource, is_recording, part_of, parts
from facestream_producer.source import Source
from facestream_producer.video import VideoSource

VIDEO_SUFFIXES = frozenset(
    [".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m1v", ".m2v"]
    + [".vob", ".ts", ".mts", ".m2ts", ".flv", ".asf", ".wmv", ".ogv", ".ogg", ".ivf", ".mjpeg", ".mjpg"]
    + [".h264", ".264", ".h265", ".265", ".hevc", ".y4m", ".mxf", ".dv", ".gif"]
)
# A GIF is a film alone or among films, and a picture among pictures.
_EITHER = frozenset({".gif"})
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def open_source(text: str) -> Source:
    """The source one entry of `expand` names.

    Raises SourceMissing, SourceUnreadable or UsageError with one line that says what to do.
    """
    if text.startswith(PREFIX):
        return parse_demo(text)
    _refuse_address(text)
    if is_device(text):
        return DeviceSource(text)
    if is_recording(text):
        return RecordingSource(*part_of(text))
    path = Path(text)
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES - _EITHER:
        return FolderSource(path)
    return VideoSource(path)


def expand(texts: Iterable[str]) -> list[str]:
    """One entry for every source named, in order; each can be given to `open_source`.

    A glob stands for what it matches, a folder of videos for each of them, a folder of pictures for
    itself, a recording for each of its cameras. A name that is no glob stays, there or not, so that one
    that is missing harms no other.
    Raises SourceMissing for a glob that matches nothing, SourceUnreadable for a folder with nothing in
    it that can be read, UsageError for one that holds both or for a network address.
    """
    return [source for text in texts for source in _expand_one(text)]


def _expand_one(text: str) -> list[str]:
    if text.startswith(PREFIX) or is_device(text):
        return [text]
    _refuse_address(text)
    path = Path(text)
    if path.is_dir():
        return _expand_folder(path)
    if not has_magic(text) or path.exists():
        return parts(text) if is_recording(text) else [text]
    matches = sorted(glob(text, recursive=True), key=natural_key)  # noqa: PTH207 (absolute and ** alike)
    files = [match for match in matches if Path(match).is_dir() or _suffix(match) in _known_suffixes()]
    if not files:
        seen = f" that is a video, a picture or a folder ({len(matches)} other files)" if matches else ""
        raise SourceMissing(f"nothing{seen} matches {shown(path)}")
    return [source for match in files for source in _expand_one(match)]


def _expand_folder(folder: Path) -> list[str]:
    try:
        names = sorted((entry.name for entry in folder.iterdir() if entry.is_file()), key=natural_key)
    except OSError:
        raise SourceUnreadable(f"the folder {shown(folder)} cannot be read: permission denied") from None
    names = [name for name in names if not name.startswith(".")]
    videos = [name for name in names if _suffix(name) in VIDEO_SUFFIXES]
    pictures = [name for name in names if _suffix(name) in IMAGE_SUFFIXES]
    only_videos = [name for name in videos if _suffix(name) not in _EITHER]
    only_pictures = [name for name in pictures if _suffix(name) not in _EITHER]
    if only_videos and only_pictures:
        raise UsageError(
            f"the folder {shown(folder)} holds {len(only_videos)} videos and {len(only_pictures)} pictures: "
            f"name the ones you mean, such as '{shown(folder)}/*{Path(only_videos[0]).suffix}'"
        )
    if only_pictures:
        return [str(folder)]
    if videos:
        return [str(folder / name) for name in videos]
    raise SourceUnreadable(
        f"the folder {shown(folder)} holds no video and no picture ({len(names)} other files)"
    )


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorts clip2 before clip10."""
    parts = re.split(r"([0-9]+)", name)
    return [
        (0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part.casefold()) for part in parts
    ]


def _refuse_address(text: str) -> None:
    address = _ADDRESS.match(text)
    if address:
        # The rest of an address may hold a password: only its scheme is repeated.
        raise UsageError(
            f"a camera on the network ({address[1]}://) is attached by name: facestream cameras add NAME "
            "--url-file -, then facestream producer without a source"
        )


def _known_suffixes() -> frozenset[str]:
    return VIDEO_SUFFIXES | IMAGE_SUFFIXES | {SUFFIX}


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()
