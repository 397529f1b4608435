"""Tars in WebDataset's layout: files that share a key are one sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from raygp.data.sources.kind import LIKELY, POSSIBLE, UNLIKELY, SourceKind
from raygp.data.sources.looking import first_members, has_labels
from raygp.data.sources.naming import TARS, split_of_path
from raygp.data.sources.skipping import UNDERSCORE, skipped
from raygp.data.sources.source import PassedOver, SourceSample, SplitName
from raygp.data.sources.tarindex import TarIndex
from raygp.data.sources.tarkeys import KeyedSample, keyed_samples
from raygp.data.sources.tarlabels import label_of
from raygp.data.sources.walk import files_of
from raygp.errors import InputError

_MOST_KINDS = 12


class WebDatasetSource:
    """A tar, or a folder of tars, of ``key.jpg`` (or .png, .wav, ...) with ``key.cls``, ``key.txt`` or ``key.json``.

    :mod:`raygp.data.sources.tarkeys` says which members belong together, and :mod:`raygp.data.sources.tarlabels` which
    of them is the label. A folder or the start of a tar's name may say train, val or test. Samples stay in their tars.

    Raises:
        InputError: there is no tar at ``path``.
    """

    def __init__(self, path: str) -> None:
        self.passed_over = PassedOver()
        """What gives no sample; filled while samples are listed."""
        self._files = files_of(path, TARS, self.passed_over)
        self.name = f"WebDataset in {Path(path).absolute().name}"

    def samples(self) -> Iterator[SourceSample]:
        """All samples, with keys like ``train-000.tar/folder/0001``. One whose label cannot be read has a problem.

        Raises:
            InputError: a tar is damaged, or there are no samples.
        """
        return iter(self._listing)

    @cached_property
    def _listing(self) -> list[SourceSample]:
        samples = [sample for file, name in self._files for sample in self._read(file, name)]
        if not samples:
            found = self.passed_over.lines
            raise InputError(
                f"{self.name} holds no samples: expected files such as 0001.jpg with 0001.cls beside them"
                + (f"; found {', '.join(found)}" if found else "")
            )
        return sorted(samples, key=lambda sample: sample.key)

    def _read(self, file: Path, name: Path) -> Iterator[SourceSample]:
        start, split = name.as_posix(), split_of_path(name)
        keys: set[str] = set()
        unused = _Unused(self.passed_over)
        # Joined tars may count their samples from the same number each: so each of them is read by itself.
        for number, files in enumerate(TarIndex(file, self.passed_over).archives, 1):
            visible = {path: content for path, content in files.items() if not self._is_hidden(path)}
            used: set[str] = set()
            for found in keyed_samples(visible):
                key = found.key if found.key not in keys else f"{number}#{found.key}"
                keys.add(key)
                sample = _sample(found, f"{start}/{_valid(key)}", split, used)
                yield sample
            unused.add(path for path in visible if path not in used)

    def _is_hidden(self, path: str) -> bool:
        *folders, name = path.split("/")
        kinds = [skipped(part) for part in folders if part]
        # Cameras call pictures _MG_1234.JPG, so a label may be called _MG_1234.cls.
        kinds.append(what if (what := skipped(name)) != UNDERSCORE else None)
        what = next((kind for kind in kinds if kind is not None), None)
        if what is not None:
            self.passed_over.add(what, path)
        return what is not None


class _Unused:
    """Members that are no part of a sample, counted by suffix."""

    def __init__(self, passed_over: PassedOver) -> None:
        self._passed_over = passed_over
        self._kinds: set[str] = set()

    def add(self, names: Iterable[str]) -> None:
        for name in names:
            _, dot, suffix = name.rpartition("/")[2].rpartition(".")
            kind = f".{suffix.lower()} members" if dot and suffix.isalnum() else "members without a suffix"
            if kind not in self._kinds and len(self._kinds) == _MOST_KINDS:
                kind = "members of other kinds"
            else:
                self._kinds.add(kind)
            self._passed_over.add(kind, name)


def _sample(found: KeyedSample, key: str, split: SplitName | None, used: set[str]) -> SourceSample:
    """A sample as sources give it. Names of the members that it uses are added to ``used``."""
    label, problem = "", found.problem
    used.add(found.content.name)
    if not problem:
        try:
            label, member = label_of(found.labels, found.medium)
            used.update([member.name] if member else [])
        except ValueError as error:
            problem = str(error)
            # What makes the row a bad one is not passed over besides.
            used.update(member.name for member in found.labels)
    return SourceSample(split, label, key, found.content.content, problem)


def _valid(key: str) -> str:
    """A key as text that can be stored; names in a tar may be any bytes."""
    return key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _looks_like(path: Path) -> int:
    if path.is_dir():
        return LIKELY if any(file.name.lower().endswith(TARS) for file in path.iterdir()) else UNLIKELY
    if not path.name.lower().endswith(TARS):
        return UNLIKELY
    return LIKELY if has_labels(first_members(path)) else POSSIBLE


def _inputs(path: Path, task: Any, passed_over: PassedOver) -> Iterator[SourceSample] | None:
    if not path.name.lower().endswith(TARS):
        return None
    from raygp.data.sources.unlabelled import members_without_labels

    return members_without_labels(path, task, passed_over)


WEBDATASET = SourceKind(
    WebDatasetSource, "TAR_OR_DIR", media=("image", "audio"), looks_like=_looks_like, inputs=_inputs
)
