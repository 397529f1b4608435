"""What names tell, alike for every source: which split a thing belongs to.

What is passed over is told by :mod:`raygp.data.sources.skipping`, and what lies below a path is found by
:mod:`raygp.data.sources.walk`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from raygp.data.sources.source import SplitName

TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.bz2", ".tbz2")
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
    """The words of a name in lower case: ``Final_TestRun2`` is final, test, run; ``split=test`` is test."""
    key, equals, value = name.partition("=")
    text = value if equals and key.strip().lower() in PARTITIONS else name
    found: list[str] = []
    for letters in _LETTERS.findall(_HOLD_OUT.sub(r"\1out", text)):
        whole = letters.lower() in _SPLITS
        found += [letters.lower()] if whole else [word.lower() for word in _CAMEL.findall(letters)]
    return found


@lru_cache(maxsize=4096)
def split_of(text: str) -> SplitName | None:
    """The split that a name says as one of its words: ``validation``, ``Train-Images``, ``seg_test``, ``split=train``.

    A name that says two different splits, such as ``train_test_split``, says none; but where the number of a shard
    follows one of them, as in ``test-run-train-00000-of-00002``, that one counts.
    """
    key, equals, _ = text.partition("=")
    if equals and key.strip().lower() not in PARTITIONS:
        return None
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
