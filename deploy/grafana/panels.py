"""What the dashboards are made of: panels as values, and how they become Grafana's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.dashboard import Threshold as Step

SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
HEIGHT = {"lines": 8, "stack": 8, "number": 4, "name": 4, "states": 6}

Kind = Literal["lines", "stack", "number", "name", "states"]


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. queries: PromQL by legend, where {{label}} stands for a label's value.

    unit: Grafana's name of it. width: of 24 columns. bad_from: a number is red from here on, and green
    below; good_from: the other way about.
    """

    title: str
    about: str
    unit: str
    queries: Mapping[str, str]
    kind: Kind = "lines"
    width: int = 8
    bad_from: float | None = None
    good_from: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A dashboard: rows of panels, and the labels it lets people choose, each with where its values are."""

    name: str
    title: str
    about: str
    rows: Mapping[str, Sequence[Panel]]
    choices: Mapping[str, str] = field(default_factory=dict)

    def panels(self) -> list[Panel]:
        return [panel for row in self.rows.values() for panel in row]


def build(page: Page) -> dashboard.Dashboard:
    built = (
        dashboard.Dashboard(page.title)
        .uid(f"facestream-{page.name}")
        .description(page.about)
        .tags(["facestream"])
        .editable()
        .refresh("15s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("facestream")
            .type("dashboards")
            .tags(["facestream"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
    )
    for name, query in page.choices.items():
        built = built.with_variable(_choice(name, query))
    number = count(1)
    for title, panels in page.rows.items():
        built = built.with_row(dashboard.Row(title).id(next(number)))
        for panel in panels:
            built = built.with_panel(_BUILDERS[panel.kind](panel).id(next(number)))
    return built


def _choice(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(name)
        .query(query)
        .datasource(SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def _lines(panel: Panel) -> Any:
    built = _common(timeseries.Panel(), panel).min(0).line_width(1).fill_opacity(10)
    built = built.legend(
        common.VizLegendOptions()
        .display_mode(options.LegendDisplayMode.LIST)
        .placement(options.LegendPlacement.BOTTOM)
        .show_legend(True)
    ).tooltip(
        common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING)
    )
    if panel.kind == "stack":
        built = built.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL)).fill_opacity(40)
    return built


def _number(panel: Panel) -> Any:
    built = _common(stat.Panel(), panel).graph_mode(options.BigValueGraphMode.AREA)
    built = built.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return built.text_mode(options.BigValueTextMode.NAME) if panel.kind == "name" else built


def _states(panel: Panel) -> Any:
    return _common(statetimeline.Panel(), panel).merge_values(True).show_value(options.VisibilityMode.NEVER)


_BUILDERS = {"lines": _lines, "stack": _lines, "number": _number, "name": _number, "states": _states}


def _common(built: Any, panel: Panel) -> Any:
    built = built.title(panel.title).description(panel.about).datasource(SOURCE)
    built = built.unit(panel.unit).span(panel.width).height(HEIGHT[panel.kind])
    if steps := _steps(panel):
        built = built.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    for number, (legend, query) in enumerate(panel.queries.items()):
        built = built.with_target(
            prometheus.Dataquery()
            .expr(query)
            .legend_format(legend)
            .ref_id(chr(ord("A") + number))
            .datasource(SOURCE)
            .range()
        )
    return built


def _steps(panel: Panel) -> list[Step]:
    if panel.bad_from is not None:
        return [Step(value=None, color="green"), Step(value=panel.bad_from, color="red")]
    if panel.good_from is not None:
        return [Step(value=None, color="red"), Step(value=panel.good_from, color="green")]
    return []
