"""The charts of the page as Vega-Lite specifications: plain data. Colours are names that begin with ``@``, which the
page's script replaces by those of the light or the dark paper; so is ``@width``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygp.page.saying import listed
from raygp.page.story import Story, SweepPart, UpdatePart
from raygp.page.tables import ours
from raygp.record import measured

Spec = dict[str, Any]
_MOST_CLASSES = 40
"""Classes in the chart: the worst. The table has all."""
_AXIS = 52
"""Pixels at the left of every chart of an update, so that they share their axis of time."""


@dataclass(frozen=True)
class Chart:
    """A chart and what it says, for those who do not see it."""

    name: str
    """Unique on the page."""
    spec: Spec
    words: str


def charts_of(story: Story) -> dict[str, Chart]:
    """Every chart that there is something to draw for, by name."""
    found = [_accuracy(story), _connections(story), _cost(story), _matrix(story), _classes(story)]
    for update in story.updates:
        found += [_phases(update, story.metric), _layers(update)]
        if update.sweep:
            found.append(_sweep(update.version, update.sweep, story.metric))
    return {chart.name: chart for chart in found if chart is not None}


def _base(height: Any, **more: Any) -> Spec:
    return {"width": "@width", "height": height, "autosize": {"type": "fit", "contains": "padding"}, **more}


def _scaled(value: float | None, metric: str) -> float | None:
    """In per cent, where it is a share."""
    return value if metric or value is None else 100 * value


def _unit(metric: str) -> str:
    return metric or "accuracy in %"


def _x(versions: Sequence[str]) -> Spec:
    return {"field": "version", "type": "ordinal", "sort": list(versions), "title": None, "axis": {"labelAngle": 0}}


def _accuracy(story: Story) -> Chart | None:
    """Each version beside its parent, on the same rows."""
    if not story.versions:
        return None
    metric, rows = story.metric, []
    for version in story.versions:
        pair = version.known
        rows.append(
            {
                "version": version.version, "ours": _scaled(ours(pair), metric), "parent": _scaled(pair.parent, metric),
                "arrival": version.arrival or "adopted", "rows": pair.rows,
            }
        )  # fmt: skip
    names = [version.version for version in story.versions]
    y = {"type": "quantitative", "title": _unit(metric), "scale": {"zero": False, "nice": True, "padding": 8}}
    tooltip = [
        {"field": "version"}, {"field": "arrival"}, {"field": "rows", "title": "rows", "format": ","},
        {"field": "ours", "title": "version", "format": ".2f"}, {"field": "parent", "title": "parent", "format": ".2f"},
    ]  # fmt: skip
    domain, colours = ["version", "its parent, on the same rows"], ["@accent", "@faint"]
    colour = {"scale": {"domain": domain, "range": colours}, "legend": {"title": None}}
    x = _x(names)
    spec = _base(
        260,
        data={"values": rows},
        encoding={"x": x, "tooltip": tooltip},
        layer=[
            {
                "transform": [{"filter": "isValid(datum.parent)"}],
                "mark": {"type": "rule", "strokeWidth": 2, "color": "@faint"},
                "encoding": {"y": {"field": "ours", **y}, "y2": {"field": "parent"}},
            },
            {
                "transform": [{"filter": "isValid(datum.parent)"}],
                "mark": {"type": "point", "size": 60, "strokeWidth": 2, "fill": "@paper", "opacity": 1},
                "encoding": {"y": {"field": "parent", **y}, "color": {"datum": domain[1], **colour}},
            },
            {
                "mark": {"type": "point", "size": 70, "filled": True, "opacity": 1},
                "encoding": {"y": {"field": "ours", **y}, "color": {"datum": domain[0], **colour}},
            },
        ],
    )  # fmt: skip
    better = sum(v.known.parent is not None and ours(v.known) >= v.known.parent for v in story.versions)
    paired = sum(v.known.parent is not None for v in story.versions)
    first, last = story.versions[0], story.versions[-1]
    words = (
        f"{_unit(metric)} of each version and its parent on the same rows, from {first.version} "
        f"({measured(ours(first.known), metric)}) to {last.version} ({measured(ours(last.known), metric)}). "
        f"{better} of {paired} versions are at least as good as their parents."
    )
    return Chart("accuracy", spec, words)


def _connections(story: Story) -> Chart | None:
    if not story.versions:
        return None
    rows = [
        {"version": v.version, "active": v.active, "density": v.density, "total": v.total} for v in story.versions
    ]
    tooltip = [
        {"field": "version"}, {"field": "active", "format": ","}, {"field": "total", "format": ","},
        {"field": "density", "format": ".2%"},
    ]  # fmt: skip
    y = {"field": "active", "type": "quantitative", "title": "active connections", "axis": {"format": "~s"}}
    spec = _base(
        180,
        data={"values": rows},
        mark={"type": "bar", "color": "@accent", "cornerRadiusEnd": 2},
        encoding={"x": _x([v.version for v in story.versions]), "y": y, "tooltip": tooltip},
    )
    last = story.versions[-1]
    words = (
        f"Active connections by version, from {story.versions[0].active:,} to {last.active:,} of {last.total:,} that a "
        "dense network has."
    )
    return Chart("connections", spec, words)


def _cost(story: Story) -> Chart | None:
    """Arithmetic so far, beside what the same passes take in a dense network."""
    if not story.versions or not story.spent.sparse_flops:
        return None
    names = ["active connections", "the same passes, dense"]
    rows = []
    for v in story.versions:
        rows.append({"version": v.version, "what": names[0], "flops": v.so_far.sparse_flops / 1e9})
        rows.append({"version": v.version, "what": names[1], "flops": v.so_far.dense_flops / 1e9})
    spec = _base(
        180,
        data={"values": rows},
        mark={"type": "line", "point": {"size": 40}, "interpolate": "step-after", "strokeWidth": 2},
        encoding={
            "x": _x([v.version for v in story.versions]),
            "y": {"field": "flops", "type": "quantitative", "title": "GFLOP so far", "axis": {"format": "~s"}},
            "color": {
                "field": "what", "type": "nominal", "legend": {"title": None},
                "scale": {"domain": names, "range": ["@accent", "@faint"]},
            },
            "tooltip": [
                {"field": "version"}, {"field": "what", "title": "over"},
                {"field": "flops", "title": "GFLOP", "format": ",.3~g"},
            ],
        },
    )  # fmt: skip
    share = story.spent.sparse_flops / story.spent.dense_flops if story.spent.dense_flops else 1.0
    words = f"Arithmetic spent so far by version; it is {100 * share:.0f}% of what the same passes take in a dense network."
    return Chart("cost", spec, words)


def _matrix(story: Story) -> Chart | None:
    matrix = story.matrix
    if len(matrix.arrivals) < 2 or len(matrix.versions) < 2:
        return None
    rows = [
        {"arrival": arrival, "version": version, "value": _scaled(value, story.metric)}
        for arrival, cells in zip(matrix.arrivals, matrix.cells, strict=True)
        for version, value in zip(matrix.versions, cells, strict=True)
        if value is not None
    ]
    side = 28 if len(matrix.arrivals) <= 20 else 14 if len(matrix.arrivals) <= 40 else 7
    arrivals = {
        "field": "arrival", "type": "nominal", "sort": matrix.arrivals, "title": None,
        "axis": {"labelLimit": 130, "labelOverlap": True},
    }  # fmt: skip
    spec = _base(
        {"step": side},
        data={"values": rows},
        mark={"type": "rect", "stroke": "@paper", "strokeWidth": 1 if side > 7 else 0},
        encoding={
            "x": _x(matrix.versions),
            "y": arrivals,
            "color": {
                "field": "value", "type": "quantitative", "legend": {"title": _unit(story.metric), "format": "~g"},
                "scale": {"range": ["@warm", "@low", "@accent"], "zero": False, "interpolate": "lab"},
            },
            "tooltip": [
                {"field": "arrival"}, {"field": "version"},
                {"field": "value", "title": _unit(story.metric), "format": ".2f"},
            ],
        },
    )  # fmt: skip
    # Steps and a width that is given do not go with one another's padding.
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    worst = min(rows, key=lambda row: row["value"])
    words = (
        f"{_unit(story.metric)} of {len(matrix.versions):,} versions on what {len(matrix.arrivals):,} arrivals hold out; "
        f"lowest is {worst['value']:.2f} of {worst['version']} on {worst['arrival']}."
    )
    return Chart("matrix", spec, words)


def _classes(story: Story) -> Chart | None:
    """The worst classes, the parent beside them."""
    if len(story.classes) < 2:
        return None
    worst = sorted(story.classes, key=lambda part: part.pair.accuracy)[:_MOST_CLASSES]
    rows: list[Mapping[str, Any]] = [
        {
            "name": part.name, "ours": 100 * part.pair.accuracy, "rows": part.pair.rows,
            "parent": None if part.pair.new_rows else _scaled(part.pair.parent, ""),
        }
        for part in worst
    ]  # fmt: skip
    y = {"field": "name", "type": "nominal", "sort": [part.name for part in worst], "title": None}
    scale = {"zero": False, "padding": 10}
    domain, colours = [str(story.head), "its parent"], ["@accent", "@faint"]
    colour = {"scale": {"domain": domain, "range": colours}, "legend": {"title": None}}
    tooltip = [
        {"field": "name", "title": "class"}, {"field": "rows", "format": ","},
        {"field": "ours", "title": domain[0], "format": ".2f"}, {"field": "parent", "title": "parent", "format": ".2f"},
    ]  # fmt: skip
    x = {"type": "quantitative", "title": "accuracy in %", "scale": scale}
    valid = [{"filter": "isValid(datum.parent)"}]
    spec = _base(
        {"step": 20},
        data={"values": rows},
        encoding={"y": {**y, "axis": {"labelLimit": 150}}, "tooltip": tooltip},
        layer=[
            {
                "transform": valid,
                "mark": {"type": "rule", "strokeWidth": 2, "color": "@faint"},
                "encoding": {"x": {"field": "ours", **x}, "x2": {"field": "parent"}},
            },
            {
                "transform": valid,
                "mark": {"type": "point", "size": 60, "strokeWidth": 2, "fill": "@paper", "opacity": 1},
                "encoding": {"x": {"field": "parent", **x}, "color": {"datum": domain[1], **colour}},
            },
            {
                "mark": {"type": "point", "size": 70, "filled": True, "opacity": 1},
                "encoding": {"x": {"field": "ours", **x}, "color": {"datum": domain[0], **colour}},
            },
        ],
    )
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    named = listed([f"{part.name} ({measured(part.pair.accuracy)})" for part in worst[:3]])
    return Chart("classes", spec, f"Accuracy of {story.head} by class, the worst first: {named}.")


def _phases(update: UpdatePart, metric: str) -> Chart | None:
    """Loss, accuracy, density and what grew and went, on one axis of time."""
    if not update.epochs:
        return None
    rows, bands = _epoch_rows(update, metric), _bands(update)
    x = {"field": "end", "type": "quantitative", "title": None, "scale": {"domain": [0, bands[-1]["end"]], "nice": False}}
    panels = [
        _panel("accuracy", _unit(metric), rows, bands, x, "@accent"),
        _panel("loss", "loss", rows, bands, x, "@warm"),
        _panel("density", "density in %", rows, bands, x, "@accent"),
        _moved(rows, bands, x),
    ]
    shown = [panel for panel in panels if panel is not None]
    for number, panel in enumerate(shown):
        last = number == len(shown) - 1
        for layer in panel["layer"]:
            axis = {"title": "worker-seconds"} if last else {"labels": False, "ticks": False, "title": None}
            layer["encoding"]["x"] = {**layer["encoding"]["x"], "axis": {**axis, "domain": last}}
    kinds = listed([phase.kind for phase in update.phases], most=8)
    words = (
        f"The update to {update.version} epoch by epoch: {len(update.epochs)} epochs of the phases {kinds}; accuracy ends "
        f"at {measured(update.epochs[-1].accuracy, metric)}."
    )
    return Chart(f"phases-{update.version}", {"vconcat": shown, "spacing": 10}, words)


def _epoch_rows(update: UpdatePart, metric: str) -> list[dict[str, Any]]:
    rows, start = [], 0.0
    for number, epoch in enumerate(update.epochs, 1):
        rows.append(
            {
                "epoch": number, "start": start, "end": epoch.seconds, "phase": update.phases[epoch.phase].kind,
                "accuracy": _scaled(epoch.accuracy, metric), "loss": epoch.loss, "density": _scaled(epoch.density, ""),
                "grown": epoch.grown, "pruned": -epoch.pruned,
            }
        )  # fmt: skip
        start = epoch.seconds
    return rows


def _bands(update: UpdatePart) -> list[dict[str, Any]]:
    """When each phase that has epochs began and ended."""
    found: list[dict[str, Any]] = []
    start = 0.0
    for number, phase in enumerate(update.phases):
        ends = [epoch.seconds for epoch in update.epochs if epoch.phase == number]
        if ends:
            found.append({"start": start, "end": ends[-1], "phase": phase.kind, "odd": len(found) % 2})
            start = ends[-1]
    return found


def _behind(bands: Sequence[Mapping[str, Any]], x: Spec, named: bool) -> list[Spec]:
    """Phases as bands, with their names in the first panel."""
    end = {"field": "end"}
    found: list[Spec] = [
        {
            "data": {"values": list(bands)},
            "mark": {"type": "rect", "color": "@band"},
            "encoding": {
                "x": {**x, "field": "start"}, "x2": end, "opacity": {"field": "odd", "scale": None, "legend": None},
            },
        }
    ]  # fmt: skip
    if named:
        found.append(
            {
                "data": {"values": list(bands)},
                "mark": {"type": "text", "align": "left", "baseline": "bottom", "dx": 2, "y": -4, "color": "@muted"},
                "encoding": {"x": {**x, "field": "start"}, "text": {"field": "phase"}},
            }
        )
    return found


def _axis(title: str) -> Spec:
    return {"title": title, "minExtent": _AXIS - 18, "maxExtent": _AXIS - 18, "tickCount": 4, "format": "~s"}


def _panel(
    field: str, title: str, rows: Sequence[Mapping[str, Any]], bands: Sequence[Mapping[str, Any]], x: Spec, colour: str
) -> Spec | None:
    if all(row[field] is None for row in rows):
        return None
    y = {"field": field, "type": "quantitative", "scale": {"zero": False}, "axis": _axis(title)}
    line = {
        "data": {"values": list(rows)},
        "transform": [{"filter": f"isValid(datum.{field})"}],
        "mark": {"type": "line", "point": {"size": 36, "color": colour}, "color": colour, "strokeWidth": 2},
        "encoding": {
            "x": x, "y": y, "order": {"field": "epoch"},
            "tooltip": [
                {"field": "epoch"}, {"field": "phase"}, {"field": field, "title": title, "format": ".4~g"},
            ],
        },
    }  # fmt: skip
    return {"width": "@plot", "height": 80, "layer": [*_behind(bands, x, field == "accuracy"), line]}


def _moved(rows: Sequence[Mapping[str, Any]], bands: Sequence[Mapping[str, Any]], x: Spec) -> Spec | None:
    """Connections that grew, upwards, and that were pruned, downwards."""
    if not any(row["grown"] or row["pruned"] for row in rows):
        return None
    y = {"type": "quantitative", "axis": _axis("connections")}
    bars = [
        {
            "data": {"values": list(rows)},
            "mark": {"type": "bar", "color": colour},
            "encoding": {
                "x": {**x, "field": "start"}, "x2": {"field": "end"}, "y": {"field": field, **y},
                "tooltip": [{"field": "epoch"}, {"field": "grown", "format": ","}, {"field": "pruned", "format": ","}],
            },
        }
        for field, colour in (("grown", "@accent"), ("pruned", "@warm"))
    ]  # fmt: skip
    return {"width": "@plot", "height": 80, "layer": [*_behind(bands, x, False), *bars]}


def _layers(update: UpdatePart) -> Chart | None:
    """Density of each layer over the time of the update."""
    if not update.epochs or not any(epoch.densities for epoch in update.epochs):
        return None
    rows, start = [], 0.0
    for number, epoch in enumerate(update.epochs, 1):
        for layer, density in zip(update.layers, epoch.densities, strict=True):
            rows.append(
                {"layer": layer.name, "epoch": number, "start": start, "end": epoch.seconds, "density": 100 * density}
            )
        start = epoch.seconds
    names = [layer.name for layer in update.layers]
    spec = _base(
        {"step": 18 if len(names) <= 24 else 8},
        data={"values": rows},
        mark={"type": "rect"},
        encoding={
            "x": {
                "field": "start", "type": "quantitative", "title": "worker-seconds",
                "scale": {"domain": [0, start], "nice": False},
            },
            "x2": {"field": "end"},
            "y": {
                "field": "layer", "type": "nominal", "sort": names, "title": None,
                "axis": {"labelLimit": 160, "labelOverlap": True},
            },
            "color": {
                "field": "density", "type": "quantitative", "legend": {"title": "density in %", "format": "~g"},
                "scale": {"range": ["@low", "@accent"], "domainMin": 0},
            },
            "tooltip": [
                {"field": "layer"}, {"field": "epoch"}, {"field": "density", "title": "density in %", "format": ".3~g"},
            ],
        },
    )  # fmt: skip
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    words = f"Density of the {len(names)} layers of {update.version} over the time of its update; the table has the figures."
    return Chart(f"layers-{update.version}", spec, words)


def _sweep(version: str, sweep: SweepPart, metric: str) -> Chart | None:
    """Accuracy against connections; the Pareto front, and the trial that won."""
    finished = [trial for trial in sweep.trials if trial.active is not None]
    if not finished:
        return None
    rows = [
        {
            "trial": trial.name[-5:], "accuracy": _scaled(trial.accuracy, metric), "active": trial.active,
            "examples": trial.examples, "front": trial.front, "winner": trial.winner, "point": trial.point,
        }
        for trial in finished
    ]  # fmt: skip
    x = {
        "field": "active", "type": "quantitative", "title": "active connections", "scale": {"zero": False},
        "axis": {"format": "~s"},
    }  # fmt: skip
    y = {"field": "accuracy", "type": "quantitative", "title": _unit(metric), "scale": {"zero": False}}
    tooltip = [
        {"field": "trial"}, {"field": "point"}, {"field": "accuracy", "format": ".2f"},
        {"field": "active", "format": ","}, {"field": "examples", "format": ","},
    ]  # fmt: skip
    layers: list[Spec] = [
        {
            "transform": [{"filter": "datum.front"}],
            "mark": {"type": "line", "color": "@faint", "strokeWidth": 1.5},
            "encoding": {"x": x, "y": y, "order": {"field": "active"}},
        },
        {
            "mark": {"type": "point", "filled": True, "opacity": 0.9, "color": "@accent"},
            "encoding": {
                "x": x, "y": y, "tooltip": tooltip,
                "size": {"field": "examples", "type": "quantitative", "legend": {"title": "examples", "format": "~s"}},
            },
        },
        {
            "transform": [{"filter": "datum.winner"}],
            "mark": {"type": "point", "size": 320, "strokeWidth": 2, "color": "@warm", "filled": False},
            "encoding": {"x": x, "y": y},
        },
    ]  # fmt: skip
    if sweep.parent_accuracy is not None:
        datum = _scaled(sweep.parent_accuracy, metric)
        rule = {"type": "rule", "strokeDash": [4, 4], "color": "@faint"}
        layers.insert(0, {"mark": rule, "encoding": {"y": {"datum": datum, "type": "quantitative"}}})
    front = sum(trial.front for trial in finished)
    words = (
        f"{len(finished)} finished trials of the sweep for {version}, accuracy against connections; {front} on the Pareto "
        "front."
    )
    return Chart(f"sweep-{version}", _base(240, data={"values": rows}, layer=layers), words)
