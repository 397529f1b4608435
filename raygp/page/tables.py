"""The tables of the page: what stands behind its charts, to be read, sorted and copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raygp.page.saying import day, density_of, flops, moment
from raygp.page.story import Pair, RefusalPart, Story, SweepPart, UpdatePart, VersionPart
from raygp.record import measured
from raygp.report.tables import count

STATES = {
    "head": "head", "history": "", "waiting": "not promoted yet", "aside": "rolled back", "seen": "folded in",
    "refused": "refused, waits",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and what it is sorted by."""

    text: str
    value: float | str | None = None
    """The figure itself, as the story has it. None: the text."""

    @property
    def key(self) -> str:
        """The figure as text, exactly."""
        return self.text if self.value is None else repr(self.value) if isinstance(self.value, float) else str(self.value)


@dataclass(frozen=True)
class Column:
    """The heading of a column."""

    name: str
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """A table with a caption. The first cell of a row is its heading."""

    name: str
    """Unique on the page."""
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]

    @property
    def label(self) -> str:
        """What the scrolling region around it is called: the start of its caption."""
        return self.caption.split(". ")[0].rstrip(".")


def _words(text: str) -> Cell:
    return Cell(text or "–")


def _number(value: float | int | None) -> Cell:
    return Cell("–", "") if value is None else Cell(f"{value:,.0f}", value)


def _share(value: float | None, metric: str = "") -> Cell:
    return Cell("–", "") if value is None else Cell(measured(value, metric), value)


def _change(value: float | None, metric: str = "") -> Cell:
    if value is None:
        return Cell("–", "")
    return Cell(f"{value:+.3f}" if metric else f"{100 * value:+.2f}", value)


def _stamp(text: str) -> Cell:
    return Cell(day(text), text)


def ours(pair: Pair) -> float:
    """A version's accuracy where it is held against its parent's: among the classes that the parent knows, where it
    brings others."""
    return pair.accuracy if pair.among_known is None else pair.among_known


def versions_table(story: Story) -> Table:
    """One row a version."""
    of = story.metric or "accuracy"
    tests = list(dict.fromkeys(name for version in story.versions for name in version.test))
    has_parents = any(version.known.parent is not None for version in story.versions)
    beside = [Column(f"{of}, parent's rows"), Column("parent"), Column("own arrival"), Column("earlier arrivals")]
    return Table(
        "versions",
        "Every version, oldest first. Accuracy is on the version's own validation rows, which grow with the line; only "
        "the two columns beside the parent are of the same rows. The columns of arrivals say by how many points the "
        "update changed accuracy on their held-out rows."
        if has_parents
        else "Every version, with its accuracy on its own validation rows.",
        [
            Column("version", False),
            Column("folds in", False),
            Column("made on", False),
            Column("state", False),
            Column("connections"),
            Column("density"),
            Column(of),
            Column("rows"),
            *(beside if has_parents else []),
            *(Column(f"test {name}") for name in tests),
            Column("examples"),
            Column("so far"),
            Column("arithmetic"),
            Column("if dense"),
        ],
        [_version(version, story.metric, tests, has_parents) for version in story.versions],
    )


def _version(version: VersionPart, metric: str, tests: Sequence[str], has_parents: bool) -> list[Cell]:
    pair = version.known
    beside = [
        _share(ours(pair) if pair.parent is not None else None, metric),
        _share(pair.parent, metric),
        _change(version.own_gain, metric),
        _change(version.backward_transfer, metric),
    ]
    return [
        Cell(version.version),
        _words(", ".join((*version.beside, version.arrival)) if version.arrival else "adopted"),
        _stamp(version.created),
        _words(STATES[version.state]),
        _number(version.active),
        Cell(density_of(version.density), version.density),
        _share(version.accuracy, metric),
        Cell(count(version.rows), version.rows if version.rows is not None else ""),
        *(beside if has_parents else []),
        *(_share(version.test.get(name), metric if name == metric else "") for name in tests),
        _number(version.cost.examples),
        _number(version.so_far.examples),
        Cell(flops(version.so_far.sparse_flops), version.so_far.sparse_flops),
        Cell(flops(version.so_far.dense_flops), version.so_far.dense_flops),
    ]


def arrivals_table(story: Story) -> Table:
    """One row an arrival."""
    return Table(
        "arrivals",
        "Every arrival, oldest first, with the version that folded it in.",
        [
            Column("arrival", False),
            Column("published", False),
            Column("train"),
            Column("val"),
            Column("test"),
            Column("labels"),
            Column("left out"),
            Column("state", False),
            Column("version", False),
            Column("source", False),
        ],
        [
            [
                Cell(part.arrival),
                Cell(moment(part.published), part.published),
                _number(part.train),
                _number(part.val),
                _number(part.test),
                _number(part.classes),
                _number(part.quarantined),
                _words(STATES.get(part.state, part.state)),
                _words(part.version),
                _words(part.source),
            ]
            for part in story.arrivals
        ],
    )


def matrix_table(story: Story) -> Table:
    """One row an arrival, one column a version."""
    matrix = story.matrix
    some = f" {matrix.left_out:,} versions and arrivals are left out, evenly." if matrix.left_out else ""
    return Table(
        "matrix",
        f"{story.metric or 'Accuracy'} of each version of the head's history on what each arrival holds out for "
        f"validation. Along a row the validation rows are the same; from row to row they are others.{some}",
        [Column("arrival", False), Column("rows"), *(Column(version) for version in matrix.versions)],
        [
            [Cell(name), Cell(count(rows), rows if rows is not None else ""), *(_share(v, story.metric) for v in cells)]
            for name, rows, cells in zip(matrix.arrivals, matrix.rows, matrix.cells, strict=True)
        ],
    )


def classes_table(story: Story) -> Table:
    """One row a class."""
    return Table(
        "classes",
        f"Validation rows of each class, answered by {story.head} and by its parent. Of a class that the parent does not "
        "know, it has none right.",
        [Column("class", False), Column("rows"), Column("accuracy"), Column("parent"), Column("change in points")],
        [
            [
                Cell(part.name),
                Cell(count(part.pair.rows), part.pair.rows if part.pair.rows is not None else ""),
                _share(part.pair.accuracy),
                Cell("new", "") if part.pair.new_rows else _share(part.pair.parent),
                _change(
                    None
                    if part.pair.parent is None or part.pair.new_rows
                    else part.pair.accuracy - part.pair.parent
                ),
            ]
            for part in story.classes
        ],
    )


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
                _number(phase.epochs),
                _number(phase.grown),
                _number(phase.pruned),
                _number(phase.restored),
                Cell(density_of(phase.density), phase.density),
                _share(phase.accuracy, metric),
                *([_words(phase.stopped)] if stopped else []),
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
                _words(update.phases[epoch.phase].kind),
                Cell(f"{epoch.seconds:,.1f}", epoch.seconds),
                _number(epoch.examples),
                Cell("–", "") if epoch.loss is None else Cell(f"{epoch.loss:.4f}", epoch.loss),
                _share(epoch.accuracy, metric),
                *([_share(epoch.known, metric)] if known else []),
                Cell("–", "") if epoch.density is None else Cell(density_of(epoch.density), epoch.density),
                _number(epoch.grown),
                _number(epoch.pruned),
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
        cells = [Cell("–", "") if share is None else Cell(density_of(share), share) for share in shares]
        counts = [_number(layer.kept), _number(layer.added), _number(layer.removed)] if compared else []
        rows.append([Cell(layer.name), _number(layer.size), *cells, *counts])
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
                _words(trial.point),
                _words(f"{trial.state}: {trial.error[:160]}" if trial.error else trial.state),
                _number(trial.epochs),
                _share(trial.accuracy, metric),
                _number(trial.active),
                _number(trial.examples),
            ]
            for trial in sweep.trials
        ],
    )


def refusals_table(refusals: Sequence[RefusalPart], metric: str) -> Table:
    """One row an update that was refused."""
    return Table(
        "refusals",
        "Updates whose candidates were refused, as far as they are still kept (raygp gc drops those that no longer count).",
        [
            Column("arrival", False),
            Column("candidate", False),
            Column("why", False),
            Column(metric or "accuracy"),
            Column("examples"),
        ],
        [
            [
                Cell(part.arrival),
                _words(part.version),
                _words(part.reason),
                _share(part.accuracy, metric),
                _number(part.cost.examples),
            ]
            for part in refusals
        ],
    )


def drift_table(update: UpdatePart) -> Table:
    """One row a measure of drift."""
    return Table(
        f"drift-{update.version}",
        f"How the arrival of {update.version} differs from what the line had seen before it.",
        [Column("measure", False), Column("size of the effect", False), Column("p"), Column("differs", False)],
        [
            [
                Cell(part.what),
                _words(part.effect),
                Cell("–", "") if part.p is None else Cell(f"{part.p:.2g}", part.p),
                _words("" if part.differs is None else "yes" if part.differs else "no"),
            ]
            for part in update.drift
        ],
    )
