"""Where labelled samples come from: folders, tars, Parquet files, MNIST's idx files, scikit-learn's digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from raygp.data.sources.digits import DigitsSource
from raygp.data.sources.idx import IdxSource
from raygp.data.sources.imagefolder import ImageFolderSource
from raygp.data.sources.parquet import ParquetSource
from raygp.data.sources.source import Source, SourceSample, SplitName
from raygp.data.sources.split import draw_splits
from raygp.data.sources.webdataset import WebDatasetSource
from raygp.errors import InputError

__all__ = [
    "DigitsSource",
    "IdxSource",
    "ImageFolderSource",
    "ParquetSource",
    "Source",
    "SourceSample",
    "SplitName",
    "WebDatasetSource",
    "draw_splits",
    "open_source",
]

_WITH_PATH: dict[str, Callable[[str], Source]] = {
    "imagefolder": ImageFolderSource,
    "idx": IdxSource,
    "parquet": ParquetSource,
    "webdataset": WebDatasetSource,
}
_FORMS = (
    "imagefolder:DIR (or a .tar, .tar.gz or .tgz of one), parquet:FILE_OR_DIR, webdataset:TAR_OR_DIR, idx:DIR, digits"
)


def open_source(text: str, **options: Any) -> Source:
    """The source that ``text`` names.

    Args:
        text: ``imagefolder:DIR``, ``parquet:FILE_OR_DIR``, ``webdataset:TAR_OR_DIR``, ``idx:DIR`` or ``digits``.
        options: ``image_size`` for ``digits``; the others take none.

    Raises:
        InputError: the form is unknown (the known ones are listed), an option does not belong to it, or there is
            nothing that can be read at the path.
    """
    kind, colon, path = text.partition(":")
    if kind not in _WITH_PATH and text != "digits":
        raise InputError(f"unknown source '{text}'; known forms are {_FORMS}")
    for option in options:
        if (kind, option) != ("digits", "image_size"):
            raise InputError(f"source {kind} has no option '{option}'")
    if text == "digits":
        return DigitsSource(**options)
    if not colon or not path:
        raise InputError(f"source {kind} needs a path: {kind}:DIR")
    return _WITH_PATH[kind](path)
