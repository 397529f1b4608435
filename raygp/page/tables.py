"""The tables of a whole line: what stands behind its charts, to be read, sorted and copied."""

from __future__ import annotations

from collections.abc import Sequence

from raygp.page.cells import (
    Cell,
    Column,
    Table,
    change_cell,
    density_cell,
    number_cell,
    rows_cell,
    share_cell,
    stamp_cell,
    words_cell,
)
from raygp.page.saying import moment
from raygp.page.story import Pair, RefusalPart, Story, VersionPart

VERSION_STATES = {"head": "head", "history": "", "waiting": "not promoted yet", "aside": "rolled back"}
ARRIVAL_STATES = {"seen": "folded in", "waiting": "waits", "refused": "refused, waits"}


def ours(pair: Pair) -> float:
    """A version's accuracy where it is held against its parent's: among the classes that the parent knows, where it
    brings others."""
    return pair.accuracy if pair.among_known is None else pair.among_known


def versions_table(story: Story) -> Table:
    """One row a version: what it folds in and how good it is."""
    of = story.metric or "accuracy"
    tests = list(dict.fromkeys(name for version in story.versions for name in version.test))
    has_parents = any(version.known.parent is not None for version in story.versions)
    caption = "Every version, oldest first, with its accuracy on its own validation rows."
    if has_parents:
        caption = (
            "Every version, oldest first. Accuracy is on its own validation rows, which grow with the line. The two "
            "columns after these are of the same rows: the version, and its parent. Then, by how much the update "
            "changed accuracy on what its own arrival holds out, and on what earlier arrivals do."
        )
        if any(version.known.among_known is not None for version in story.versions):
            caption += (
                " Of a version that brings classes, the same rows are those of classes that its parent knows, answered "
                "with these alone; its own arrival counts rows of new classes, too, of which the parent has none right."
            )
    beside = [Column("same rows"), Column("parent"), Column("own arrival"), Column("earlier ones")]
    return Table(
        "versions",
        caption,
        [
            Column("version", False),
            Column("folds in", False),
            Column("made on", False),
            Column("state", False),
            Column(of),
            Column("rows"),
            *(beside if has_parents else []),
            *(Column(f"test {name}") for name in tests),
        ],
        [_version(version, story.metric, tests, has_parents) for version in story.versions],
    )


def _version(version: VersionPart, metric: str, tests: Sequence[str], has_parents: bool) -> list[Cell]:
    pair = version.known
    beside = [
        share_cell(ours(pair) if pair.parent is not None else None, metric),
        share_cell(pair.parent, metric),
        change_cell(version.own_gain, metric),
        change_cell(version.backward_transfer, metric),
    ]
    return [
        Cell(version.version),
        words_cell(", ".join((*version.beside, version.arrival)) if version.arrival else "adopted"),
        stamp_cell(version.created),
        words_cell(VERSION_STATES[version.state]),
        share_cell(version.accuracy, metric),
        rows_cell(version.rows),
        *(beside if has_parents else []),
        *(share_cell(version.test.get(name), metric if name == metric else "") for name in tests),
    ]


def costs_table(story: Story) -> Table:
    """One row a version: how large it is, and what was spent."""
    return Table(
        "costs",
        "Size and cost of every version. What was spent so far counts refused updates, too; beside the arithmetic over "
        "active connections stands that of the same passes in a dense network. Fine-tuning is a forecast of examples: "
        "five epochs over all training rows so far.",
        [
            Column("version", False),
            Column("connections"),
            Column("of"),
            Column("density"),
            Column("examples"),
            Column("fine-tuning"),
            Column("worker s"),
            Column("examples so far"),
            Column("GFLOP so far"),
            Column("GFLOP if dense"),
        ],
        [
            [
                Cell(version.version),
                number_cell(version.active),
                number_cell(version.total),
                density_cell(version.density),
                number_cell(version.cost.examples),
                number_cell(version.fine_tuning),
                Cell(f"{version.cost.worker_seconds:,.1f}", version.cost.worker_seconds),
                number_cell(version.so_far.examples),
                Cell(f"{version.so_far.sparse_flops / 1e9:,.4g}", version.so_far.sparse_flops),
                Cell(f"{version.so_far.dense_flops / 1e9:,.4g}", version.so_far.dense_flops),
            ]
            for version in story.versions
        ],
    )


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
                Cell(moment(part.published, short=True), part.published),
                number_cell(part.train),
                number_cell(part.val),
                number_cell(part.test),
                number_cell(part.classes),
                number_cell(part.quarantined),
                words_cell(ARRIVAL_STATES[part.state]),
                words_cell(part.version),
                words_cell(part.source),
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
            [Cell(name), rows_cell(rows), *(share_cell(value, story.metric) for value in cells)]
            for name, rows, cells in zip(matrix.arrivals, matrix.rows, matrix.cells, strict=True)
        ],
    )


def classes_table(story: Story) -> Table:
    """One row a class."""
    return Table(
        "classes",
        f"Validation rows of each class, answered by {story.head} and by its parent. Of a class that the parent does "
        "not know, it has none right.",
        [Column("class", False), Column("rows"), Column("accuracy"), Column("parent"), Column("change in points")],
        [
            [
                Cell(part.name),
                rows_cell(part.pair.rows),
                share_cell(part.pair.accuracy),
                Cell("new", "") if part.pair.new_rows else share_cell(part.pair.parent),
                change_cell(
                    None if part.pair.parent is None or part.pair.new_rows else part.pair.accuracy - part.pair.parent
                ),
            ]
            for part in story.classes
        ],
    )


def refusals_table(refusals: Sequence[RefusalPart], metric: str) -> Table:
    """One row an update that was refused."""
    return Table(
        "refusals",
        "Updates whose candidates were refused, as far as they are still kept: raygp gc drops what no longer counts.",
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
                words_cell(part.version),
                words_cell(part.reason),
                share_cell(part.accuracy, metric),
                number_cell(part.cost.examples),
            ]
            for part in refusals
        ],
    )
