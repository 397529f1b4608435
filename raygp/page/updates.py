"""What each update did, epoch by epoch and layer by layer, as the page has it: from cards, and from the models' sizes
where these are known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raygp.drift.words import drift_line
from raygp.page.facts import Facts
from raygp.page.saying import capital
from raygp.page.story import DriftPart, EpochPart, LayerPart, MaskPicture, PhasePart, SweepPart, TrialPart, UpdatePart
from raygp.record import EpochRecord, PhaseRecord
from raygp.report.rungs import rung_lines
from raygp.search.space import describe
from raygp.store import Card

MOST_NUMBERS = 60_000
"""Figures of epochs that a page holds: those of the oldest updates are left out."""


@dataclass(frozen=True)
class LayerChange:
    """How many connections a layer of a version shares with its parent's."""

    kept: int
    added: int
    removed: int


@dataclass(frozen=True)
class Seen:
    """What a look at the models gave. Empty: nobody looked, or they cannot be made."""

    sizes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By version and layer, its connections, active or not; in the model's order."""
    changes: Mapping[str, Mapping[str, LayerChange]] = field(default_factory=dict)
    """By version and layer, what changed against the parent."""
    pictures: Mapping[str, Sequence[MaskPicture]] = field(default_factory=dict)
    """By version."""


def update_parts(facts: Facts, seen: Seen) -> tuple[list[UpdatePart], int]:
    """The update of every version, newest first, and for how many of them epochs were left out."""
    found: list[UpdatePart] = []
    numbers = left_out = 0
    for card in reversed(facts.cards):
        epochs = sum(len(phase.history) for phase in card.phases)
        numbers += epochs * (8 + len(card.densities))
        detailed = numbers <= MOST_NUMBERS or not found
        left_out += not detailed
        found.append(_update(facts, card, seen, detailed))
    return found, left_out


def _update(facts: Facts, card: Card, seen: Seen, detailed: bool) -> UpdatePart:
    layers = _layers(facts, card, seen)
    names = [layer.name for layer in layers]
    sizes = seen.sizes.get(card.version, {})
    history = [(number, epoch) for number, phase in enumerate(card.phases) for epoch in phase.history]
    epochs = [_epoch(number, epoch, names, sizes) for number, epoch in history]
    return UpdatePart(
        version=card.version,
        detailed=detailed,
        phases=[_phase(phase) for phase in card.phases],
        epochs=epochs if detailed else [],
        layers=layers,
        masks=list(seen.pictures.get(card.version, ())),
        rungs=rung_lines(card),
        sweep=_sweep(card),
        drift=_drift(card),
        drift_words=capital(drift_line(card.drift)) + "." if card.drift else "",
    )


def _phase(phase: PhaseRecord) -> PhasePart:
    return PhasePart(
        kind=phase.kind,
        epochs=phase.epochs,
        grown=phase.grown,
        pruned=phase.pruned,
        restored=phase.restored,
        density=rounded(phase.density_after),
        accuracy=phase.val_accuracy,
        stopped=phase.stopped,
    )


def _epoch(number: int, epoch: EpochRecord, names: Sequence[str], sizes: Mapping[str, int]) -> EpochPart:
    densities = epoch.densities
    known = bool(sizes) and set(densities) <= set(sizes)
    active = sum(density * sizes[name] for name, density in densities.items()) if known else 0.0
    return EpochPart(
        phase=number,
        round=epoch.round,
        seconds=round(epoch.seconds, 3),
        examples=epoch.examples,
        loss=None if epoch.loss is None else rounded(epoch.loss),
        accuracy=rounded(epoch.val_accuracy),
        known=None if epoch.known_accuracy is None else rounded(epoch.known_accuracy),
        density=rounded(active / sum(sizes[name] for name in densities)) if known and densities else None,
        grown=epoch.grown,
        pruned=epoch.pruned,
        densities=[rounded(densities.get(name, 0.0)) for name in names],
    )


def _layers(facts: Facts, card: Card, seen: Seen) -> list[LayerPart]:
    parent = facts.parent_of(card)
    before = parent.densities if parent else {}
    sizes, changes = seen.sizes.get(card.version, {}), seen.changes.get(card.version, {})
    # A stored card has its keys sorted: the model knows the order, else numbers in names do.
    place = {name: number for number, name in enumerate(sizes)}
    names = sorted(card.densities, key=lambda name: (place.get(name, len(place)), _natural(name)))
    found = []
    for name in names:
        change = changes.get(name)
        found.append(
            LayerPart(
                name=name,
                size=sizes.get(name),
                before=rounded(before[name]) if name in before else None,
                density=rounded(card.densities[name]),
                kept=change.kept if change else None,
                added=change.added if change else None,
                removed=change.removed if change else None,
            )
        )
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    """Orders ``layer2`` before ``layer10``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def rounded(value: float) -> float:
    """Six significant digits: what epochs measure is no better known, and pages stay small."""
    return float(f"{value:.6g}")


def _sweep(card: Card) -> SweepPart | None:
    sweep = card.sweep
    if not sweep:
        return None
    return SweepPart(
        why=str(sweep.get("why", "")),
        objective=str(sweep.get("objective", "")),
        parent_accuracy=card.parent_val_accuracy,
        trials=[_trial(trial, sweep) for trial in sweep["trials"]],
    )


def _trial(trial: Mapping[str, Any], sweep: Mapping[str, Any]) -> TrialPart:
    return TrialPart(
        name=trial["name"],
        point=describe(trial["point"]),
        state=trial["state"],
        epochs=trial["epochs"],
        accuracy=trial["val_accuracy"],
        active=trial["active_connections"],
        examples=trial["ledger"].get("examples", 0.0),
        front=trial["name"] in sweep["front"],
        winner=trial["name"] == sweep["winner"],
        error=trial.get("error", ""),
    )


_MEASURES = {
    "labels": "labels", "features": "features, one by one", "together": "features together", "outputs": "answers",
}  # fmt: skip


def _drift(card: Card) -> list[DriftPart]:
    parts = card.drift.parts if card.drift else {}
    return [
        DriftPart(
            what=_MEASURES.get(name, name), effect=rounded(part.effect), p=rounded(part.p), level=part.level,
            tested=part.tested, found=part.found,
        )
        for name, part in parts.items()
    ]  # fmt: skip
