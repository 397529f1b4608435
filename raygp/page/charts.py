"""The charts of a whole line."""

from __future__ import annotations

from typing import Any

from raygp.page.drawing import DOT, RING, RULE, Chart, base, by_version, domain, named, scaled, unit
from raygp.page.saying import listed
from raygp.page.story import Story
from raygp.page.tables import ours
from raygp.page.update_charts import update_charts
from raygp.page.updates import rounded
from raygp.record import measured

_MOST_CLASSES = 40
"""Classes in the chart: the worst. The table has all."""


def charts_of(story: Story) -> dict[str, Chart]:
    """Every chart that there is something to draw for, by name."""
    found = [_accuracy(story), _connections(story), _cost(story), _matrix(story), _classes(story)]
    for update in story.updates:
        found += update_charts(update, story.metric)
    return {chart.name: chart for chart in found if chart is not None}


def _accuracy(story: Story) -> Chart | None:
    """Each version beside its parent, on the same rows."""
    if not story.versions:
        return None
    metric = story.metric
    rows: list[dict[str, Any]] = []
    for version in story.versions:
        pair = version.known
        rows.append(
            {
                "version": version.version, "ours": scaled(ours(pair), metric), "parent": scaled(pair.parent, metric),
                "arrival": version.arrival or "adopted", "rows": pair.rows,
            }
        )  # fmt: skip
    names = [version.version for version in story.versions]
    span = domain([row[key] for row in rows for key in ("ours", "parent")], metric)
    y = {"type": "quantitative", "title": unit(metric), "scale": {"domain": span}}
    tooltip = [
        {"field": "version"}, {"field": "arrival"}, {"field": "rows", "title": "rows", "format": ","},
        {"field": "ours", "title": "version", "format": ".2f"}, {"field": "parent", "title": "parent", "format": ".2f"},
    ]  # fmt: skip
    who = ["version", "its parent, on the same rows"]
    colour = {"scale": {"domain": who, "range": ["@accent", "@faint"]}, "legend": {"title": None}}
    x = by_version(names)
    spec = base(
        260,
        data=named("rows"),
        encoding={"x": x, "tooltip": tooltip},
        layer=[
            {
                "transform": [{"filter": "isValid(datum.parent)"}],
                "mark": RULE,
                "encoding": {"y": {"field": "ours", **y}, "y2": {"field": "parent"}},
            },
            {
                "transform": [{"filter": "isValid(datum.parent)"}],
                "mark": RING,
                "encoding": {"y": {"field": "parent", **y}, "color": {"datum": who[1], **colour}},
            },
            {
                "mark": DOT,
                "encoding": {"y": {"field": "ours", **y}, "color": {"datum": who[0], **colour}},
            },
        ],
    )  # fmt: skip
    better = sum(v.known.parent is not None and ours(v.known) >= v.known.parent for v in story.versions)
    paired = sum(v.known.parent is not None for v in story.versions)
    first, last = story.versions[0], story.versions[-1]
    words = (
        f"{unit(metric)} of each version and its parent on the same rows, from {first.version} "
        f"({measured(ours(first.known), metric)}) to {last.version} ({measured(ours(last.known), metric)}). "
        f"{better} of {paired} versions are at least as good as their parents."
    )
    return Chart("accuracy", spec, {"rows": rows}, words)


def _connections(story: Story) -> Chart | None:
    if not story.versions:
        return None
    rows: list[dict[str, Any]] = [
        {"version": v.version, "active": v.active, "density": v.density, "total": v.total} for v in story.versions
    ]
    tooltip = [
        {"field": "version"}, {"field": "active", "format": ","}, {"field": "total", "format": ","},
        {"field": "density", "format": ".2%"},
    ]  # fmt: skip
    y = {"field": "active", "type": "quantitative", "title": "active connections", "axis": {"format": "~s"}}
    spec = base(
        180,
        data=named("rows"),
        mark={"type": "bar", "color": "@accent", "cornerRadiusEnd": 2},
        encoding={"x": by_version([v.version for v in story.versions]), "y": y, "tooltip": tooltip},
    )
    last = story.versions[-1]
    words = (
        f"Active connections by version, from {story.versions[0].active:,} to {last.active:,} of {last.total:,} that a "
        "dense network has."
    )
    return Chart("connections", spec, {"rows": rows}, words)


def _cost(story: Story) -> Chart | None:
    """Arithmetic so far, beside what the same passes take in a dense network."""
    if not story.versions or not story.spent.sparse_flops:
        return None
    names = ["active connections", "the same passes, dense"]
    rows: list[dict[str, Any]] = []
    for v in story.versions:
        rows.append({"version": v.version, "what": names[0], "flops": v.so_far.sparse_flops / 1e9})
        rows.append({"version": v.version, "what": names[1], "flops": v.so_far.dense_flops / 1e9})
    spec = base(
        180,
        data=named("rows"),
        mark={"type": "line", "point": {"size": 40}, "interpolate": "step-after", "strokeWidth": 2},
        encoding={
            "x": by_version([v.version for v in story.versions]),
            "y": {"field": "flops", "type": "quantitative", "title": "GFLOP so far", "axis": {"format": "~s"}},
            "color": {
                "field": "what", "type": "nominal", "legend": {"title": None},
                "scale": {"domain": names, "range": ["@accent", "@faint"]},
            },
            "tooltip": [
                {"field": "version"}, {"field": "what", "title": "over"},
                {"field": "flops", "title": "GFLOP", "format": ",.3~r"},
            ],
        },
    )  # fmt: skip
    share = story.spent.sparse_flops / story.spent.dense_flops if story.spent.dense_flops else 1.0
    words = f"Arithmetic spent so far by version: {100 * share:.0f}% of what the same passes take in a dense network."
    return Chart("cost", spec, {"rows": rows}, words)


def _matrix(story: Story) -> Chart | None:
    matrix = story.matrix
    if len(matrix.arrivals) < 2 or len(matrix.versions) < 2:
        return None
    rows: list[dict[str, Any]] = [
        {"arrival": arrival, "version": version, "value": rounded(scaled(value, story.metric) or 0.0)}
        for arrival, cells in zip(matrix.arrivals, matrix.cells, strict=True)
        for version, value in zip(matrix.versions, cells, strict=True)
        if value is not None
    ]
    side = 28 if len(matrix.arrivals) <= 20 else 14 if len(matrix.arrivals) <= 40 else 7
    arrivals = {
        "field": "arrival", "type": "nominal", "sort": matrix.arrivals, "title": None,
        "axis": {"labelLimit": 130, "labelOverlap": True},
    }  # fmt: skip
    spec = base(
        {"step": side},
        data=named("rows"),
        mark={"type": "rect", "stroke": "@paper", "strokeWidth": 1 if side > 7 else 0},
        encoding={
            "x": by_version(matrix.versions),
            "y": arrivals,
            "color": {
                "field": "value", "type": "quantitative", "legend": {"title": unit(story.metric), "format": ".3~r"},
                "scale": {"range": ["@low", "@accent"], "zero": False, "interpolate": "lab"},
            },
            "tooltip": [
                {"field": "arrival"}, {"field": "version"},
                {"field": "value", "title": unit(story.metric), "format": ".2f"},
            ],
        },
    )  # fmt: skip
    worst = min(rows, key=lambda row: row["value"])
    words = (
        f"{unit(story.metric)}, {len(matrix.versions):,} versions on what {len(matrix.arrivals):,} arrivals hold "
        f"out; the lowest is {worst['value']:.2f} of {worst['version']} on {worst['arrival']}."
    )
    return Chart("matrix", spec, {"rows": rows}, words)


def _classes(story: Story) -> Chart | None:
    """The worst classes, the parent beside them."""
    if len(story.classes) < 2:
        return None
    worst = sorted(story.classes, key=lambda part: part.pair.accuracy)[:_MOST_CLASSES]
    rows: list[dict[str, Any]] = [
        {
            "name": part.name, "ours": 100 * part.pair.accuracy, "rows": part.pair.rows,
            "parent": None if part.pair.new_rows else scaled(part.pair.parent, ""),
        }
        for part in worst
    ]  # fmt: skip
    y = {"field": "name", "type": "nominal", "sort": [part.name for part in worst], "title": None}
    scale = {"domain": domain([row[key] for row in rows for key in ("ours", "parent")], "")}
    who = [str(story.head), "its parent"]
    colour = {"scale": {"domain": who, "range": ["@accent", "@faint"]}, "legend": {"title": None}}
    tooltip = [
        {"field": "name", "title": "class"}, {"field": "rows", "format": ","},
        {"field": "ours", "title": who[0], "format": ".2f"}, {"field": "parent", "title": "parent", "format": ".2f"},
    ]  # fmt: skip
    x = {"type": "quantitative", "title": "accuracy in %", "scale": scale, "axis": {"tickCount": 8}}
    valid = [{"filter": "isValid(datum.parent)"}]
    spec = base(
        {"step": 20},
        data=named("rows"),
        encoding={"y": {**y, "axis": {"labelLimit": 150}}, "tooltip": tooltip},
        layer=[
            {
                "transform": valid,
                "mark": RULE,
                "encoding": {"x": {"field": "ours", **x}, "x2": {"field": "parent"}},
            },
            {
                "transform": valid,
                "mark": RING,
                "encoding": {"x": {"field": "parent", **x}, "color": {"datum": who[1], **colour}},
            },
            {
                "mark": DOT,
                "encoding": {"x": {"field": "ours", **x}, "color": {"datum": who[0], **colour}},
            },
        ],
    )
    worst_ones = listed([f"{part.name} ({measured(part.pair.accuracy)})" for part in worst[:3]])
    return Chart("classes", spec, {"rows": rows}, f"Accuracy of {story.head} by class, the worst first: {worst_ones}.")
