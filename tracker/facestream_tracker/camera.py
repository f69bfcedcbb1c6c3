"""All the tracker knows of one camera: the order of its frames, its tracks, its minutes, and its sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import msgpack

from facestream.contract import MINUTE_US, AudienceMap, ResultMap, TrackMap
from facestream.lines import Line
from facestream_tracker.audience import Audience
from facestream_tracker.events import describe_track
from facestream_tracker.observation import UNKNOWN, Frame, observe
from facestream_tracker.order import Order
from facestream_tracker.track import MAX_CROSSINGS, SECOND_US, Track
from facestream_tracker.tracker import Change, Tracker

SNAPSHOT_VERSION: Final = 1
MAX_SNAPSHOT_BYTES: Final = 4 << 20
"""Of one camera: 512 tracks with their paths, 64 frames that wait, three minutes of 5,000 people."""
SILENT_MS, SILENT_FILE_MS = 10_000, 60_000
"""Nothing for so long, by the broker's clock: what waits is no longer waited for. A file is never late."""
_PLAIN: Final = [int, int, int, bool, int]
_STEP_BACK_US: Final = 2 * SECOND_US
# Beside a line is who is this part of a face's height away from it: else a head that nods would pass it.
_CLEAR_OF_LINE: Final = 0.25


@dataclass(slots=True)
class Said:
    """What there is to publish, oldest first."""

    tracks: list[TrackMap] = field(default_factory=list)
    minutes: list[AudienceMap] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.tracks or self.minutes)


@dataclass(slots=True)
class Camera:
    """Takes a camera's results and says what became of it. Pure: the same results give the same, always.

    now_us: capture time of the newest frame. heard_ms: when the broker had the newest result, and epoch_ms
    the newest of this epoch. sums: what `metrics.py` shows, of people and lines over all final minutes.
    """

    name: str
    least_group: int = 1
    lines: tuple[Line, ...] = ()
    epoch: int = -1
    now_us: int = 0
    heard_ms: int = 0
    is_file: bool = False
    epoch_ms: int = 0
    order: Order = field(default_factory=Order)
    tracker: Tracker = field(default_factory=Tracker)
    audience: Audience = field(init=False)
    sums: Counter[str] = field(default_factory=Counter)
    said: Said = field(default_factory=Said)

    def __post_init__(self) -> None:
        self.audience = Audience(self.name, self.least_group)

    def take(self, result: ResultMap, heard_ms: int = 0) -> None:
        """A result, in whatever order; one that was taken before changes nothing."""
        self.heard_ms, self.is_file = max(self.heard_ms, heard_ms), result["clock"] == "file"
        epoch = result["epoch"]
        if epoch < self.epoch and heard_ms - self.epoch_ms < SILENT_MS:
            self.sums["ignored"] += 1
            return
        if epoch != self.epoch:
            # An older one goes on when the newer is silent: of a broker whose clock was wrong, or a forgery.
            self._begin(epoch)
        self.epoch_ms = heard_ms
        frame = observe(result)
        ready, is_late = self.order.add(frame)
        if is_late:
            self._late(frame)
        for each in ready:
            self._step(each)

    def pass_time(self, clock_ms: int) -> None:
        """Nothing came for a while by the broker's clock: what is over without further frames is said."""
        silent_ms = clock_ms - self.heard_ms
        is_over = not (self.tracker.tracks or self.order.waiting or self.audience.minutes)
        if is_over or silent_ms < (SILENT_FILE_MS if self.is_file else SILENT_MS):
            return
        for frame in self.order.flush():
            self._step(frame)
        now_us = self.now_us + silent_ms * 1000
        self._tell(self.tracker.pass_time(now_us))
        self._tell_minutes(self.audience.advance(now_us, self.tracker, self._line_names()))

    def finish(self) -> None:
        """There is no more: all that is open is closed, every minute final."""
        for frame in self.order.flush():
            self._step(frame)
        self._tell(self.tracker.close_all())
        self._tell_minutes(self.audience.finish(self._line_names()))

    def take_said(self) -> Said:
        said, self.said = self.said, Said()
        return said

    def _begin(self, epoch: int) -> None:
        for frame in self.order.flush():
            self._step(frame)
        self._tell(self.tracker.close_all())
        self.epoch, self.order = epoch, Order()
        self.now_us = 0

    def _step(self, frame: Frame) -> None:
        if frame.at_us < self.now_us - _STEP_BACK_US:
            self._tell(self.tracker.close_all())
        else:
            frame.at_us = max(frame.at_us, self.now_us)
        self.now_us = frame.at_us
        if self.audience.is_final(frame.at_us):
            self._tell_minutes(self.audience.finish(self._line_names()))
            self.audience.turn_back(frame.at_us)
        self.audience.mark(frame.at_us)
        self.sums["results"] += 1
        changes = self.tracker.step(frame)
        self._follow(frame, changes)
        self._tell(changes)
        self._tell_minutes(self.audience.advance(frame.at_us, self.tracker, self._line_names()))

    def _late(self, frame: Frame) -> None:
        self.sums["late"] += 1
        self.tracker.late(frame)
        if not self.audience.mark_late(frame.at_us):
            self.sums["ignored"] += 1

    def _follow(self, frame: Frame, changes: Sequence[tuple[Change, Track]]) -> None:
        """Who is seen now is counted in this minute; who was found to be somebody, in those before too."""
        new = {track.id for change, track in changes if change is Change.OPENED}
        for track in self.tracker.tracks:
            if not track.confirmed or track.last_us != frame.at_us:
                continue
            if track.id in new:
                self.audience.see(track, track.first_us)
            elif track.minute != frame.at_us // MINUTE_US:
                self.audience.see(track, frame.at_us)
            track.minute = frame.at_us // MINUTE_US
            for line in self.lines:
                self._watch(line, track, frame)

    def _watch(self, line: Line, track: Track, frame: Frame) -> None:
        """Whether somebody who was clearly on one side of a line is now clearly on the other."""
        if line.name not in track.sides:
            track.sides[line.name] = _beside(line, *track.began_at)
        x, y = track.x / frame.width, track.y / frame.height
        side, before_x, before_y = track.sides[line.name]
        now = _beside(line, x, y, track.height / frame.height)
        if not now[0]:
            return
        track.sides[line.name] = now
        if side and side != now[0] and line.is_crossed((before_x, before_y), (x, y)):
            is_entry = now[0] > 0
            self.audience.pass_line(line.name, is_entry, frame.at_us)
            crossing = (line.name, "entry" if is_entry else "exit", frame.at_us)
            track.crossings = [*track.crossings[1 - MAX_CROSSINGS :], crossing]

    def _tell(self, changes: Sequence[tuple[Change, Track]]) -> None:
        for change, track in changes:
            if change is Change.CLOSED:
                self.audience.leave(track)
            self.said.tracks.append(describe_track(self.name, self.epoch, change, track))

    def _tell_minutes(self, minutes: Iterable[AudienceMap]) -> None:
        for minute in minutes:
            self.said.minutes.append(minute)
            if minute["final"]:
                self._add_up(minute)

    def _add_up(self, minute: AudienceMap) -> None:
        self.sums["minutes"] += 1
        self.sums["no_data_ms"] += round(minute["no_data"] * MINUTE_US / 1000)
        split = minute["left_labels"] or {UNKNOWN: minute["left"] or 0}
        for label, count in split.items():
            self.sums[f"people:{label}"] += count
        for name, passed in minute["lines"].items():
            self.sums[f"entries:{name}"] += passed["entries"] or 0
            self.sums[f"exits:{name}"] += passed["exits"] or 0

    def _line_names(self) -> list[str]:
        return [line.name for line in self.lines]

    def pack(self) -> bytes:
        """All of it as it is, but for what there is to publish and the settings."""
        packed: bytes = msgpack.packb(
            [
                *(SNAPSHOT_VERSION, self.epoch, self.now_us, self.heard_ms, self.is_file, self.epoch_ms),
                *(self.order.pack(), self.tracker.pack(), self.audience.pack(), dict(self.sums)),
            ]
        )
        return packed

    @classmethod
    def unpack(cls, name: str, least_group: int, lines: tuple[Line, ...], packed: bytes) -> Self | None:
        """What was packed; None for what another release packed, or nobody did."""
        if len(packed) > MAX_SNAPSHOT_BYTES:
            return None
        try:
            version, *plain, order, tracker, audience, sums = msgpack.unpackb(packed)
            if version != SNAPSHOT_VERSION or [*map(type, plain)] != _PLAIN:
                return None
            camera = cls(name, least_group, lines, *plain)
            camera.order, camera.tracker = Order.unpack(order), Tracker.unpack(tracker)
            camera.audience = Audience.unpack(name, least_group, audience)
            camera.sums = Counter(sums)
        except (ValueError, TypeError, LookupError, AttributeError, msgpack.UnpackException):
            return None
        return camera


def _beside(line: Line, x: float, y: float, height: float) -> tuple[int, float, float]:
    """1 to the right, -1 to the left, 0 on it or nearly so; and the point."""
    away = line.side(x, y)
    if abs(away) < _CLEAR_OF_LINE * height:
        return 0, x, y
    return (1 if away > 0 else -1), x, y
