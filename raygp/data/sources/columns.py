"""Which column of a table is what, by its name: of Parquet, of tables of recordings, of JSON."""

from __future__ import annotations

from collections.abc import Sequence

from raygp.data.listing import listed
from raygp.data.sources.naming import PARTITIONS
from raygp.data.text import tidy
from raygp.errors import InputError

SAMPLES = ("sample", "image", "audio", "img", "file")
"""Names of a column of samples, the first comes first."""
FILES = (
    "file", "file_name", "filename", "path", "file_path", "filepath", "audio_file", "audio_path", "audio_filepath",
    "wav_filename", "image_path", "img_path", "image_file", "audio",
)  # fmt: skip
"""Names of a column with the names of files."""
TEXTS = ("text", "sentence", "content", "document", "review", "comment", "message", "body", "tweet")
"""Names of a column of texts that are samples, the first comes first."""
LABELS = ("label", "labels", "fine_label", "class")
"""Names of a column of classes, the first comes first."""
TEXT_LABELS = ("sentiment", "category", "topic", "target")
"""Names of a column of a text's class, where none has one of :data:`LABELS`. A table has one of them."""
TARGETS = (*LABELS, "target", "y", "outcome")
"""Names of a column of classes or numbers where the other columns are the sample, the first comes first."""
TRANSCRIPTS = ("text", "transcript", "transcription", "sentence")
"""Names of a column of what is said. A table has one of them."""
SPLITS = ("split",)
"""Names of a column that says which split a row belongs to."""
MAYBE_SPLITS = tuple(name for name in PARTITIONS if name not in SPLITS)
"""Names of a column that says so where every value is a word for a split, and else says something of its own."""


def named(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Those columns that have one of the names, in the order of the names. Neither case nor blanks around count."""
    return [column for name in names for column in columns if tidy(column).lower() == name]


def choose_column(columns: Sequence[str], names: Sequence[str], what: str, where: str) -> str:
    """The column with the first of the names that is there.

    Args:
        columns: of the table.
        names: one of :data:`SAMPLES`, :data:`FILES` and the like.
        what: they hold, for messages: "samples".
        where: the table, for messages.

    Raises:
        InputError: there is none, or two are told apart by case alone.
    """
    found = named(columns, names)
    if not found:
        raise InputError(f"{where} has no column of {what}: {_expected(columns, names)}")
    if len(found) > 1 and tidy(found[0]).lower() == tidy(found[1]).lower():
        raise InputError(f"{where} has the columns {all_of(found[:2])}: give one of them another name")
    return found[0]


def choose_text_label(columns: Sequence[str], where: str) -> str:
    """The column of the classes of texts. Arguments are those of :func:`choose_column`.

    Raises:
        InputError: there is none, or more than one might be meant; the message names them.
    """
    others = [] if named(columns, LABELS) else named(columns, TEXT_LABELS)
    if len(others) > 1:
        raise InputError(f"{where} has the columns {all_of(others)}: call the one that is meant 'label'")
    return others[0] if others else choose_column(columns, (*LABELS, *TEXT_LABELS), "labels", where)


def choose_label(columns: Sequence[str], classes: bool | None, where: str) -> str:
    """The column of labels: what is said where the line's labels are texts, a class where they are classes.

    Where there is only a column of the other kind, that is it.

    Args:
        columns: of the table.
        classes: what the line's labels are; None where no line is known.
        where: the table, for messages.

    Raises:
        InputError: there is none, or more than one might be meant; the message names them.
    """
    labels, texts = named(columns, LABELS), named(columns, TRANSCRIPTS)
    if not labels + texts:
        wanted = {None: "labels or transcripts", True: "labels", False: "transcripts"}[classes]
        names = (*LABELS, *TRANSCRIPTS) if classes else (*TRANSCRIPTS, *LABELS)
        raise InputError(f"{where} has no column of {wanted}: {_expected(columns, names)}")
    if classes is None and labels and texts:
        raise InputError(
            f"{where} has the columns {all_of([labels[0], *texts])}: whether a label is a class or a text depends on "
            "the line's task, which is not known here"
        )
    if texts and not (classes and labels):
        if len(texts) > 1:
            raise InputError(
                f"{where} has the columns {all_of(texts)}, and each may be the transcript: give all but one of them "
                "other names"
            )
        return texts[0]
    return choose_column(columns, LABELS, "labels", where)


def _expected(columns: Sequence[str], names: Sequence[str]) -> str:
    return f"expected one of {', '.join(names)}, found {', '.join(columns) or 'none'}"


def all_of(columns: Sequence[str]) -> str:
    """Names of columns for messages: all of them."""
    return listed([repr(column) for column in columns], last=" and ")
