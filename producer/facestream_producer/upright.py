"""Turns decoded frames the way their display matrix says, so that faces stand upright."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer
from av.video.format import VideoFormat

# Signs of the display matrix's (a, b, c, d), where x' = a·x + c·y and y' = b·x + d·y with y down,
# to the filters that do the same. `vflip` is avoided: it returns planes with negative strides.
_FILTERS: dict[tuple[int, int, int, int], tuple[tuple[str, str | None], ...]] = {
    (1, 0, 0, 1): (),
    (-1, 0, 0, 1): (("hflip", None),),
    (-1, 0, 0, -1): (("transpose", "clock"), ("transpose", "clock")),
    (1, 0, 0, -1): (("transpose", "clock"), ("transpose", "cclock_flip")),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}
_AS_IS = (1, 0, 0, 1)


@dataclass(frozen=True, slots=True)
class _Shape:
    turn: tuple[int, int, int, int]
    width: int
    height: int
    pixel_format: str


class Uprighter:
    """Turns the frames of one stream; frames that are upright already pass untouched."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._shape: _Shape | None = None

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        turn = _turn_of(frame)
        if turn == _AS_IS:
            return frame
        shape = _Shape(turn, frame.width, frame.height, frame.format.name)
        if self._graph is None or shape != self._shape:
            self._graph, self._shape = _graph_for(shape), shape
        pts, time_base = frame.pts, frame.time_base
        # The graph is given no time of its own: it only turns pictures, one in, one out.
        frame.pts = None
        self._graph.vpush(frame)
        turned = self._graph.vpull()
        turned.pts, turned.time_base = pts, time_base
        return turned


def _turn_of(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    # A container of our own: the frame's would hold the frame, and both wait for the garbage collector.
    matrix: Any = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    if matrix is None:
        return _AS_IS
    values = np.frombuffer(matrix, np.int32)
    a, b, c, d = (int(values[index]) for index in (0, 1, 3, 4))
    signs = [(value > 0) - (value < 0) for value in (a, b, c, d)]
    straight = abs(a) + abs(d) >= abs(b) + abs(c)
    turn = (signs[0], 0, 0, signs[3]) if straight else (0, signs[1], signs[2], 0)
    return turn if turn in _FILTERS else _AS_IS


def _graph_for(shape: _Shape) -> Graph:
    graph = Graph()
    graph.threads = 1
    nodes = [
        graph.add_buffer(
            width=shape.width,
            height=shape.height,
            format=VideoFormat(shape.pixel_format),
            time_base=Fraction(1, 1_000_000),
        )
    ]
    nodes += [graph.add(name, argument) for name, argument in _FILTERS[shape.turn]]
    nodes.append(graph.add("buffersink"))
    for upstream, downstream in pairwise(nodes):
        upstream.link_to(downstream)
    graph.configure()
    return graph
