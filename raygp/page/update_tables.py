"""The tables of one update."""

from __future__ import annotations

from raygp.page.cells import UNKNOWN, Cell, Column, Table, density_cell, number_cell, share_cell, words_cell
from raygp.page.story import SweepPart, UpdatePart


def phases_table(update: UpdatePart, metric: str) -> Table:
    """One row a phase."""
    stopped = any(phase.stopped for phase in update.phases)
    return Table(
        f"phases-{update.version}",
        f"Phases of the update to {update.version}.",
        [
            Column("phase", False),
            Column("epochs"),
            Column("grown"),
            Column("pruned"),
            Column("restored"),
            Column("density"),
            Column(metric or "accuracy"),
            *([Column("ended early", False)] if stopped else []),
        ],
        [
            [
                Cell(phase.kind),
                number_cell(phase.epochs),
                number_cell(phase.grown),
                number_cell(phase.pruned),
                number_cell(phase.restored),
                density_cell(phase.density),
                share_cell(phase.accuracy, metric),
                *([words_cell(phase.stopped)] if stopped else []),
            ]
            for phase in update.phases
        ],
    )


def epochs_table(update: UpdatePart, metric: str) -> Table:
    """One row an epoch."""
    known = any(epoch.known is not None for epoch in update.epochs)
    return Table(
        f"epochs-{update.version}",
        f"Epochs of the update to {update.version}, as they were when each ended.",
        [
            Column("epoch", False),
            Column("phase", False),
            Column("worker s"),
            Column("examples"),
            Column("loss"),
            Column(metric or "accuracy"),
            *([Column("known classes")] if known else []),
            Column("density"),
            Column("grown"),
            Column("pruned"),
        ],
        [
            [
                Cell(str(number), float(number)),
                words_cell(update.phases[epoch.phase].kind),
                Cell(f"{epoch.seconds:,.1f}", epoch.seconds),
                number_cell(epoch.examples),
                UNKNOWN if epoch.loss is None else Cell(f"{epoch.loss:.4f}", epoch.loss),
                share_cell(epoch.accuracy, metric),
                *([share_cell(epoch.known, metric)] if known else []),
                density_cell(epoch.density),
                number_cell(epoch.grown),
                number_cell(epoch.pruned),
            ]
            for number, epoch in enumerate(update.epochs, 1)
        ],
    )


def layers_table(update: UpdatePart) -> Table:
    """One row a layer: before the update, after each phase that had epochs, and what came and went."""
    parent = any(layer.before is not None for layer in update.layers)
    compared = any(layer.kept is not None for layer in update.layers)
    last = {epoch.phase: epoch.densities for epoch in update.epochs if epoch.densities}
    changes = [Column("kept"), Column("added"), Column("removed")]
    rows = []
    for number, layer in enumerate(update.layers):
        between = [densities[number] for densities in list(last.values())[:-1]]
        shares = [*([layer.before] if parent else []), *between, layer.density]
        cells = [density_cell(share) for share in shares]
        counts = [number_cell(layer.kept), number_cell(layer.added), number_cell(layer.removed)] if compared else []
        rows.append([Cell(layer.name), number_cell(layer.size), *cells, *counts])
    return Table(
        f"layers-{update.version}",
        f"Layers of {update.version}: density before, on the way and after"
        + (", and connections that its parent has, too, that came and that went." if compared else "."),
        [
            Column("layer", False),
            Column("connections"),
            *([Column("before")] if parent else []),
            *(Column(f"after {update.phases[phase].kind}") for phase in list(last)[:-1]),
            Column("after"),
            *(changes if compared else []),
        ],
        rows,
    )


def trials_table(version: str, sweep: SweepPart, metric: str) -> Table:
    """One row a trial."""
    return Table(
        f"trials-{version}",
        f"Trials of the sweep that led to {version}: {sweep.why}.",
        [
            Column("trial", False),
            Column("point", False),
            Column("state", False),
            Column("epochs"),
            Column(metric or "accuracy"),
            Column("connections"),
            Column("examples"),
        ],
        [
            [
                Cell(trial.name[-5:] + (" (won)" if trial.winner else " (front)" if trial.front else "")),
                words_cell(trial.point),
                words_cell(f"{trial.state}: {trial.error[:160]}" if trial.error else trial.state),
                number_cell(trial.epochs),
                share_cell(trial.accuracy, metric),
                number_cell(trial.active),
                number_cell(trial.examples),
            ]
            for trial in sweep.trials
        ],
    )


def drift_table(update: UpdatePart) -> Table:
    """One row a measure of drift."""
    return Table(
        f"drift-{update.version}",
        f"How the arrival of {update.version} differs from what the line had seen before it: the effect goes from 0 "
        "(alike) to 1 (nothing in common), p is the probability of such a difference by chance alone.",
        [
            Column("measure", False),
            Column("effect"),
            Column("p"),
            Column("difference", False),
            Column("looked at"),
            Column("differ"),
        ],
        [
            [
                Cell(part.what),
                Cell(f"{part.effect:.3f}", part.effect),
                Cell(f"{part.p:.2g}", part.p),
                words_cell(part.level),
                number_cell(part.tested),
                number_cell(part.found),
            ]
            for part in update.drift
        ],
    )
