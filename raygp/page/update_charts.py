"""The charts of one update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raygp.page.drawing import Chart, Spec, base, named, scaled, unit
from raygp.page.saying import listed
from raygp.page.story import SweepPart, UpdatePart
from raygp.record import measured

_AXIS = 34
"""Pixels of the axis at the left of every panel, so that they share their axis of time."""


def update_charts(update: UpdatePart, metric: str) -> list[Chart | None]:
    """Those that there is something to draw for.

    Args:
        update: which.
        metric: of the line.
    """
    sweep = _sweep(update.version, update.sweep, metric) if update.sweep else None
    return [_phases(update, metric), _layers(update), sweep]


def _phases(update: UpdatePart, metric: str) -> Chart | None:
    """Loss, accuracy, density and what grew and went, on one axis of time."""
    if not update.epochs:
        return None
    rows, bands = _epoch_rows(update, metric), _bands(update)
    scale = {"domainMin": 0, "nice": False}
    x = {"field": "end", "type": "quantitative", "title": None, "scale": scale}
    panels = [
        _panel("accuracy", unit(metric), rows, bands, x, "@accent"),
        _panel("loss", "loss", rows, bands, x, "@warm"),
        _panel("density", "density in %", rows, bands, x, "@accent"),
        _moved(rows, bands, x),
    ]
    shown = [panel for panel in panels if panel is not None]
    for number, panel in enumerate(shown):
        last = number == len(shown) - 1
        for layer in panel["layer"]:
            axis: Spec = {"labels": False, "ticks": False, "title": None}
            if last:
                axis = {"title": "worker-seconds", "tickCount": 8}
            layer["encoding"]["x"] = {**layer["encoding"]["x"], "axis": {**axis, "domain": last}}
    kinds = listed([phase.kind for phase in update.phases], most=8)
    words = (
        f"The update to {update.version} epoch by epoch: {len(update.epochs)} epochs of the phases {kinds}; accuracy "
        f"ends at {measured(update.epochs[-1].accuracy, metric)}."
    )
    data = {"epochs": rows, "bands": bands}
    return Chart(f"phases-{update.version}", {"vconcat": shown, "spacing": 10}, data, words)


def _epoch_rows(update: UpdatePart, metric: str) -> list[dict[str, Any]]:
    rows, start = [], 0.0
    for number, epoch in enumerate(update.epochs, 1):
        rows.append(
            {
                "epoch": number, "start": start, "end": epoch.seconds, "phase": update.phases[epoch.phase].kind,
                "accuracy": scaled(epoch.accuracy, metric), "loss": epoch.loss, "density": scaled(epoch.density, ""),
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


def _behind(bands: Sequence[Mapping[str, Any]], x: Spec, titled: bool) -> list[Spec]:
    """Phases as bands, with their names in the first panel."""
    end = {"field": "end"}
    found: list[Spec] = [
        {
            "data": named("bands"),
            "mark": {"type": "rect", "color": "@band"},
            "encoding": {
                "x": {**x, "field": "start"}, "x2": end,
                "opacity": {"field": "odd", "type": "quantitative", "scale": None, "legend": None},
            },
        }
    ]  # fmt: skip
    if titled:
        found.append(
            {
                "data": named("bands"),
                "mark": {"type": "text", "align": "left", "baseline": "bottom", "dx": 2, "y": -4, "color": "@muted"},
                "encoding": {"x": {**x, "field": "start"}, "text": {"field": "phase"}},
            }
        )
    return found


def _axis(title: str) -> Spec:
    whole = "~s" if title == "connections" else ".3~r"
    return {"title": title, "minExtent": _AXIS, "maxExtent": _AXIS, "tickCount": 4, "format": whole}


def _panel(
    field: str, title: str, rows: Sequence[Mapping[str, Any]], bands: Sequence[Mapping[str, Any]], x: Spec, colour: str
) -> Spec | None:
    if all(row[field] is None for row in rows):
        return None
    y = {"field": field, "type": "quantitative", "scale": {"zero": False}, "axis": _axis(title)}
    line = {
        "data": named("epochs"),
        "transform": [{"filter": f"isValid(datum.{field})"}],
        "mark": {"type": "line", "point": {"size": 36, "color": colour}, "color": colour, "strokeWidth": 2},
        "encoding": {
            "x": x, "y": y, "order": {"field": "epoch"},
            "tooltip": [
                {"field": "epoch"}, {"field": "phase"}, {"field": field, "title": title, "format": ".4~r"},
            ],
        },
    }  # fmt: skip
    return {"width": "@plot", "height": 80, "layer": [*_behind(bands, x, field == "accuracy"), line]}


def _moved(rows: Sequence[Spec], bands: Sequence[Spec], x: Spec) -> Spec | None:
    """Connections that grew, upwards, and that were pruned, downwards."""
    if not any(row["grown"] or row["pruned"] for row in rows):
        return None
    y: Spec = {"type": "quantitative", "axis": _axis("connections")}
    bars: list[Spec] = [
        {
            "data": named("epochs"),
            "transform": [{"filter": f"datum.{field} != 0"}],
            "mark": {"type": "rect", "color": colour},
            "encoding": {
                "x": {**x, "field": "start"}, "x2": {"field": "end"}, "y": {"field": field, **y}, "y2": {"datum": 0},
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
    spec = base(
        {"step": 18 if len(names) <= 24 else 8},
        data=named("rows"),
        mark={"type": "rect"},
        encoding={
            "x": {
                "field": "start", "type": "quantitative", "title": "worker-seconds",
                "scale": {"domainMin": 0, "nice": False}, "axis": {"tickCount": 8},
            },
            "x2": {"field": "end"},
            "y": {
                "field": "layer", "type": "nominal", "sort": names, "title": None,
                "axis": {"labelLimit": 160, "labelOverlap": True},
            },
            "color": {
                "field": "density", "type": "quantitative", "legend": {"title": "density in %", "format": ".3~r"},
                "scale": {"range": ["@low", "@accent"], "domainMin": 0},
            },
            "tooltip": [
                {"field": "layer"}, {"field": "epoch"}, {"field": "density", "title": "density in %", "format": ".3~r"},
            ],
        },
    )  # fmt: skip
    words = f"Density of the layers of {update.version}, of which there are {len(names)}, over the time of its update."
    return Chart(f"layers-{update.version}", spec, {"rows": rows}, words)


def _sweep(version: str, sweep: SweepPart, metric: str) -> Chart | None:
    """Accuracy against connections; the Pareto front, and the trial that won."""
    finished = [trial for trial in sweep.trials if trial.active is not None]
    if not finished:
        return None
    rows = [
        {
            "trial": trial.name[-5:], "accuracy": scaled(trial.accuracy, metric), "active": trial.active,
            "examples": trial.examples, "front": trial.front, "winner": trial.winner, "point": trial.point,
        }
        for trial in finished
    ]  # fmt: skip
    x = {
        "field": "active", "type": "quantitative", "title": "active connections", "scale": {"zero": False},
        "axis": {"format": "~s"},
    }  # fmt: skip
    y = {"field": "accuracy", "type": "quantitative", "title": unit(metric), "scale": {"zero": False}}
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
        datum = scaled(sweep.parent_accuracy, metric)
        rule = {"type": "rule", "strokeDash": [4, 4], "color": "@faint"}
        layers.insert(0, {"mark": rule, "encoding": {"y": {"datum": datum, "type": "quantitative"}}})
    front = sum(trial.front for trial in finished)
    words = (
        f"{len(finished)} finished trials of the sweep for {version}, accuracy against connections; {front} on the "
        "Pareto front."
    )
    return Chart(f"sweep-{version}", base(240, data=named("rows"), layer=layers), {"rows": rows}, words)
