"""Tells pictures in which something moved from those in which nothing did, for next to nothing."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Interpolation, VideoReformatter

from facestream.zones import Ring, Zone
from facestream_producer.source import MICROSECONDS, Pixels

CHANGED_SHARE = 0.003
MAX_GAP_SECONDS = 10.0
_LONGER_SIDE = 160
# Levels of 255 by which a cell must differ: over the noise of a camera at night, averaged over a cell.
_CELL_LEVELS = 12
# Of the picture: in a smaller zone somebody near can be all there is to see.
_LARGE_ZONE = 0.1
# How much finer than cells a zone's edges are drawn, to tell whose most of a cell is.
_FINER = 8
# Formats whose first plane is the brightness, one byte a pixel.
_PLANAR = frozenset(f"yuv{letter}{kind}p" for letter in ("", "j") for kind in (410, 411, 420, 422, 440, 444))
_LUMA_FIRST = _PLANAR | {"nv12", "nv21", "nv16", "gray"}


class MotionGate:
    """Lets a picture through when it differs from the last one that was let through.

    Against that one, and not the picture before, slow movement adds up. A change of the whole picture's
    brightness (a cloud, an automatic exposure) is none.

    changed_share: the part of the picture that must have changed, 0 to 1.
    zone: what moves outside of it is none of ours.
    max_gap_seconds: one is let through at least this often, whatever it shows; None: only when it moves.
    """

    def __init__(
        self,
        changed_share: float = CHANGED_SHARE,
        max_gap_seconds: float | None = MAX_GAP_SECONDS,
        zone: Zone | None = None,
    ) -> None:
        self._share, self._zone = changed_share, zone
        self._mask: Pixels | None = None
        self._gap_us = None if max_gap_seconds is None else max_gap_seconds * MICROSECONDS
        self._last: Pixels | None = None
        self._last_us = 0
        self._reformatter = VideoReformatter()

    def passes(self, picture: av.VideoFrame | Pixels, pts_us: int) -> bool:
        """Whether to keep the picture; one that cannot be judged is kept."""
        small = self._shrink(picture)
        # A recording that begins again, or a clock that went back, is a gap too.
        waited = self._gap_us is not None and not 0 <= pts_us - self._last_us < self._gap_us
        if not waited and small is not None and not self._moved(small):
            return False
        self._last, self._last_us = small, pts_us
        return True

    def _moved(self, small: Pixels) -> bool:
        last = self._last
        if last is None or last.shape != small.shape:
            return True
        mask = self._mask_of(small)
        # As many levels brighter on the whole are no movement; a small zone is no whole.
        lit = mask if mask is not None and cv2.countNonZero(mask) > _LARGE_ZONE * small.size else None
        shift = cv2.mean(small, lit)[0] - cv2.mean(last, lit)[0]
        brighter = cv2.addWeighted(last, 1.0, last, 0.0, shift) if abs(shift) >= 1 else last
        changed = cv2.threshold(cv2.absdiff(small, brighter), _CELL_LEVELS, 255, cv2.THRESH_BINARY)[1]
        if mask is None:
            return cv2.countNonZero(changed) > self._share * small.size
        # Whoever moves is no smaller in a small zone; but all of it is enough.
        enough = min(self._share * small.size, cv2.countNonZero(mask) / 2)
        return cv2.countNonZero(cv2.bitwise_and(changed, mask)) > enough

    def _mask_of(self, small: Pixels) -> Pixels | None:
        """255 where the zone is, None without one."""
        if self._zone is not None and (self._mask is None or self._mask.shape != small.shape):
            self._mask = zone_mask(self._zone, small.shape[1], small.shape[0])
        return self._mask

    def _shrink(self, picture: av.VideoFrame | Pixels) -> Pixels | None:
        luma = self._luma(picture)
        if luma is None:
            return None
        scale = _LONGER_SIDE / max(luma.shape)
        if scale >= 1:
            return luma
        # Areas are averaged, which takes the noise out; whole steps are the fast way.
        step = max(1, round(1 / scale))
        height, width = luma.shape[0] // step, luma.shape[1] // step
        whole = luma[: height * step, : width * step]
        return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def _luma(self, picture: av.VideoFrame | Pixels) -> Pixels | None:
        if isinstance(picture, np.ndarray):
            return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        if picture.format.name not in _LUMA_FIRST:
            try:
                picture = self._reformatter.reformat(
                    picture, format="gray", interpolation=Interpolation.FAST_BILINEAR, threads=1
                )
            except (FFmpegError, ValueError):
                return None
        plane = picture.planes[0]
        rows: Pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        return rows[:, : plane.width]


def zone_mask(zone: Zone, width: int, height: int) -> Pixels:
    """A picture (height, width) that is 255 inside of the zone and 0 outside."""
    fine = np.full((height * _FINER, width * _FINER), 0 if zone.include else 255, np.uint8)
    if zone.include:
        _fill(fine, zone.include, 255)
    for ring in zone.exclude:
        _fill(fine, ring, 0)
    shares = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return np.where(shares > 127, 255, 0).astype(np.uint8)


def _fill(mask: Pixels, ring: Ring, value: int) -> None:
    corners = np.array(ring) * (mask.shape[1], mask.shape[0]) - 0.5
    cv2.fillPoly(mask, [corners.round().astype(np.int32)], (value,))
