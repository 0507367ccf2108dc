"""A small vocabulary for Grafana dashboards: what a panel shows, turned into the classic dashboard JSON.

Classic (schema version 39) because provisioning loads it in Grafana 10 to 13. An own builder instead of a library,
because the little that is needed is 150 lines, and the output must be the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
JOB = 'job=~"$job", instance=~"$instance"'
"""Selects the daemons that the reader chose; in every query."""
WIDTH = 24
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """`legend` is Grafana's pattern, such as `{{follower}}`; `instant` asks for the last value only."""

    expr: str
    legend: str = ""
    instant: bool = False
    heatmap: bool = False


@dataclass(frozen=True, slots=True)
class Threshold:
    """From `above` on the colour changes."""

    above: float
    colour: str


GREEN_RED = (Threshold(1, "red"),)


@dataclass(frozen=True, slots=True)
class Panel:
    """`kind` is Grafana's panel type; `unit` one of its unit ids; `thresholds` colour above green."""

    title: str
    description: str
    kind: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 12
    height: int = 8
    thresholds: tuple[Threshold, ...] = ()
    stacked: bool = False
    no_value: str = ""
    columns: tuple[str, ...] = ()
    """For a table: the labels to show, in order, before the value."""


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


def dashboard(uid: str, title: str, description: str, rows: Sequence[Row], variables: Sequence[Json]) -> Json:
    """The whole dashboard; panels are laid out left to right, ids count up and stay stable."""
    panels: list[Json] = []
    top = 0
    for row in rows:
        panels.append(_row(row, len(panels) + 1, top))
        top += 1
        left = tallest = 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                left, top, tallest = 0, top + tallest, 0
            panels.append(_panel(panel, len(panels) + 1, left, top))
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["trueup"],
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "schemaVersion": 39,
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": list(variables)},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }


def datasource() -> Json:
    """The variable that every panel reads its data source from."""
    return {
        "name": "datasource",
        "label": "Data Source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "refresh": 1,
        "regex": "",
        "options": [],
    }


def variable(name: str, label: str, expr: str) -> Json:
    """A choice of label values, several or all; asked again when the time range changes."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": expr, "refId": name},
        "definition": expr,
        "includeAll": True,
        "allValue": ".+",
        "multi": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "options": [],
    }


def _row(row: Row, number: int, top: int) -> Json:
    place = {"h": 1, "w": WIDTH, "x": 0, "y": top}
    return {"id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": place}


def _panel(panel: Panel, number: int, left: int, top: int) -> Json:
    defaults: Json = {"unit": panel.unit, "thresholds": _thresholds(panel.thresholds), "custom": _custom(panel)}
    if panel.no_value:
        defaults["noValue"] = panel.no_value
    if panel.kind in ("stat", "table"):
        defaults["color"] = {"mode": "thresholds"}
    result: Json = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": left, "y": top},
        "targets": [_target(query, index, panel.kind) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
    }
    if panel.kind == "table":
        names = {name: index for index, name in enumerate((*panel.columns, "Value"))}
        organize = {"indexByName": names, "excludeByName": {"Time": True}, "renameByName": {}}
        result["transformations"] = [{"id": "organize", "options": organize}]
    return result


def _target(query: Query, index: int, kind: str) -> Json:
    instant = query.instant or kind in ("stat", "table")
    target: Json = {
        "refId": chr(ord("A") + index),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": instant,
        "range": not instant,
    }
    if kind == "table":
        target["format"] = "table"
    elif query.heatmap:
        target["format"] = "heatmap"
    return target


def _thresholds(thresholds: Sequence[Threshold]) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    steps += [{"color": threshold.colour, "value": threshold.above} for threshold in thresholds]
    return {"mode": "absolute", "steps": steps}


def _custom(panel: Panel) -> Json:
    if panel.kind != "timeseries":
        return {}
    custom: Json = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": False}
    if panel.stacked:
        custom |= {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 40}
    if panel.thresholds:
        custom["thresholdsStyle"] = {"mode": "line"}
    return custom


def _options(panel: Panel) -> Json:
    match panel.kind:
        case "stat":
            reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
            return {"reduceOptions": reduce, "colorMode": "background", "graphMode": "none", "textMode": "auto"}
        case "timeseries":
            legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        case "heatmap":
            return {"calculate": False, "yAxis": {"unit": panel.unit}, "cellGap": 1, "legend": {"show": True}}
        case _:
            return {"showHeader": True, "cellHeight": "sm"}
