"""Samples of files that hold many, without their labels: what ``raygp predict`` answers. Few are in memory at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from raygp.data.sources.kind import medium_of
from raygp.data.sources.parquet import encoded_text, file_meant, rows_of
from raygp.data.sources.parquet_columns import Columns
from raygp.data.sources.parquet_table import Table
from raygp.data.sources.rowfiles import RowFile
from raygp.data.sources.skipping import skipped
from raygp.data.sources.source import FileSlice, PassedOver, SourceSample
from raygp.data.sources.tarindex import TarIndex
from raygp.data.sources.tarkeys import keyed_samples
from raygp.errors import InputError

if TYPE_CHECKING:
    from raygp.tasks.protocol import Task

_AT_ONCE = 64


def rows_without_labels(path: Path, open_rows: Callable[[Path], RowFile], task: Task) -> Iterator[SourceSample]:
    """The samples of a file of rows, with keys like ``#000012``.

    Args:
        path: of the file.
        open_rows: opens it.
        task: whose samples are wanted.

    Raises:
        InputError: the file cannot be read, or has no column of samples.
    """
    file = open_rows(path)
    if not file.schema.names:
        for row in range(file.rows):
            yield SourceSample(None, "", f"#{file.number(row):06d}", bytes, file.problem(row))
    if not file.rows:
        raise InputError("there are no rows in it")
    if not file.schema.names:
        return
    classes = task.labels_are_classes or None
    columns = Columns(path, file.schema, {}, classes, texts=medium_of(task) == "text", labels=False)
    table = Table(path, path.name, file, None, columns, file.rows)
    for row, (content, name) in enumerate(rows_of(table, columns.of_samples, _AT_ONCE, columns.samples)):
        load, problem = (bytes, found) if (found := file.problem(row)) else _content(table, content, name)
        yield SourceSample(None, "", table.key_of(row)[len(table.key) :], load, problem)


def _content(table: Table, content: bytes | None, name: str) -> tuple[Callable[[], bytes], str]:
    """What loads a row's sample, and why nothing does."""
    if content and table.columns.texts:
        content, problem = encoded_text(content)
        return partial(bytes, content), problem
    if content or not name:
        problem = "" if content is not None else f"there is nothing in column {table.columns.described_samples[0]}"
        return partial(bytes, content or b""), problem
    found, reason = file_meant(table, name)
    return (FileSlice(str(table.top / found)), "") if found is not None else (bytes, reason)


def members_without_labels(path: Path, task: Task, passed_over: PassedOver) -> Iterator[SourceSample]:
    """The samples of a tar, with keys like ``/cat/1.jpg``: those of its members that :mod:`raygp.data.sources.tarkeys`
    takes for some.

    Args:
        path: of the tar.
        task: whose samples are wanted.
        passed_over: is told of the other members.

    Raises:
        InputError: it cannot be read as a tar.
    """
    medium = medium_of(task)
    for files in TarIndex(path, passed_over).archives:
        visible = {}
        for name, content in files.items():
            what = next((kind for part in name.split("/") if part and (kind := skipped(part)) is not None), None)
            if what is None:
                visible[name] = content
            else:
                passed_over.add(what, f"{path.name}/{name}")
        rest = dict.fromkeys(visible)
        for found in keyed_samples(visible):
            rest.pop(found.content.name, None)
            if medium in ("image", "audio") and found.medium != medium:
                passed_over.add("members of another kind", f"{path.name}/{found.content.name}")
            else:
                yield SourceSample(None, "", f"/{found.content.name}", found.content.content)
        for name in rest:
            passed_over.add("members that are no samples", f"{path.name}/{name}")
