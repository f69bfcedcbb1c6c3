"""How often a tracker confuses people who pass each other, by how it chooses pairs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest.mock import patch

from facestream_bench.report import Grid
from facestream_tracker import tracker
from facestream_tracker.assignment import UNPAIRED, Costs, Pair, assign, cheapest_first
from facestream_tracker.observation import Frame, Seen

Choose = Callable[[Costs], list[Pair]]

_WIDTH, _HEIGHT, _SECONDS = 1000, 500, 20
_SEEN_SHARE, _JITTER = 0.9, 0.03


@dataclass(slots=True)
class _Walker:
    x: float
    y: float
    across: float
    down: float

    def walk(self, seconds: float) -> None:
        self.x, self.y = self.x + self.across * seconds, self.y + self.down * seconds
        if not 40 < self.x < _WIDTH - 40:
            self.across = -self.across
        if not 40 < self.y < _HEIGHT - 40:
            self.down = -self.down


def crowds(scenes: int) -> Grid:
    """Made-up people who walk at up to 2.5 face sizes a second, each found in nine frames of ten."""
    rows: list[list[str | int | float | None]] = []
    for faces, fps, size in ((6, 5, 50), (12, 5, 50), (20, 5, 40), (12, 2, 40)):
        own, other = (_confused(choose, scenes, faces, fps, size) for choose in (assign, cheapest_first))
        rows.append([faces, fps, faces * scenes, *own, *other])
    columns = ("faces", "frames/s", "people", "tracks", "confused", "tracks, greedy", "confused, greedy")
    title = "Crowds: the least cost in all, and greedy, which takes the cheapest pair first"
    return Grid("crowds", title, columns, rows, 0)


def choices(rounds: int = 300) -> Grid:
    """What a choice of pairs costs."""
    shuffle, best = random.Random(7), _scipy()
    rows: list[list[str | int | float | None]] = []
    for faces, others in ((4, 0), (4, 1), (12, 2), (24, 4)):
        frames = [_costs(shuffle, faces, others) for _ in range(rounds)]
        times = [_us(choose, frames) if choose else None for choose in (assign, cheapest_first, best)]
        rows.append([faces, others, *times])
    title = "Choosing pairs (us of processor time a frame); SciPy where it is installed"
    return Grid("choices_us", title, ("faces", "others possible for each", "own", "greedy", "SciPy"), rows)


def _confused(choose: Choose, scenes: int, faces: int, fps: int, size: float) -> tuple[int, int]:
    """Tracks, and how often one went from one person to another."""
    tracks, changes = 0, 0
    with patch.object(tracker, "assign", choose):
        for seed in range(scenes):
            tracked, owners = tracker.Tracker(), dict[str, int]()
            known: set[str] = set()
            for frame in _scene(random.Random(seed), faces, fps, size):
                tracked.step(frame)
                for track in tracked:
                    if track.last_us == frame.at_us:
                        [who] = [face.index for face in frame.faces if (face.x, face.y) == (track.x, track.y)]
                        changes += owners.setdefault(track.id, who) != who
                        owners[track.id] = who
                        known |= {track.id} if track.confirmed else set()
            tracks += len(known)
    return tracks, changes


def _scene(shuffle: random.Random, faces: int, fps: int, size: float) -> Iterator[Frame]:
    people = [
        _Walker(
            *(shuffle.uniform(50, _WIDTH - 50), shuffle.uniform(50, _HEIGHT - 50)),
            *(shuffle.uniform(-2.5, 2.5) * size, shuffle.uniform(-0.5, 0.5) * size),
        )
        for _ in range(faces)
    ]
    for number in range(_SECONDS * fps):
        found = []
        for who, person in enumerate(people):
            person.walk(1 / fps)
            if shuffle.random() < _SEEN_SHARE:
                x, y = (at + shuffle.gauss(0, _JITTER * size) for at in (person.x, person.y))
                found.append(Seen(who, x, y, size, size, 0.9, 0.8, None, 0.0, None, 0.0))
        yield Frame(1, number, number * 1_000_000 // fps, _WIDTH, _HEIGHT, found)


def _costs(shuffle: random.Random, faces: int, others: int) -> Costs:
    costs = {(face, face): shuffle.random() / 2 for face in range(faces)}
    for face in range(faces):
        for other in shuffle.sample(range(faces), min(others, faces)):
            costs[face, other] = costs.get((face, other), 0.5 + shuffle.random())
    return costs


def _us(choose: Choose, frames: list[Costs]) -> float:
    began = time.process_time()
    for costs in frames:
        choose(costs)
    return 1e6 * (time.process_time() - began) / len(frames)


def _scipy() -> Choose | None:
    """SciPy's, where it is installed: it is no dependency."""
    try:
        import numpy as np
        from scipy.optimize import linear_sum_assignment  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None

    def choose(costs: Costs) -> list[Pair]:
        if not costs:
            return []
        height, width = (max(pair[side] for pair in costs) + 1 for side in (0, 1))
        table = np.full((height, width), UNPAIRED)
        for pair, cost in costs.items():
            table[pair] = cost
        return [pair for pair in zip(*linear_sum_assignment(table), strict=True) if pair in costs]

    return choose
