"""Data sets on disk as Hugging Face's package ``datasets`` keeps them. That package is not needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raygp.data.sources.kind import LIKELY, UNLIKELY, SourceKind
from raygp.data.sources.parquet import ParquetSource
from raygp.data.sources.rowfiles import ArrowRows, RowFile
from raygp.data.sources.source import PassedOver, SourceSample
from raygp.errors import InputError

STATE = "state.json"
"""What lists the files of a data set that was saved."""
_CACHED = re.compile(r"cache-[0-9a-f]+(_\d+_of_\d+)?\.arrow|tmp\w*\.arrow")
"""Names of what ``datasets`` keeps of earlier calls of map, filter and sort."""
_DICT = "dataset_dict.json"
_PARTS = (STATE, _DICT, "dataset_info.json")
"""What lies beside the files of rows, and is no data that is passed over."""


class DatasetsSource(ParquetSource):
    """A folder that ``save_to_disk`` of Hugging Face's ``datasets`` made, of a Dataset or of a DatasetDict with its
    splits; or a folder of ``.arrow`` files, such as those in its cache; or one of these files.

    Columns, labels, splits and bad rows are as for ``parquet``: an Image or Audio is the sample, or else a column of
    texts such as ``text``; a ClassLabel is the class. A part that belongs to no split and has no labels, such as
    ``unsupervised``, is passed over. What ``map`` and ``filter`` left in a cache is, too.

    Raises:
        InputError: there is no such file at ``path``, or one that the data set lists is missing.
    """

    _endings = (".arrow",)
    _what = "data set"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        listed = {folder: _listed(folder) for folder in {file.parent for file, _ in self._files}}
        kept = []
        for file, name in self._files:
            names = listed[file.parent]
            if names is None and _CACHED.fullmatch(file.name):
                self._beside.add("results of map and filter that were kept", name.as_posix())
            elif names is not None and file.name not in names:
                self._beside.add(f"files that {STATE} beside them does not list", name.as_posix())
            else:
                kept.append((file, name))
        if not kept:
            raise InputError(f"{path} holds no data set, but only what map and filter have kept")
        self._files = kept
        self._beside.names = [(what, name) for what, name in self._beside.names if Path(name).name not in _PARTS]

    def _open_rows(self, path: Path, name: str) -> RowFile:
        return ArrowRows(path)


def _listed(folder: Path) -> set[str] | None:
    """Names of the files that make up the data set in a folder; None where nothing lists them.

    Raises:
        InputError: the list cannot be read, or one of the files is missing.
    """
    file = folder / STATE
    if not file.is_file():
        return None
    try:
        state: Any = json.loads(file.read_text("utf-8"))
        names = {str(each["filename"]) for each in state["_data_files"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{file} does not list the files of a data set: {type(error).__name__}: {error}") from error
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise InputError(
            f"{folder} was saved with an index of rows, by an early version of datasets: load it and save it again"
        )
    if missing := sorted(name for name in names if not (folder / name).is_file()):
        raise InputError(f"{folder / missing[0]} is missing, which {STATE} beside it lists: save the data set again")
    return names


def _looks_like(path: Path) -> int:
    if not path.is_dir():
        return LIKELY if path.name.lower().endswith(".arrow") else UNLIKELY
    names = {file.name for file in path.iterdir()}
    # An .arrow file lies beside the list of a saved data set, and a file of its own in the cache.
    saved = bool(names & {STATE, _DICT})
    return LIKELY if saved or any(name.lower().endswith(".arrow") for name in names) else UNLIKELY


def _inputs(path: Path, task: Any, passed_over: PassedOver) -> Iterator[SourceSample] | None:
    if not path.name.lower().endswith(".arrow") or _CACHED.fullmatch(path.name):
        return None
    from raygp.data.sources.unlabelled import rows_without_labels

    return rows_without_labels(path, ArrowRows, task)


DATASETS = SourceKind(
    DatasetsSource, "FILE_OR_DIR", media=("image", "audio", "text"), looks_like=_looks_like, inputs=_inputs
)
