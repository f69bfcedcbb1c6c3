"""Pictures a user names, each with the place it has in the results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facestream.contract import FaceMap, FrameHeader, ResultMap, describe_result
from facestream.errors import FacestreamError, ImageError
from facestream.names import unique_slug
from facestream_models.images import list_images, shown

# Pictures have no times of their own: those of a folder follow one another as they do in `facestream run`.
PICTURE_US = 40_000
WORKER = "classify"


@dataclass(frozen=True, slots=True)
class Picture:
    """One file to read. source: its name below the folder it was named by; position: its place in there."""

    path: Path
    camera: str
    source: str
    position: int = 0


@dataclass(slots=True)
class Pictures:
    """What was found, and one line for everything named that holds no picture."""

    found: list[Picture]
    problems: list[str]


def expand_pictures(paths: Iterable[Path], *, recursive: bool) -> Pictures:
    """The pictures named: a file is a camera of its own, a folder is one, its pictures in natural order."""
    pictures, cameras = Pictures([], []), set[str]()
    for path in paths:
        camera = unique_slug(path.name or path.absolute().name, cameras)
        cameras.add(camera)
        if not path.is_dir():
            pictures.found.append(Picture(path, camera, path.name))
            continue
        try:
            pictures.found += _of_folder(path, camera, recursive)
        except FacestreamError as error:
            pictures.problems.append(str(error))
    return pictures


def _of_folder(folder: Path, camera: str, recursive: bool) -> list[Picture]:
    found = list_images(folder, recursive=recursive)
    if not found:
        deeper = "in it or below" if recursive else "in it; --recursive looks into its folders too"
        raise ImageError(f"{shown(folder)} has no picture {deeper}")
    return [
        Picture(path, camera, path.relative_to(folder).as_posix(), position)
        for position, path in enumerate(found)
    ]


def picture_result(
    picture: Picture,
    seq: int,
    size: tuple[int, int],
    faces: list[FaceMap],
    *,
    models: dict[str, str],
    timings_ms: dict[str, float],
    completed_at_us: int,
) -> ResultMap:
    """The result of one picture of (width, height) pixels, as docs/contract.md describes it."""
    width, height = size
    header = FrameHeader(
        camera=picture.camera,
        source=shown(Path(picture.source)),
        epoch=0,
        seq=seq,
        pts_us=picture.position * PICTURE_US,
        captured_at_us=_changed_at_us(picture.path),
        clock="file",
        width=width,
        height=height,
        source_width=width,
        source_height=height,
        region=(0, 0, width, height),
    )
    return describe_result(
        header,
        faces,
        models=models,
        timings_ms=timings_ms,
        worker=WORKER,
        completed_at_us=completed_at_us,
    )


def _changed_at_us(path: Path) -> int:
    try:
        return max(path.stat().st_mtime_ns // 1000, 0)
    except OSError:
        return 0
