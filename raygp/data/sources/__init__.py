"""Where labelled samples come from: files of images, recordings and tables, and two that need no data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raygp.data.sources.an4 import An4Source
from raygp.data.sources.audiofolder import AudioFolderSource
from raygp.data.sources.digits import DigitsSource
from raygp.data.sources.idx import IdxSource
from raygp.data.sources.imagefolder import ImageFolderSource
from raygp.data.sources.parquet import ParquetSource
from raygp.data.sources.source import Source, SourceSample, SplitName
from raygp.data.sources.split import draw_splits
from raygp.data.sources.tones import TonesSource
from raygp.data.sources.webdataset import WebDatasetSource
from raygp.errors import InputError

__all__ = [
    "An4Source",
    "AudioFolderSource",
    "DigitsSource",
    "IdxSource",
    "ImageFolderSource",
    "ParquetSource",
    "Source",
    "SourceSample",
    "SplitName",
    "TonesSource",
    "WebDatasetSource",
    "draw_splits",
    "open_source",
]

_WITH_PATH: dict[str, Callable[[str], Source]] = {
    "imagefolder": ImageFolderSource,
    "idx": IdxSource,
    "parquet": ParquetSource,
    "webdataset": WebDatasetSource,
    "an4": An4Source,
    "audio": AudioFolderSource,
}
_EMBEDDED: dict[str, Callable[..., Source]] = {"digits": DigitsSource, "tones": TonesSource}
_FORMS = (
    "imagefolder:DIR (or a .tar, .tar.gz or .tgz of one), parquet:FILE_OR_DIR, webdataset:TAR_OR_DIR, idx:DIR, "
    "an4:FILE, audio:DIR, digits, tones"
)


def open_source(text: str, **options: Any) -> Source:
    """The source that ``text`` names.

    Args:
        text: such as ``imagefolder:DIR``; the forms are in :data:`_FORMS`.
        options: ``image_size`` for ``digits``; the others take none.

    Raises:
        InputError: the form is unknown (the known ones are listed), an option does not belong to it, or there is
            nothing that can be read at the path.
    """
    kind, colon, path = text.partition(":")
    if kind not in _WITH_PATH and text not in _EMBEDDED:
        raise InputError(f"unknown source '{text}'; known forms are {_FORMS}")
    for option in options:
        if (kind, option) != ("digits", "image_size"):
            raise InputError(f"source {kind} has no option '{option}'")
    if text in _EMBEDDED:
        return _EMBEDDED[text](**options)
    if not colon or not path:
        raise InputError(f"source {kind} needs a path: {kind}:DIR")
    return _WITH_PATH[kind](path)
