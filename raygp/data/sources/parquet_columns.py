"""Which columns of a file of rows are the sample, the label and the split: by Hugging Face's features, else by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from raygp.data.sources.columns import (
    FILES,
    LABELS,
    MAYBE_SPLITS,
    SAMPLES,
    SPLITS,
    TEXT_LABELS,
    TEXTS,
    TRANSCRIPTS,
    all_of,
    choose_column,
    choose_label,
    choose_text_label,
    named,
)
from raygp.data.sources.parquet_values import Label, Shape, as_text, label_of, plain, shape_of, values_of
from raygp.data.text import tidy
from raygp.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

LabelKind = Literal["numbers", "class names", "strings", "true and false"]
"""How a file writes its labels; "class names" are numbers that have names."""
_KINDS: dict[Shape, LabelKind] = {
    Shape.NUMBER: "numbers",
    Shape.FLOAT: "numbers",
    Shape.TRUTH: "true and false",
    Shape.TEXT: "strings",
    Shape.BYTES: "strings",
    Shape.NOTHING: "strings",
}
_WORDS = (Shape.TEXT, Shape.BYTES, Shape.NOTHING)
_PARTS = ("bytes", "path")
"""Of a struct, or of a column that was flattened."""
_MEDIA = ("Image", "Audio")
"""Hugging Face's features of samples."""


class Columns:
    """What the columns of a file mean.

    Columns are found by their names, in small letters or capitals (:mod:`raygp.data.sources.columns`). Where the file
    has Hugging Face's features, the only Image or Audio is the sample, and the only ClassLabel is the class. Columns
    ``image.bytes`` and ``image.path`` are a flattened ``image``. A folder such as ``label=cat`` is a column, too. Where
    there is no column of samples, but one of texts, such as ``text``, these are the samples, and labels are classes.

    Args:
        path: of the file, for messages.
        schema: of the file.
        folders: what the names of its folders say: ``{"label": "cat"}``.
        classes: the line's labels are classes; False: they are texts; None: no line is known.
        texts: the samples are texts, whatever else there is.
        labels: look for labels, too.

    Raises:
        InputError: there is no column of samples, two columns may be meant, or one is of a type that cannot be used.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        folders: Mapping[str, str],
        classes: bool | None = None,
        texts: bool = False,
        labels: bool = True,
    ) -> None:
        self._path, self._schema, self._folders, self._classes = path, schema, folders, classes
        self._features = _features(schema)
        self._own: list[str] = list(schema.names)
        self._names = [*self._own, *(name for name in folders if name not in self._own)]
        self.split_is_sure = bool(named(self._names, SPLITS))
        """False: the column of splits may say something else, as a "subset" does that has other words in it."""
        self._split = self._find_split()
        self.texts = texts or self._has_only_texts()
        """Whether samples are texts, and labels classes."""
        self._sample = self._find_text() if self.texts else self._find_sample()
        self._sample_columns = self._parts_of_sample()
        self._check_samples()
        names = (*LABELS, *TEXT_LABELS) if self.texts else (*LABELS, *TRANSCRIPTS)
        self.has_label = labels and bool(named(self._names, names) or self._class_labels())
        """Whether there is a column of labels, or a folder that says the label."""
        self.label = self.find_label() if self.has_label else ""
        """Name of the column of labels; empty if there is none."""
        self.class_names = self._class_names(self.label)
        """Names of classes by number, if the file has them."""
        self._check_labels()

    @property
    def kind(self) -> LabelKind:
        """How the file writes its labels."""
        if self.label not in self._own:
            return "strings"
        kind = _KINDS[shape_of(self._schema.field(self.label).type)]
        return "class names" if self.class_names is not None and kind == "numbers" else kind

    @property
    def of_samples(self) -> list[str]:
        """Columns of the file that make up the sample."""
        return self._sample_columns

    @property
    def unused(self) -> list[str]:
        """Columns of the file that are neither of samples nor of labels nor of splits."""
        used = {*self.of_samples, *self.of_table}
        return [name for name in self._own if name not in used]

    @property
    def of_table(self) -> list[str]:
        """Columns of the file that hold labels and splits."""
        return [name for name in (self.label, self._split) if name in self._own]

    @property
    def described_samples(self) -> tuple[str, str]:
        """Name and type of the column of samples, for messages."""
        name = self._sample_columns[0]
        return name, str(self._schema.field(name).type)

    @property
    def split_folder(self) -> str:
        """The word of a folder such as ``split=train``; empty where there is none."""
        return self._folders.get(self._split, "")

    def labels_and_splits(self, batch: pa.RecordBatch) -> Iterator[tuple[Label, str]]:
        """The label of each row, and the word that says its split; empty where none does."""
        return zip(self._labels(batch), self._splits(batch), strict=True)

    def _labels(self, batch: pa.RecordBatch) -> Iterator[Label]:
        said = self._folders.get(self.label)
        folder = Label() if said is None else label_of(said.encode(), self.class_names)
        if self.label not in self._own:
            yield from [folder] * batch.num_rows
            return
        for value in values_of(batch.column(self.label)):
            label = label_of(value, self.class_names)
            if folder.text and label.text and not label.problem and tidy(label.text) != tidy(folder.text):
                label = Label(label.text, f"label '{label.text}' in a folder that is called {self.label}={said}")
            yield label if label.text or label.problem else folder

    def _splits(self, batch: pa.RecordBatch) -> Iterator[str]:
        said = self.split_folder
        if self._split not in self._own:
            yield from [said] * batch.num_rows
            return
        names = self._class_names(self._split)
        for value in values_of(batch.column(self._split)):
            yield tidy(label_of(value, names).text) or said

    def samples(self, batch: pa.RecordBatch) -> Iterator[tuple[bytes | None, str]]:
        """Bytes of the sample of each row, and the path that stands beside them or in their place."""
        if not self._sample_columns or not batch.num_columns:
            yield from [(None, "")] * batch.num_rows
            return
        nothing: list[Any] = [None] * batch.num_rows
        found = {"bytes": nothing, "path": nothing}
        for name in self._sample_columns:
            found.update(self._parts(name, batch.column(name)))
        yield from zip(found["bytes"], map(as_text, found["path"]), strict=True)

    def find_label(self) -> str:
        """Name of the column of labels.

        Raises:
            InputError: there is none, or more than one may be meant.
        """
        # A class that Hugging Face's features tell of needs no name that is known, unless another has the best one.
        if self._classes is not False and not named(self._names, LABELS[:1]):
            of_class = self._class_labels()
            unsure = self._classes is None and not self.texts and named(self._names, TRANSCRIPTS)
            if len(of_class) == 1 and not unsure:
                return of_class[0]
            if len(of_class) > 1 and not named(of_class, LABELS):
                raise InputError(
                    f"{self._path} has the columns of classes {all_of(of_class)}: call the one that is meant 'label'"
                )
        if self.texts:
            return choose_text_label(self._names, str(self._path))
        return choose_label(self._names, self._classes, str(self._path))

    def _class_labels(self) -> list[str]:
        """Columns that are Hugging Face's ClassLabels."""
        return [name for name in self._own if self._type_of(name) == "ClassLabel" and name != self._split]

    def _find_split(self) -> str:
        if self.split_is_sure:
            return choose_column(self._names, SPLITS, "splits", str(self._path))
        maybe = [name for name in named(self._own, MAYBE_SPLITS) if self._own.count(name) == 1]
        return next((name for name in maybe if self._has_words(name)), "")

    def _has_words(self, name: str) -> bool:
        shape = shape_of(self._schema.field(name).type)
        return shape in _WORDS or (shape == Shape.NUMBER and self._class_names(name) is not None)

    def _has_only_texts(self) -> bool:
        """Whether nothing but a text can be the sample."""
        if self._classes is False or any(self._type_of(name) in _MEDIA for name in self._own):
            return False
        files = named([name.partition(".")[0] for name in self._own], (*SAMPLES, *FILES))
        return not files and not any(map(self._holds_bytes, self._own)) and bool(named(self._of_words(), TEXTS))

    def _of_words(self) -> list[str]:
        return [name for name in self._own if self._own.count(name) > 1 or self._has_words(name)]

    def _find_text(self) -> str:
        return choose_column(self._of_words(), TEXTS, "texts", str(self._path))

    def _find_sample(self) -> str:
        media = [name for name in self._own if self._type_of(name) in _MEDIA]
        if len(media) > 1 and self._classes is not None:
            wanted = "Image" if self._classes else "Audio"
            media = [name for name in media if self._type_of(name) == wanted] or media
        if len(media) == 1:
            return media[0]
        order = SAMPLES if self._classes is not False else tuple(dict.fromkeys((SAMPLES[0], "audio", *SAMPLES)))
        if media and not named(media, order):
            raise InputError(f"{self._path} has the columns of samples {all_of(media)}: call one of them 'sample'")
        flat = [name[: -len(part) - 1] for name in self._own for part in _PARTS if name.endswith(f".{part}")]
        flat = [name for name in dict.fromkeys(flat) if name not in self._own]
        # A column of strings called "sample" is no sample where there is an image beside it.
        holding = media or [*(name for name in self._own if self._holds_bytes(name)), *flat]
        if named(holding, order):
            return choose_column(holding, order, "samples", str(self._path))
        structs = [name for name in holding if self._holds_bytes(name, *_PARTS)]
        if len(structs) == 1 and not named(self._own, order):
            return structs[0]
        names = order if named(self._own, order) or not named(self._own, FILES) else FILES
        return choose_column(self._own, names, "samples", str(self._path))

    def _holds_bytes(self, name: str, *parts: str) -> bool:
        """Whether a column may be one of samples: bytes, or structs that have them (and the other parts)."""
        for type_ in (field.type for field in self._schema if field.name == name):
            shape = shape_of(type_)
            has = {field.name for field in plain(type_)} if shape == Shape.STRUCT else set()
            if (shape == Shape.BYTES and not parts) or has >= {"bytes", *parts}:
                return True
        return False

    def _parts_of_sample(self) -> list[str]:
        if self._sample in self._own:
            return [self._sample]
        return [name for name in self._own if name in [f"{self._sample}.{part}" for part in _PARTS]]

    def _parts(self, name: str, column: pa.Array) -> Iterator[tuple[str, list[Any]]]:
        shape = shape_of(column.type)
        if self.texts:
            yield "bytes", values_of(column)
            return
        if shape == Shape.STRUCT:
            for field, inner in zip(column.type, column.flatten(), strict=True):
                if field.name in _PARTS:
                    yield field.name, values_of(inner)
        elif shape != Shape.NOTHING:
            yield ("path" if shape == Shape.TEXT or name.endswith(".path") else "bytes"), values_of(column)

    def _check_samples(self) -> None:
        for name in self._sample_columns:
            type_ = self._schema.field(name).type
            shape = shape_of(type_)
            if shape == Shape.LIST:
                raise InputError(
                    f"{self._path}: column {name} holds lists ({type_}), such as pixels or amplitudes: expected the "
                    "bytes of an encoded file (PNG, JPEG, WAV, ...) in each row"
                )
            inner = {field.name: shape_of(field.type) for field in plain(type_)} if shape == Shape.STRUCT else {}
            usable = shape in (Shape.BYTES, Shape.TEXT, Shape.NOTHING) or (
                bool(set(_PARTS) & set(inner))
                and inner.get("bytes", Shape.BYTES) in (Shape.BYTES, Shape.NOTHING)
                and inner.get("path", Shape.TEXT) in (Shape.TEXT, Shape.NOTHING)
            )
            if not usable:
                raise InputError(f"{self._path}: column {name} must hold bytes (or bytes and path), not {type_}")

    def _check_labels(self) -> None:
        if self.label in self._own:
            type_ = self._schema.field(self.label).type
            if shape_of(type_) == Shape.LIST:
                one = "one label" if self._classes is not False else "one transcript"
                raise InputError(f"{self._path}: column {self.label} holds lists ({type_}): expected {one} in each row")
            if shape_of(type_) not in _KINDS:
                raise InputError(
                    f"{self._path}: column {self.label} must hold strings or whole numbers, not {type_}: cast it"
                )
        if self._split in self._own:
            type_ = self._schema.field(self._split).type
            if not self._has_words(self._split):
                raise InputError(
                    f"{self._path}: column {self._split} must hold words such as train and test, not {type_}; give it "
                    "another name if it says something else"
                )

    def _type_of(self, name: str) -> str:
        """Hugging Face's name for the type of a column; empty where the file has none."""
        found = self._features.get(name, {})
        # Early versions wrote no type beside the names.
        return str(found.get("_type") or ("ClassLabel" if found.get("names") else ""))

    def _class_names(self, name: str) -> list[str] | None:
        names = self._features.get(name, {}).get("names")
        if isinstance(names, dict):
            names = [names[number] for number in sorted(names, key=lambda number: (len(number), number))]
        return [str(each) for each in names] if isinstance(names, list) and names else None


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Hugging Face's features of the columns, by name; empty where the file has none."""
    try:
        content = json.loads((schema.metadata or {})[b"huggingface"])
        features = (content.get("info") or content["dataset_info"])["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
