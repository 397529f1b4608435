"""What all charts of the page have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]
"""A Vega-Lite specification: plain data. Colours are names that begin with ``@``, which the page's script replaces by
those of the light or the dark paper; so are ``@width`` (of the page) and ``@plot`` (less room for an axis)."""

Datasets = dict[str, list[dict[str, Any]]]
"""Rows by the name under which a specification knows them."""

RULE: Spec = {"type": "rule", "strokeWidth": 2, "color": "@faint"}
RING: Spec = {"type": "point", "size": 110, "strokeWidth": 2, "fill": "@paper", "opacity": 1}
"""A parent."""
DOT: Spec = {"type": "point", "size": 60, "filled": True, "opacity": 1}
"""A version, inside its parent's ring where the two are the same."""


@dataclass(frozen=True)
class Chart:
    """A chart and what it says, for those who do not see it."""

    name: str
    """Unique on the page."""
    spec: Spec
    """Without its data, so that the charts of many updates can share one."""
    data: Datasets
    words: str


def base(height: Any, **more: Any) -> Spec:
    """A chart as wide as the page.

    Args:
        height: in pixels, or ``{"step": pixels}`` for each of what stands on its axis.
        more: the rest of the specification.
    """
    fit = "fit-x" if isinstance(height, dict) else "fit"
    return {"width": "@width", "height": height, "autosize": {"type": fit, "contains": "padding"}, **more}


def scaled(value: float | None, metric: str) -> float | None:
    """In per cent, where it is a share."""
    return value if metric or value is None else 100 * value


def unit(metric: str) -> str:
    """What an axis of accuracies says."""
    return metric or "accuracy in %"


def domain(values: Sequence[float | None], metric: str) -> list[float]:
    """What an axis of accuracies spans: its values and some room, but no share above 100 %."""
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    room = max(high - low, abs(high) / 50, 1e-3) / 8
    return [low - room if metric else max(0.0, low - room), high + room if metric else min(100.0, high + room)]


def named(name: str) -> Spec:
    """Data of that name."""
    return {"name": name}


def by_version(versions: Sequence[str]) -> Spec:
    """The axis of versions."""
    return {"field": "version", "type": "ordinal", "sort": list(versions), "title": None, "axis": {"labelAngle": 0}}
