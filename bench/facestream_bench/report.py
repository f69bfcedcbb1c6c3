"""What a bench found: figures beside their goals, and tables; for people, as JSON, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from facestream_bench.machine import describe_machine, machine_rows

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure must be; `text` says it."""

    text: str
    holds: Callable[[float], bool]


def at_least(bound: float) -> Goal:
    return Goal(f">= {bound:g}", lambda value: value >= bound)


def at_most(bound: float) -> Goal:
    return Goal(f"<= {bound:.3g}", lambda value: value <= bound)


def below(bound: float) -> Goal:
    return Goal(f"< {bound:g}", lambda value: value < bound)


def within(middle: float, tolerance: float) -> Goal:
    return Goal(f"{middle:g} +- {tolerance:g}", lambda value: abs(value - middle) <= tolerance)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. key: its name in the JSON. unit: said after it. digits: decimals shown."""

    key: str
    label: str
    value: float
    unit: str = ""
    digits: int = 1
    goal: Goal | None = None

    @property
    def shown(self) -> str:
        return f"{self.value:,.{self.digits}f} {self.unit}".strip()

    @property
    def met(self) -> bool | None:
        return self.goal.holds(self.value) if self.goal else None

    @property
    def verdict(self) -> str:
        return {True: "met", False: "NOT MET", None: ""}[self.met]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of numbers; every row has a cell for every column. digits: decimals shown."""

    key: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    digits: int = 2

    @property
    def shown(self) -> list[list[str]]:
        return [[_text(cell, self.digits) for cell in row] for row in self.rows]

    def to_json(self) -> list[dict[str, Cell]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(slots=True)
class Report:
    """One bench's outcome. command: what to type to repeat it. details: more for the JSON alone."""

    name: str
    title: str
    command: str
    settings: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=describe_machine)
    measured_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def to_json(self) -> dict[str, Any]:
        """The figures by their keys, the tables by theirs, and of each goal whether it is met."""
        return {
            "bench": self.name,
            "measured_at": self.measured_at,
            "command": self.command,
            "settings": self.settings,
            "machine": self.machine,
            **{figure.key: figure.value for figure in self.figures},
            "goals": {
                figure.key: {"goal": figure.goal.text, "met": figure.met}
                for figure in self.figures
                if figure.goal
            },
            **{grid.key: grid.to_json() for grid in self.grids},
            **self.details,
        }

    def print(self, console: Console) -> None:
        table = RichTable(title=self.title, title_justify="left", title_style="bold")
        for column in ("", "measured", "goal", ""):
            table.add_column(column, justify="right" if column == "measured" else "left")
        for figure in self.figures:
            goal = figure.goal.text if figure.goal else ""
            style = "red" if figure.met is False else None
            table.add_row(figure.label, figure.shown, goal, figure.verdict, style=style)
        console.print(table)
        for grid in self.grids:
            console.print(_rich(grid))

    def to_markdown(self) -> str:
        """The command, the day and the load, the figures and the tables, ready to stand in a document."""
        on = f"{self.machine['processor']}, load {self.machine['load_average']}"
        lines = [f"`{self.command}`, {self.measured_at[:10]}, {on}", ""]
        figures = [
            (figure.label, figure.shown, figure.goal.text if figure.goal else "", figure.verdict)
            for figure in self.figures
        ]
        lines += _markdown(("figure", "measured", "goal", ""), figures)
        for grid in self.grids:
            lines += ["", f"{grid.title}:", ""]
            lines += _markdown(grid.columns, grid.shown)
        return "\n".join(lines)


def machine_markdown(machine: dict[str, Any]) -> str:
    return "\n".join(_markdown(("machine", ""), machine_rows(machine)))


def _rich(grid: Grid) -> RichTable:
    table = RichTable(title=grid.title, title_justify="left")
    for index, column in enumerate(grid.columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in grid.shown:
        table.add_row(*row)
    return table


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---"] + ["---:" if len(columns) > 2 else "---" for _ in columns[1:]]
    return [f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows)]


def _text(cell: Cell, digits: int) -> str:
    if isinstance(cell, float):
        return f"{cell:,.{digits}f}"
    return f"{cell:,}" if isinstance(cell, int) else cell or ""
