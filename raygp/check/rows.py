"""The few rows that a task is tried out on."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from raygp.data.sources import form_of, open_source, tell_labels, tell_task
from raygp.data.sources.kind import medium_of
from raygp.errors import InputError
from raygp.store import Location, list_arrivals, read_shard
from raygp.tasks.protocol import Task

T = TypeVar("T")
ROWS = 24
"""So many rows are looked at, if there are as many."""
_LABELS = 3
"""Of so many classes at most, so that there are several of each."""
_SCANNED = 20_000


@dataclass(frozen=True)
class Row:
    """One encoded sample and its label."""

    sample: bytes
    label: str
    key: str


def rows_of_source(source: str, task: Task) -> list[Row]:
    """Rows of a source, such as ``"imagefolder:photos"``, or of a path whose kind is plain; of the classes that come
    first, by turns.

    Raises:
        InputError: the source cannot be read or holds fewer than two rows with a label.
    """
    opened = open_source(form_of(source, medium_of(task)))
    tell_labels(opened, task.labels_are_classes)
    tell_task(opened, task)
    samples = itertools.islice((sample for sample in opened.samples() if sample.label and not sample.problem), _SCANNED)
    chosen = _by_turns(((sample.label, sample) for sample in samples), task.labels_are_classes)
    return _enough([Row(sample.load(), sample.label, sample.key) for sample in chosen], source)


def rows_of_line(location: Location, task: Task) -> list[Row]:
    """Training rows of a line's newest arrival that has some, as :func:`rows_of_source` takes them.

    Raises:
        InputError: a shard cannot be read, or there are fewer than two rows.
    """
    for manifest in reversed(list_arrivals(location)):
        for shard in manifest.shards:
            if shard.split == "train" and shard.rows:
                table = read_shard(location, manifest.arrival, shard)
                labels = table.column("label").to_pylist()[:_SCANNED]
                chosen = _by_turns(((label, row) for row, label in enumerate(labels)), task.labels_are_classes)
                samples, keys = table.column("sample"), table.column("key")
                rows = [Row(samples[row].as_py(), labels[row], str(keys[row].as_py())) for row in chosen]
                return _enough(rows, location.root)
    raise InputError(f"{location.root} has no arrival with training rows: give --source")


def made_up_rows(task: Task) -> list[Row]:
    """Rows that a task of one's own makes up, where there are none.

    Raises:
        InputError: the task cannot.
    """
    make = getattr(task, "made_up", None)
    if not callable(make):
        raise InputError("give rows to try the task out on: --source KIND:PATH, or --root of a line")
    return [Row(sample, label, f"made-up-{number}") for number, (sample, label) in enumerate(make(ROWS))]


def _enough(rows: list[Row], where: str) -> list[Row]:
    if len(rows) < 2:
        raise InputError(f"{where} has {len(rows)} rows with a label: a check needs two")
    return rows


def _by_turns(labelled: Iterable[tuple[str, T]], classes: bool) -> Iterator[T]:
    """The first rows; where labels are classes, of the first few classes by turns."""
    if not classes:
        yield from (row for _, row in itertools.islice(labelled, ROWS))
        return
    found: dict[str, list[T]] = {}
    for label, row in labelled:
        if len(of := found.setdefault(label, [])) < ROWS:
            of.append(row)
    turns = itertools.zip_longest(*list(found.values())[:_LABELS])
    yield from itertools.islice((row for turn in turns for row in turn if row is not None), ROWS)
