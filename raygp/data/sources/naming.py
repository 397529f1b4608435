"""What names tell, alike for every source: which split a thing belongs to, and which things are no data at all."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from raygp.data.sources.formats import suffixes
from raygp.data.sources.source import SplitName

TARS = (".tar", ".tar.gz", ".tgz")
"""How the names of tars end."""

SPLIT_WORDS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "tst", "eval", "evaluation", "holdout", "heldout"),
}
"""Words that mean a split, in whatever case. ``eval`` means test, as it does to Hugging Face."""

PLAIN_WORDS = frozenset(
    {
        "set", "data", "dataset", "folder", "dir", "files", "raw", "images", "image", "imgs", "img", "pictures", "pics",
        "photos", "jpg", "jpeg", "jpegs", "jpegimages", "png", "pngs",
    }
)  # fmt: skip
"""Words that say nothing about what is in a folder. One may be joined to a word of a split: ``trainset``."""

PARTITIONS = ("split", "subset", "partition", "set", "fold")
"""In a folder called ``key=value``, as Spark and Hive write them, these keys say a split; ``label=test`` says none."""

_SPLITS: dict[str, SplitName] = {
    word + plain: split for split, words in SPLIT_WORDS.items() for word in words for plain in ("", *PLAIN_WORDS)
}
_LETTERS = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\WA-Z\d_]+")
_HOLD_OUT = re.compile(r"\b(hold|held)[-_ ]out", re.IGNORECASE)
_SHARD = re.compile(r"(.+?)[-_.]\d+[-_]of[-_]\d+")
"""``data-train-00001-of-00004``: what stands before the number of a shard."""


def words_of(name: str) -> list[str]:
    """The words of a name in lower case: ``Final_TestImages2`` is final, test, images."""
    found: list[str] = []
    for letters in _LETTERS.findall(_HOLD_OUT.sub(r"\1out", name)):
        whole = letters.lower() in _SPLITS
        found += [letters.lower()] if whole else [word.lower() for word in _CAMEL.findall(letters)]
    return found


@lru_cache(maxsize=4096)
def split_of(text: str) -> SplitName | None:
    """The split that a name says as one of its words: ``validation``, ``Train-Images``, ``seg_test``, ``split=train``.

    A name that says two different splits, such as ``train_test_split``, says none; but where the number of a shard
    follows one of them, as in ``test-run-train-00000-of-00002``, that one counts.
    """
    key, equals, value = text.partition("=")
    if equals:
        if key.strip().lower() not in PARTITIONS:
            return None
        text = value
    found = _splits_in(text)
    if len(found) > 1 and (shard := _SHARD.match(text)):
        found = _splits_in(shard[1])[-1:]
    return found[0] if len(found) == 1 else None


def split_of_path(path: Path) -> SplitName | None:
    """The split that a path says: the file's own name first, then its folders from the nearest on.

    Args:
        path: relative to what was given as the source, since what lies above says nothing about its parts.
    """
    return next((split for name in reversed(path.parts) if (split := split_of(name)) is not None), None)


def says_split(word: str) -> bool:
    """Whether a single word, in lower case, means a split."""
    return word in _SPLITS


def _splits_in(text: str) -> list[SplitName]:
    """Each split that is named, in the order in which they come last."""
    found: dict[SplitName, None] = {}
    for word in words_of(text):
        if (split := _SPLITS.get(word)) is not None:
            found.pop(split, None)
            found[split] = None
    return list(found)


HIDDEN = "hidden files and folders"
UNDERSCORE = "files and folders whose names begin with _"
SYSTEM = "files of the operating system"
PARTIAL = "partial downloads and temporary files"

_SYSTEM = frozenset(
    {
        "__macosx", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "$recycle.bin",
        "system volume information", "lost+found", "@eadir", "#recycle", "@recycle",
    }
)  # fmt: skip
_PARTIAL = (
    ".crdownload", ".part", ".partial", ".filepart", ".download", ".opdownload", ".aria2", ".!ut", ".tmp", ".temp", "~",
)  # fmt: skip
_SAMPLES = suffixes("image") + suffixes("audio")


def skipped(name: str) -> str | None:
    """What kind of thing a name tells to be no data, in the plural, for :meth:`PassedOver.add`; None if it may be some.

    Hidden files, what Spark, Jupyter and operating systems leave behind, downloads that are not done. The rule is for
    one name: a source asks it of each folder on the way and of the file. Cameras call pictures ``_MG_1234.JPG``, so
    what ends as samples do may begin with an underscore.
    """
    lower = name.lower()
    if lower in _SYSTEM or lower.startswith("._"):
        return SYSTEM
    if name.startswith("."):
        return HIDDEN
    if lower.endswith(_PARTIAL) or name.startswith("~$"):
        return PARTIAL
    if name.startswith("_") and not lower.endswith(_SAMPLES):
        return UNDERSCORE
    return None
