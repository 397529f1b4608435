"""Growth for what is new."""

from __future__ import annotations

from typing import ClassVar, Literal

from raygp.update.phases.grow import Grow


class GrowNew(Grow):
    """``grow-new``: grow and train on the arrival's data alone (arXiv 1905.10952, abstract: growth on new data)."""

    kind: Literal["grow-new"] = "grow-new"
    on_arrival_alone: ClassVar[bool] = True
