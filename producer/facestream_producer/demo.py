"""The built-in scene: two portraits, each twice, drifting over a quiet evening; the truth is known."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Event
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from facestream.errors import UsageError
from facestream_models.portraits import portrait_bytes
from facestream_producer.source import MICROSECONDS, Clock, Kind, Pixels, SourceFrame, now_us

PREFIX = "demo:"
WIDTH, HEIGHT = 1280, 720
SECONDS, FPS, SEED = 10.0, 30.0, 1
_MARGIN = 14
_BREATH = 0.05

Box = tuple[float, float, float, float]
Gender = Literal["female", "male"]
_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Portrait:
    """A picture in the package. crop and face: x, y, width, height in its own pixels."""

    file: str
    gender: Gender
    crop: tuple[int, int, int, int]
    face: Box


# The true boxes are the default detector's on the portraits themselves, averaged over three sizes.
_WOMAN = _Portrait("astronaut.png", "female", (126, 2, 196, 232), (179.8, 62.8, 89.9, 113.3))
_MAN = _Portrait("luispedro.jpg", "male", (0, 0, 300, 377), (39.3, 67.6, 182.7, 259.6))

# Each portrait twice: how high its face is in the scene (pixels), and how wide its column.
_CAST: tuple[tuple[_Portrait, float, float], ...] = (
    (_WOMAN, 160, 368),
    (_MAN, 176, 324),
    (_WOMAN, 112, 304),
    (_MAN, 100, 284),
)


@dataclass(frozen=True, slots=True)
class _Drift:
    """One coordinate over time: middle + reach · sin(2π · seconds / period + phase)."""

    middle: float
    reach: float
    period: float
    phase: float

    def at(self, seconds: float) -> float:
        return self.middle + self.reach * math.sin(2 * math.pi * seconds / self.period + self.phase)


class _Actor:
    """One portrait on its way: pre-scaled, softly cut out, in a column of the scene of its own."""

    def __init__(
        self,
        portrait: _Portrait,
        face_height: float,
        column: tuple[float, float],
        rng: random.Random,
        mirrored: bool,
    ) -> None:
        self.gender: Gender = portrait.gender
        scale = face_height / portrait.face[3]
        self._cutout = _cutout(portrait, scale, mirrored)
        height, width = self._cutout.shape[:2]
        self._face = _face_in_cutout(portrait, scale, mirrored)
        room_x = (column[1] - column[0] - width * (1 + _BREATH)) / 2 - _MARGIN
        room_y = (HEIGHT - height * (1 + _BREATH)) / 2 - _MARGIN
        self._x = _Drift((column[0] + column[1]) / 2, room_x, rng.uniform(5, 9), rng.uniform(0, math.tau))
        self._y = _Drift(HEIGHT / 2, room_y, rng.uniform(7, 12), rng.uniform(0, math.tau))
        self._scale = _Drift(1, _BREATH, rng.uniform(4, 8), rng.uniform(0, math.tau))

    def box(self, seconds: float) -> Box:
        scale, left, top = self._placement(seconds)
        x, y, width, height = self._face
        return (left + scale * x, top + scale * y, scale * width, scale * height)

    def draw(self, scene: Pixels, seconds: float) -> None:
        scale, left, top = self._placement(seconds)
        x, y = math.floor(left), math.floor(top)
        height, width = self._cutout.shape[:2]
        # Two pixels more than the cut-out needs, so that fractions of a pixel move smoothly.
        size = (math.ceil(width * scale) + 2, math.ceil(height * scale) + 2)
        # OpenCV's pixel centres are whole numbers; boxes count from the pixels' edges.
        shift = (scale - 1) / 2
        place = np.array([[scale, 0, left - x + shift], [0, scale, top - y + shift]])
        layer = cv2.warpAffine(self._cutout, place, size, flags=cv2.INTER_LINEAR)
        patch = scene[y : y + size[1], x : x + size[0]]
        through = cv2.cvtColor(255 - layer[..., 3], cv2.COLOR_GRAY2BGR)
        patch[...] = cv2.add(cv2.multiply(patch, through, scale=1 / 255), layer[..., :3])

    def _placement(self, seconds: float) -> tuple[float, float, float]:
        scale = self._scale.at(seconds)
        height, width = self._cutout.shape[:2]
        return scale, self._x.at(seconds) - scale * width / 2, self._y.at(seconds) - scale * height / 2


class DemoSource:
    """The scene as a source; the same seed, length and rate give the same frames.

    Four faces, two of a woman and two of a man, 95 to 185 px high, all in view in every frame and
    never touching. Pictures are BGR (720, 1280, 3).
    """

    kind: Kind = "demo"
    live = False
    clock: Clock = "file"

    def __init__(
        self, *, seconds: float = SECONDS, seed: int = SEED, fps: float = FPS, name: str = PREFIX
    ) -> None:
        self.name = name
        self._count, self._rate = max(1, round(seconds * fps)), fps
        self.length: int | None = self._count
        self.fps: float | None = fps
        self.corrupt = 0
        self.seed = seed
        self._closed = Event()

    def frames(self) -> Iterator[SourceFrame]:
        for seq in range(self._count):
            if self._closed.is_set():
                return
            yield SourceFrame(self.picture(seq), round(seq * MICROSECONDS / self._rate), now_us())

    def picture(self, seq: int) -> Pixels:
        scene = self._background.copy()
        for actor in self._actors:
            actor.draw(scene, seq / self._rate)
        return scene

    def truth(self, seq: int) -> list[tuple[Box, Gender]]:
        """The true boxes (x, y, width, height in pixels) and genders of frame `seq`, left to right."""
        return [(actor.box(seq / self._rate), actor.gender) for actor in self._actors]

    def fingerprint(self) -> str:
        return f"demo-1-seed={self.seed}-frames={self._count}-fps={self._rate:g}"

    def close(self) -> None:
        self._closed.set()

    @cached_property
    def _background(self) -> Pixels:
        return _background(random.Random(self.seed))

    @cached_property
    def _actors(self) -> Sequence[_Actor]:
        return _actors(random.Random(self.seed))


def parse_demo(text: str) -> DemoSource:
    """`demo:` or `demo:seconds=5,seed=3,fps=30`; raises UsageError for anything else."""
    limits = {"seconds": (0.01, 3600.0), "seed": (0.0, 2**32), "fps": (1.0, 240.0)}
    values: dict[str, float] = {"seconds": SECONDS, "seed": SEED, "fps": FPS}
    for part in filter(None, text.removeprefix(PREFIX).split(",")):
        key, _, value = part.partition("=")
        try:
            low, high = limits[key]
            values[key] = float(value)
            if not low <= values[key] <= high:
                raise ValueError
        except (KeyError, ValueError):
            raise UsageError(
                f"{part!r} is no setting of the demo scene: write demo: or demo:seconds=5,seed=3,fps=30"
            ) from None
    return DemoSource(seconds=values["seconds"], seed=int(values["seed"]), fps=values["fps"], name=text)


def _actors(rng: random.Random) -> list[_Actor]:
    cast = list(_CAST)
    rng.shuffle(cast)
    first_mirrored = {_WOMAN.file: rng.random() < 0.5, _MAN.file: rng.random() < 0.5}
    actors: list[_Actor] = []
    left = 0.0
    for portrait, face_height, width in cast:
        mirrored = first_mirrored[portrait.file]
        first_mirrored[portrait.file] = not mirrored
        actors.append(_Actor(portrait, face_height, (left, left + width), rng, mirrored))
        left += width
    return actors


def _cutout(portrait: _Portrait, scale: float, mirrored: bool) -> Pixels:
    """The cropped portrait at its size in the scene: premultiplied BGR and opacity, uint8 (h, w, 4)."""
    data = portrait_bytes(portrait.file)
    image = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    x, y, width, height = portrait.crop
    image = image[y : y + height, x : x + width]
    size = (round(width * scale), round(height * scale))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    if mirrored:
        image = cv2.flip(image, 1)
    opacity = _soft_edge(*size)[..., None]
    return (np.concatenate([image * opacity, opacity * 255], axis=2) + 0.5).astype(np.uint8)


def _soft_edge(width: int, height: int) -> _Floats:
    """Opacity of a rounded card whose edge fades out over a few pixels."""
    y, x = np.mgrid[0:height, 0:width]
    across = np.abs((x + 0.5) / width * 2 - 1)
    down = np.abs((y + 0.5) / height * 2 - 1)
    radius = (across**4 + down**4) ** 0.25
    return np.asarray(np.clip((1 - radius) / 0.08, 0, 1), np.float32)


def _face_in_cutout(portrait: _Portrait, scale: float, mirrored: bool) -> Box:
    crop_x, crop_y, crop_width, _ = portrait.crop
    x, y, width, height = portrait.face
    left = x - crop_x
    if mirrored:
        left = crop_width - left - width
    return (left * scale, (y - crop_y) * scale, width * scale, height * scale)


def _background(rng: random.Random) -> Pixels:
    """Dusk over hills: plain enough that nothing in it looks like a face."""
    top, bottom = np.array([96, 62, 44], np.float32), np.array([150, 164, 214], np.float32)
    down = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    scene = np.repeat(top + (bottom - top) * down**1.4, WIDTH, axis=1)
    # One glow where the sun went down; discs of light were tried, and the detector saw faces in them.
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    away = ((x - rng.uniform(0.2, 0.8) * WIDTH) / 420) ** 2 + ((y - HEIGHT * 0.62) / 250) ** 2
    scene += np.exp(-away)[..., None] * np.array([10, 52, 78], np.float32)
    for step, colour in enumerate(((112, 96, 92), (84, 70, 62), (58, 46, 40))):
        scene = _hills(scene, rng, HEIGHT * (0.66 + 0.1 * step), np.array(colour, np.float32))
    return np.clip(scene, 0, 255).astype(np.uint8)


def _hills(scene: _Floats, rng: random.Random, horizon: float, colour: _Floats) -> _Floats:
    x = np.arange(WIDTH)
    ridge = np.full(WIDTH, horizon)
    for _ in range(3):
        ridge += rng.uniform(12, 26) * np.sin(x / rng.uniform(90, 260) + rng.uniform(0, math.tau))
    below = np.clip(np.arange(HEIGHT)[:, None] - ridge[None, :] + 0.5, 0, 1)[..., None].astype(np.float32)
    return np.asarray(scene * (1 - below) + colour * below, np.float32)
