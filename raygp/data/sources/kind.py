"""What raygp knows of a kind of source by its name: how it is spelled, how it is opened, which paths look like it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from raygp.data.sources.formats import HEAD_BYTES, format_of
from raygp.data.sources.source import PassedOver, Source, SourceSample
from raygp.errors import InputError
from raygp.registry import Registry

UNLIKELY, POSSIBLE, LIKELY = 0, 1, 2
"""How much a path looks like a kind of source; see :attr:`SourceKind.looks_like`."""


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""An address elsewhere: ``s3://bucket/photos``, also with a slash missing."""


def _unlikely(path: Path) -> int:
    return UNLIKELY


def _no_inputs(path: Path, task: Any, passed_over: PassedOver) -> None:
    return None


@dataclass(frozen=True)
class SourceKind:
    """The entry of a kind of source in :data:`SOURCES`."""

    make: Callable[..., Source]
    """Opens a source: called with the path as its first argument if the kind has a path, and with options by name."""
    path: str = ""
    """What stands behind the colon, such as "DIR"; empty for a source that needs no path. It is a path on this machine;
    what lies at a URL is copied here first (:mod:`raygp.data.sources.mirror`), unless "URL" stands in it."""
    note: str = ""
    """What else the path may be, for people; stands in brackets behind the form."""
    options: tuple[str, ...] = ()
    """Names of the options that ``make`` takes."""
    media: tuple[str, ...] = ()
    """What its samples are, in the words of tasks (:func:`medium_of`); empty: anything."""
    looks_like: Callable[[Path], int] = _unlikely
    """For a path that exists and was given without a kind: LIKELY if it has what only this kind has, POSSIBLE if it
    might be of this kind, else UNLIKELY. Only names are looked at; of a tar, those of its first members."""
    inputs: Callable[[Path, Any, PassedOver], Iterator[SourceSample] | None] = _no_inputs
    """For ``raygp predict``: the samples in a file that holds many, in order, whether they have labels or not; None if
    the file's name says that it is none of this kind. Called with the file, the task whose samples are wanted
    (:class:`raygp.tasks.Task`), and what is told of whatever is left out. What it yields may raise InputError."""

    def form(self, name: str) -> str:
        """How a source of this kind is spelled, such as ``idx:DIR``."""
        return f"{name}:{self.path}" if self.path else name


SOURCES: Registry[SourceKind] = Registry(
    "source",
    "raygp.sources",
    {
        "imagefolder": "raygp.data.sources.imagefolder:IMAGEFOLDER",
        "parquet": "raygp.data.sources.parquet:PARQUET",
        "table": "raygp.data.sources.table:TABLE",
        "webdataset": "raygp.data.sources.webdataset:WEBDATASET",
        "datasets": "raygp.data.sources.datasets:DATASETS",
        "texts": "raygp.data.sources.texts:TEXTS",
        "idx": "raygp.data.sources.idx:IDX",
        "an4": "raygp.data.sources.an4:AN4",
        "audio": "raygp.data.sources.audiofolder:AUDIO",
        "digits": "raygp.data.sources.digits:DIGITS",
        "tones": "raygp.data.sources.tones:TONES",
    },
)
"""All kinds of sources by name."""


def source_forms() -> str:
    """How sources are spelled, for messages and help texts: ``imagefolder:DIR (or ...), parquet:FILE_OR_DIR, ...``.

    Raises:
        InputError: the package that brings one of them cannot be loaded.
    """
    kinds = {name: SOURCES.get(name) for name in SOURCES}
    return ", ".join(kind.form(name) + (f" ({kind.note})" if kind.note else "") for name, kind in kinds.items())


def medium_of(task: Any) -> str | None:
    """What a task's samples are, as its attribute ``medium`` says: "image", "audio", "text", "row" (of a table, as a
    JSON object) or whatever else; None if it says nothing."""
    medium: str | None = getattr(task, "medium", None)
    return medium


def guess_source(path: str, medium: str | None = None) -> str:
    """The form of a path whose kind is plain: ``imagefolder:photos/`` for a folder of class folders called ``photos/``.

    Each kind says for itself how much a path looks like it (:attr:`SourceKind.looks_like`).

    Args:
        path: of a file or folder.
        medium: what the line's samples are (:func:`medium_of`): a table may be one of rows or of texts.

    Raises:
        InputError: there is nothing at the path, or it looks like no kind, or like several (they are named).
    """
    if _URL.match(path) and not os.path.exists(path):
        raise InputError(
            f"{path} is an address, whose kind of source is not guessed: write it behind one, such as "
            f"imagefolder:{path}"
        )
    local = Path(path).expanduser()
    if not _exists(local):
        name, colon, _ = path.partition(":")
        if colon and (meant := SOURCES.suggestion(name)):
            raise InputError(f"unknown source '{path}'{meant}; known forms are {source_forms()}")
        raise InputError(f"{path!a} does not exist" if not path.isprintable() else f"{path} does not exist")
    found = _kinds_of_path(local, medium) or _kinds_of_path(local)
    forms = " or ".join(f"{name}:{path}" for name in found)
    if not found:
        unknown = f"looks like no kind of source; known forms are {source_forms()}"
        raise InputError(f"{path} {_no_source(local) or unknown}")
    if len(found) > 1:
        media = {one for name in found for one in SOURCES.get(name).media}
        task = ", or name the line's task with --task" if not medium and {"row", "text"} <= media else ""
        raise InputError(f"{path} may be read in more than one way: say which with --source {forms}{task}")
    return forms


_NO_SOURCES = {
    (".zip", ".7z", ".rar"): "is an archive that is not read: unpack it, and give the folder",
    (".xlsx", ".xls", ".xlsm", ".ods"): "is a spreadsheet: save it as CSV",
    (".json",): "is no table: write a JSON object in each line, and call the file .jsonl",
}


def _no_source(path: Path) -> str:
    """What people give that is no source, and what to do; empty if that is not known."""
    for endings, what in _NO_SOURCES.items():
        if path.name.lower().endswith(endings) and path.is_file():
            return what
    with contextlib.suppress(OSError):
        if path.is_file() and (form := format_of(_head(path))):
            one = "image" if form.medium == "image" else "recording"
            return f"is one {one} ({form.name}), which has no label: give the folder that holds it and others"
    return ""


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def form_of(text: str, medium: str | None = None) -> str:
    """The form of a source that was given as one, or as a path whose kind is plain. Arguments and errors are those of
    :func:`guess_source`; where there is nothing at a path, opening it says what forms there are."""
    return text if is_form(text) or not _exists(Path(text).expanduser()) else guess_source(text, medium)


def is_form(text: str) -> bool:
    """Whether a text begins with the name of a kind of source, as ``imagefolder:photos`` and ``digits`` do."""
    return text.partition(":")[0] in SOURCES


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # ValueError: a zero byte in it.
        return False


def open_source(text: str, **options: Any) -> Source:
    """The source that ``text`` names.

    Args:
        text: kind and path, such as ``imagefolder:DIR``; :func:`source_forms` lists all forms.
        options: by name; each kind says which it takes (``image_size`` for ``digits``).

    Raises:
        InputError: the form is unknown (the known ones are listed), an option does not belong to it, or there is
            nothing that can be read at the path.
    """
    name, _, path = text.partition(":")
    if name not in SOURCES:
        raise InputError(f"unknown source '{text}'{_suggestion(text, name)}; known forms are {source_forms()}")
    kind = SOURCES.get(name)
    for option in options:
        if option not in kind.options:
            raise InputError(f"source {name} has no option '{option}'")
    if not kind.path:
        if text != name:
            raise InputError(f"source {name} needs no path: write {name} alone")
        return kind.make(**options)
    if not path:
        raise InputError(f"source {name} needs a path: {kind.form(name)}")
    if "URL" in kind.path:
        return kind.make(path, **options)
    path = _path(name, path)
    if not _URL.match(path) or os.path.exists(path):
        # A shell expands ~ at the start of a word only, not behind a colon.
        home = path.startswith("~") and not os.path.exists(path)
        return kind.make(os.path.expanduser(path) if home else path, **options)
    from raygp.data.sources.mirrored import MirroredSource

    return MirroredSource(path, partial(kind.make, **options))


def _path(name: str, path: str) -> str:
    """A path or a URL; of ``file://`` the path.

    Raises:
        InputError: no path can be so.
    """
    try:
        os.path.abspath(path).encode()
    except UnicodeEncodeError as error:
        where = os.path.abspath(path)
        raise InputError(f"source {name}: the path {where!a} is not valid UTF-8; rename what lies there") from error
    if "\0" in path:
        raise InputError(f"source {name}: the path {path!a} holds a zero byte")
    return path.removeprefix("file://")


def _suggestion(text: str, name: str) -> str:
    """`` (did you mean 'imagefolder:photos'?)`` for a path without a kind, or for a kind that is misspelt."""
    meant = _kinds_of_path(Path(text).expanduser())
    if meant:
        forms = " or ".join(f"'{kind}:{text}'" for kind in meant)
        return f" (did you mean {forms}?)"
    if name == text and "/" in text and not Path(text).expanduser().exists():
        # There is nothing at the path, but a path it is: most are folders of images.
        return f" (did you mean 'imagefolder:{text}'?)"
    return SOURCES.suggestion(name)


def _kinds_of_path(path: Path, medium: str | None = None) -> list[str]:
    """The kinds of source (of a medium) that a path looks like most; none if there is nothing at the path."""
    try:
        if not path.exists():
            return []
        kinds = {name: SOURCES.get(name) for name in SOURCES}
        fit = {name: kind for name, kind in kinds.items() if not (medium and kind.media) or medium in kind.media}
        scores = {name: kind.looks_like(path) for name, kind in fit.items()}
    except (OSError, ValueError):  # ValueError: a zero byte in it.
        return []
    best = max(scores.values(), default=UNLIKELY)
    return [name for name, score in scores.items() if score == best] if best > UNLIKELY else []
