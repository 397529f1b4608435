"""The labels of files of rows, and what can be told only from all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from raygp.data.sources.parquet_columns import Columns
from raygp.data.sources.parquet_values import UNLABELLED, Label, is_number
from raygp.data.sources.rowfiles import RowFile
from raygp.data.sources.source import SplitName
from raygp.errors import InputError

_FEW = 0.01
"""As large a part of the rows can be left out unless people say otherwise."""


@dataclass(eq=False)
class Table:
    """A file of rows, and the labels of them."""

    path: Path
    key: str
    """Its path in the source."""
    file: RowFile
    """What its rows are read from."""
    split: SplitName | None
    """What its name or a folder says."""
    columns: Columns
    rows: int
    labels: list[Label] = field(default_factory=list)
    """Of each row."""
    splits: list[SplitName | None] = field(default_factory=list)
    """Of each row."""

    def key_of(self, row: int) -> str:
        """The key of a row."""
        return f"{self.key}#{self.file.number(row):06d}"

    @property
    def top(self) -> Path:
        """The folder that ``key`` is seen from."""
        return self.path.parents[self.key.count("/")]

    @property
    def says_anything(self) -> bool:
        """Whether a row has a label or a split."""
        return any(self.splits) or any(label.text.strip() for label in self.labels)

    @property
    def usable(self) -> set[str]:
        """The labels that can be used."""
        return {label.text for label in self.labels if label.text and not label.problem}


def share_class_names(tables: Sequence[Table]) -> None:
    """Numbers without class names get those of the other files, if all that have some have the same."""
    found = [table.columns.class_names for table in tables if table.columns.class_names is not None]
    if found and all(names == found[0] for names in found):
        for table in tables:
            if table.columns.kind == "numbers":
                table.columns.class_names = found[0]


def clear_unlabelled(tables: Sequence[Table]) -> None:
    """Take -1 for what it is among numbers of classes without names: no label.

    It is a class of its own where the others are not counted from 0 or 1, as in -1 and 1; and beside 0 and 1 alone,
    unless it is as rare as a mistake.
    """
    numbers = [table for table in tables if table.columns.kind == "numbers"]
    counts = Counter(label.text for table in numbers for label in table.labels if not label.problem)
    classes = {int(text) for text in counts if is_number(text) and text != "-1"}
    if "-1" not in counts or len(classes) < 2 or min(classes) not in (0, 1):
        return
    rare = counts["-1"] <= _FEW * counts.total()
    trained = any(
        label.text == "-1" and split not in ("val", "test")
        for table in numbers
        for label, split in zip(table.labels, table.splits, strict=True)
    )
    if len(classes) > 2 or rare or not trained:
        for table in numbers:
            table.labels = [Label("", UNLABELLED) if label.text == "-1" else label for label in table.labels]


def splits_without_labels(tables: Sequence[Table]) -> set[SplitName]:
    """The held-out splits of which no row has a label, as contests have them, while others have."""
    there: set[SplitName | None] = set()
    labelled: set[SplitName | None] = set()
    for table in tables:
        there.update(table.splits)
        labelled.update(split for label, split in zip(table.labels, table.splits, strict=True) if label.text.strip())
    held_out: tuple[SplitName, ...] = ("val", "test")
    return {split for split in held_out if split in there - labelled} if labelled else set()


def check_splits(tables: Sequence[Table]) -> None:
    """Refuse a file that belongs to no split, beside others whose names or folders say that they are for training.

    Raises:
        InputError: it names such a file: ``extra-00000-of-00001.parquet`` would be trained on without a word.
    """
    trained = next((table for table in tables if table.split == "train"), None)
    left = next((table for table in tables if table.split is None and not any(table.splits)), None)
    if trained is not None and left is not None:
        raise InputError(
            f"{left.path}: its name says no split, as that of {trained.path} does: put train, validation or test into "
            "it, or take the file out of the folder"
        )


def check_numbers(tables: Sequence[Table]) -> None:
    """Refuse numbers of classes that count from 1 beside names that count from 0: each would get the next one's name.

    Raises:
        InputError: it names the file and the number.
    """
    for names in {tuple(table.columns.class_names or ()) for table in tables} - {()}:
        named = [table for table in tables if tuple(table.columns.class_names or ()) == names]
        outside = f"label {len(names)} is none of "
        beyond = [table for table in named if any(label.problem.startswith(outside) for label in table.labels)]
        if beyond and not any(names[0] in table.usable for table in named):
            raise InputError(
                f"{beyond[0].path}: the labels are 1 to {len(names)}, but the first of the {len(names)} class names "
                f"('{names[0]}') belongs to 0: subtract 1"
            )


def check_alike(tables: Sequence[Table]) -> None:
    """Refuse files that write classes in different ways: the same class would come in two spellings.

    Raises:
        InputError: it names two such files, and a label of each.
    """
    having = [table for table in tables if table.columns.has_label]
    for table in having[1:]:
        first = having[0]
        if table.columns.label.strip().lower() != first.columns.label.strip().lower():
            raise InputError(
                f"the labels are in column {first.columns.label} of {first.path}, and in column {table.columns.label} "
                f"of {table.path}: give the columns that are meant the same name"
            )
    usable = [(table, found) for table in having if (found := table.usable)]
    for table, found in usable:
        for other, others in usable:
            if _contradict(table, found, other, others):
                raise InputError(
                    f"labels are {_described(table, found)} and {_described(other, others)}: write them in one way in "
                    "all files"
                )


def _contradict(table: Table, found: set[str], other: Table, others: set[str]) -> bool:
    if table.columns.kind == other.columns.kind:
        return False
    if table.columns.kind == "numbers":
        return not all(map(is_number, others))
    if table.columns.kind == "true and false":
        return not others <= {"true", "false"}
    # Class names here, and over there nothing but numbers that are none of them.
    names = set(table.columns.class_names or ())
    return table.columns.kind == "class names" and all(map(is_number, others)) and not others <= names


def _described(table: Table, labels: set[str]) -> str:
    return f"{table.columns.kind} in {table.path} (such as '{min(labels)}')"
