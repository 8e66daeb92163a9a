"""The board as Grafana reads it. The only file that imports grafana_foundation_sdk (extra `grafana`)."""

from __future__ import annotations

import itertools
import json

from arriero.errors import ArrieroError, Problem
from arriero.pipeline.grafana.panels import RELEASES, ROWS, VARIABLES, Panel, Query, Variable

try:
    from grafana_foundation_sdk.builders import common as build_common
    from grafana_foundation_sdk.builders import dashboard as build
    from grafana_foundation_sdk.builders import prometheus, stat, timeseries
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common, dashboard
except ImportError as error:
    problem = Problem(f"the board needs grafana-foundation-sdk ({error})", "pip install 'arriero[grafana]'", "export")
    raise ArrieroError(problem) from None

UID = "arriero"
_SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
_NUMBER_ROWS, _PLOT_ROWS = 4, 8
# Grafana knows no unit for tokens: what it does not know it writes behind the number.
_UNITS = {"tokens": "suffix: tok/s"}


def made() -> str:
    """A dashboard's JSON, for Grafana 11.6 and later; the same each time."""
    board = (
        build.Dashboard("Arriero")
        .uid(UID)
        .description("Ollama behind arriero's gateway: first tokens, load, models, sites, errors, keys and cost.")
        .tags(["arriero", "ollama"])
        .refresh("30s")
        .time("now-6h", "now")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .with_variable(build.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .annotation(_Releases())
    )
    for variable in VARIABLES:
        board.with_variable(_variable(variable))
    number = itertools.count(1)
    for title, panels in ROWS:
        board.with_row(build.Row(title).id(next(number)))
        for panel in panels:
            board.with_panel((_number(panel) if panel.is_number else _plot(panel)).id(next(number)))
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _variable(variable: Variable) -> build.QueryVariable:
    return (
        build.QueryVariable(variable.name)
        .label(variable.label)
        .query(variable.query)
        .datasource(_SOURCE)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(dashboard.VariableOption(selected=True, text="All", value="$__all"))
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )


def _number(panel: Panel) -> stat.Panel:
    made = stat.Panel().title(panel.title).description(panel.text).datasource(_SOURCE)
    made.unit(_UNITS.get(panel.unit, panel.unit)).height(_NUMBER_ROWS).span(panel.width)
    made.graph_mode(common.BigValueGraphMode.AREA).thresholds(_thresholds(panel.limit))
    for query in panel.queries:
        made.with_target(_query(query))
    return made


def _plot(panel: Panel) -> timeseries.Panel:
    made = timeseries.Panel().title(panel.title).description(panel.text).datasource(_SOURCE)
    made.unit(_UNITS.get(panel.unit, panel.unit)).height(_PLOT_ROWS).span(panel.width).min(0)
    made.legend(
        build_common.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    made.tooltip(build_common.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    if panel.is_stacked:
        made.stacking(build_common.StackingConfig().mode(common.StackingMode.NORMAL)).fill_opacity(30)
    if panel.limit is not None:
        made.thresholds(_thresholds(panel.limit))
        made.thresholds_style(build_common.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.LINE))
    for query in panel.queries:
        made.with_target(_query(query))
    return made


def _query(query: Query) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query.expr).legend_format(query.legend).range()


def _thresholds(limit: float | None) -> build.ThresholdsConfig:
    steps = [dashboard.Threshold(value=None, color="green")]
    if limit is not None:
        steps.append(dashboard.Threshold(value=limit, color="red"))
    return build.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


class _Release(dashboard.AnnotationQuery):
    """With what the Prometheus data source reads besides: the SDK has no words for it."""

    def to_json(self) -> dict[str, object]:
        words = {"titleFormat": "Release {{release}}", "textFormat": "{{site}}", "tagKeys": "site", "step": "60s"}
        return {**super().to_json(), **words}


class _Releases(Builder[dashboard.AnnotationQuery]):
    def build(self) -> dashboard.AnnotationQuery:
        return _Release(name="Releases", datasource=_SOURCE, icon_color="blue", expr=RELEASES)
