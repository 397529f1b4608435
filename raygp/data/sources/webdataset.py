"""Tars in WebDataset's layout: files that share a key, up to the first dot of their name, are one sample."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from raygp.data.sources.imagefolder import SUFFIXES
from raygp.data.sources.kind import LIKELY, POSSIBLE, UNLIKELY, SourceKind
from raygp.data.sources.naming import TARS, files_of, split_of_path
from raygp.data.sources.source import FileSlice, SourceSample
from raygp.data.sources.tarindex import TarIndex
from raygp.errors import InputError

_SAMPLES = (*(suffix[1:] for suffix in SUFFIXES), "wav", "flac")
_LABELS = ("cls", "txt", "json")
_JSON_KEYS = ("label", "cls", "text", "transcript")


class WebDatasetSource:
    """A tar, or a folder of tars, of ``key.jpg`` (or .png, .wav, ...) with ``key.cls``, ``key.txt`` or ``key.json``.

    A .json holds the label under ``label``, ``cls``, ``text`` or ``transcript``. A folder or the start of a tar's name
    may say train, val or test. Samples stay in their tars.

    Raises:
        InputError: there is no tar at ``path``.
    """

    def __init__(self, path: str) -> None:
        self._files = files_of(path, TARS)
        self.name = f"WebDataset in {Path(path).absolute().name}"

    def samples(self) -> Iterator[SourceSample]:
        """All samples, with keys like ``train-000.tar/folder/0001``.

        Raises:
            InputError: a tar is damaged or holds no samples, or a label cannot be read.
        """
        return iter(self._listing)

    @cached_property
    def _listing(self) -> list[SourceSample]:
        samples: list[SourceSample] = []
        for file, name in self._files:
            for key, members in _group(TarIndex(file).files).items():
                content = next((members[kind] for kind in _SAMPLES if kind in members), None)
                if content is None:
                    continue
                label = _label(f"{file}: {key}", members)
                samples.append(SourceSample(split_of_path(name), label, f"{name.as_posix()}/{key}", content))
        if not samples:
            raise InputError(f"{self.name} holds no samples: expected files such as 0001.jpg with 0001.cls beside them")
        return sorted(samples, key=lambda sample: sample.key)


def _group(files: dict[str, FileSlice]) -> dict[str, dict[str, FileSlice]]:
    """By key, then by what follows the first dot of the name."""
    groups: dict[str, dict[str, FileSlice]] = {}
    for name, content in files.items():
        folder, slash, base = name.removeprefix("./").rpartition("/")
        stem, dot, kind = base.partition(".")
        if stem and dot and not base.startswith("._"):
            groups.setdefault(f"{folder}{slash}{stem}", {})[kind.lower()] = content
    return groups


def _label(where: str, members: dict[str, FileSlice]) -> str:
    kind = next((kind for kind in _LABELS if kind in members), None)
    if kind is None:
        return ""
    try:
        text = members[kind]().decode().strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{where}.{kind} is no text in UTF-8") from error
    return _from_json(f"{where}.json", text) if kind == "json" else text


def _from_json(where: str, text: str) -> str:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where} is no JSON: {error}") from error
    values = [content[key] for key in _JSON_KEYS if key in content] if isinstance(content, dict) else [content]
    if not values or not isinstance(values[0], str | int):
        raise InputError(f"{where} has no label: expected a string or number as one of {', '.join(_JSON_KEYS)}")
    return str(values[0]).strip()


def _looks_like(path: Path) -> int:
    if path.is_dir():
        return LIKELY if any(file.name.lower().endswith(TARS) for file in path.iterdir()) else UNLIKELY
    return POSSIBLE if path.name.lower().endswith(TARS) else UNLIKELY


WEBDATASET = SourceKind(WebDatasetSource, "TAR_OR_DIR", looks_like=_looks_like)
