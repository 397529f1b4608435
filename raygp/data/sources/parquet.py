"""Parquet files of samples, such as Hugging Face's datasets are made of.

pyarrow is imported when a file is read: to list the kinds of sources must cost little.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygp.data.sources.kind import LIKELY, UNLIKELY, SourceKind
from raygp.data.sources.naming import files_of, split_of, split_of_path
from raygp.data.sources.source import SourceSample
from raygp.data.sources.spool import Spool
from raygp.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLES = ("sample", "image", "audio", "img", "file")
_LABELS = ("label", "text", "transcript", "transcription", "sentence", "fine_label")
_ROWS_AT_ONCE = 64


class ParquetSource:
    """A file, or a folder of files, of rows with a sample and a label or a transcript.

    The sample is a column ``sample``, ``image`` or ``audio`` (or ``img``, ``file``) of bytes, or of structs with a
    field ``bytes``. The label is a column ``label``, ``text`` or ``transcript`` (or ``transcription``, ``sentence``,
    ``fine_label``) of strings or whole numbers; Hugging Face's class names are used where the file has them, or where
    it has none and others have, all the same. A column ``split``, else a folder or the start of a file's name, may say
    train, validation or test.

    A row group cannot be read in any order, so samples are copied once into the folder for temporary files.

    Raises:
        InputError: there is no Parquet file at ``path``.
    """

    def __init__(self, path: str) -> None:
        self._files = files_of(path, (".parquet",))
        self.name = f"Parquet files in {Path(path).absolute().name}"

    def samples(self) -> Iterator[SourceSample]:
        """All rows, with keys like ``part/0.parquet#000012``.

        Raises:
            InputError: a file is damaged, lacks a column, or a column is of another type.
        """
        return iter(self._samples)

    @cached_property
    def _samples(self) -> list[SourceSample]:
        # The spool lives as long as the source.
        self._spool = Spool()
        names = self._common_names()
        found = [sample for file, name in self._files for sample in self._read(file, name, names)]
        self._spool.close()
        return found

    def _common_names(self) -> list[str] | None:
        """Class names for the files that have none beside others that have: theirs, if all of those have the same."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        found: list[list[str]] = []
        for path, _ in self._files:
            # A file that cannot be read is told of when its rows are.
            with contextlib.suppress(pa.ArrowException, OSError, InputError):
                names = _Columns(path, pq.read_schema(path)).class_names
                if names is not None and names not in found:
                    found.append(names)
        return found[0] if len(found) == 1 else None

    def _read(self, path: Path, name: Path, names: list[str] | None) -> Iterator[SourceSample]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(path) as file:
                columns = _Columns(path, file.schema_arrow, names)
                row = 0
                for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns.names):
                    for sample, label, split in columns.rows(batch, row):
                        part = split_of(split) if split is not None else split_of_path(name)
                        if split is not None and part is None:
                            raise InputError(f"{path}: row {row}: split '{split}' is none of train, validation, test")
                        yield SourceSample(part, label, f"{name.as_posix()}#{row:06d}", self._spool.add(sample))
                        row += 1
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}") from error


class _Columns:
    """Which columns of a file are what."""

    def __init__(self, path: Path, schema: pa.Schema, names: list[str] | None = None) -> None:
        self._path = path
        self._sample = self._one_of(schema, _SAMPLES, "samples")
        self._label = self._one_of(schema, _LABELS, "labels or transcripts")
        self._split = "split" if "split" in schema.names else None
        self._check_types(schema)
        self.class_names = _class_names(schema, self._label) or names

    @property
    def names(self) -> list[str]:
        """The columns to read."""
        return [name for name in (self._sample, self._label, self._split) if name is not None]

    def rows(self, batch: pa.RecordBatch, first: int) -> Iterator[tuple[bytes, str, str | None]]:
        """Sample, label and split of each row; ``first`` is the number of the first one."""
        samples, labels = (batch.column(name).to_pylist() for name in (self._sample, self._label))
        splits: Sequence[str | None] = batch.column(self._split).to_pylist() if self._split else [None] * len(labels)
        for row, (sample, label, split) in enumerate(zip(samples, labels, splits, strict=True), first):
            content = sample.get("bytes") if isinstance(sample, dict) else sample
            # An empty sample is a bad row, which the check of samples counts.
            yield content or b"", self._text(label, row), split

    def _text(self, label: Any, row: int) -> str:
        if label is None:
            return ""
        if isinstance(label, int) and self.class_names is not None:
            if not 0 <= label < len(self.class_names):
                classes = len(self.class_names)
                raise InputError(f"{self._path}: row {row}: label {label} is none of its {classes} classes")
            return self.class_names[label]
        return str(label)

    def _one_of(self, schema: pa.Schema, names: Sequence[str], what: str) -> str:
        for name in names:
            if name in schema.names:
                return name
        has = ", ".join(schema.names)
        raise InputError(f"{self._path} has no column of {what}: expected one of {', '.join(names)}, found {has}")

    def _check_types(self, schema: pa.Schema) -> None:
        import pyarrow as pa

        sample, label = schema.field(self._sample).type, schema.field(self._label).type
        inner = sample
        if pa.types.is_struct(sample) and sample.get_field_index("bytes") >= 0:
            inner = sample.field("bytes").type
        if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner)):
            raise InputError(f"{self._path}: column {self._sample} must hold bytes (or bytes and path), not {sample}")
        if not (pa.types.is_integer(label) or pa.types.is_string(label) or pa.types.is_large_string(label)):
            raise InputError(f"{self._path}: column {self._label} must hold strings or whole numbers, not {label}")


def _class_names(schema: pa.Schema, label: str) -> list[str] | None:
    """The names that Hugging Face's metadata give to whole numbers."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[label]["names"]
    except (KeyError, ValueError, TypeError):
        return None
    return [str(name) for name in names]


def _looks_like(path: Path) -> int:
    files = path.iterdir() if path.is_dir() else [path]
    return LIKELY if any(file.name.lower().endswith(".parquet") for file in files) else UNLIKELY


PARQUET = SourceKind(ParquetSource, "FILE_OR_DIR", looks_like=_looks_like)
