"""Who is whom: the one-to-one choice of pairs that costs least.

Nearly always one face alone is possible for a track. Where it is not, in crowds, taking the cheapest pair
first confuses people more often (9 to 41 %, over 60 scenes of 12 to 20 people). SciPy has the better choice
too, in 140 MB for a hundredth of the work of a frame; here it is sixty lines. bench/tracks.py holds the three
against each other.
"""

from __future__ import annotations

from typing import Final

Pair = tuple[int, int]
Costs = dict[Pair, float]
# Beyond it the cheapest pairs are taken one after the other: no camera shows so many faces that close.
_EXACT_AT_MOST: Final = 24
# What it costs to leave one alone: two perfect strangers are not made a pair by taking another's own face.
UNPAIRED: Final = 2.0


def assign(costs: Costs) -> list[Pair]:
    """Of the pairs (row, column) that are possible, those with the least cost in all; each side once.

    A row that stays alone while another could have had its column costs UNPAIRED.
    """
    rows, columns = {row for row, _ in costs}, {column for _, column in costs}
    if len(rows) == len(columns) == len(costs):
        return list(costs)
    return [pair for group in _groups(costs) for pair in _assign_group(group)]


def _groups(costs: Costs) -> list[Costs]:
    """The pairs in groups that have no row and no column in common: each is a choice of its own."""
    groups: list[tuple[set[int], set[int], Costs]] = []
    for (row, column), cost in costs.items():
        rows, columns, pairs = {row}, {column}, {(row, column): cost}
        apart = []
        for group in groups:
            if row in group[0] or column in group[1]:
                rows |= group[0]
                columns |= group[1]
                pairs |= group[2]
            else:
                apart.append(group)
        groups = [*apart, (rows, columns, pairs)]
    return [pairs for _, _, pairs in groups]


def _assign_group(costs: Costs) -> list[Pair]:
    rows, columns = {row for row, _ in costs}, {column for _, column in costs}
    if max(len(rows), len(columns)) > _EXACT_AT_MOST:
        return cheapest_first(costs)
    return _least_in_all(costs, sorted(rows), sorted(columns))


def cheapest_first(costs: Costs) -> list[Pair]:
    """The cheapest pair, the next one of what is left, and so on."""
    chosen: list[Pair] = []
    rows, columns = set[int](), set[int]()
    for row, column in sorted(costs, key=lambda pair: (costs[pair], pair)):
        if row not in rows and column not in columns:
            chosen.append((row, column))
            rows.add(row)
            columns.add(column)
    return chosen


def _least_in_all(costs: Costs, rows: list[int], columns: list[int]) -> list[Pair]:
    """The Hungarian method with potentials, O(n^2 m); what is impossible costs UNPAIRED."""
    if len(rows) > len(columns):
        turned = {(column, row): cost for (row, column), cost in costs.items()}
        return [(row, column) for column, row in _least_in_all(turned, columns, rows)]
    table = [[costs.get((row, column), UNPAIRED) for column in columns] for row in rows]
    owner = _match(table, len(rows), len(columns))
    pairs = ((rows[row], columns[column]) for column, row in enumerate(owner) if row is not None)
    return [pair for pair in pairs if pair in costs]


def _match(table: list[list[float]], height: int, width: int) -> list[int | None]:
    """For each column the row that it goes to; every row gets one."""
    by_row, by_column = [0.0] * height, [0.0] * (width + 1)
    owner: list[int | None] = [None] * (width + 1)
    for row in range(height):
        owner[width], at = row, width
        least, before, done = [float("inf")] * width, [width] * width, [False] * (width + 1)
        while (holder := owner[at]) is not None:
            done[at] = True
            step, nearest = float("inf"), at
            for column in range(width):
                if done[column]:
                    continue
                slack = table[holder][column] - by_row[holder] - by_column[column]
                if slack < least[column]:
                    least[column], before[column] = slack, at
                if least[column] < step:
                    step, nearest = least[column], column
            _shift(step, done, owner, by_row, by_column, least)
            at = nearest
        while at != width:
            owner[at], at = owner[before[at]], before[at]
    return owner[:width]


def _shift(
    step: float,
    done: list[bool],
    owner: list[int | None],
    by_row: list[float],
    by_column: list[float],
    least: list[float],
) -> None:
    for column, reached in enumerate(done):
        holder = owner[column]
        if reached and holder is not None:
            by_row[holder] += step
            by_column[column] -= step
        elif not reached:
            least[column] -= step
