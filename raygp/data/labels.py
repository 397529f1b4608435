"""One spelling for each label: the same label in other bytes, as files of other origin have it, is no other class."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import replace

from raygp.data.sources import SourceSample
from raygp.data.text import code_points, tidy


def with_one_spelling(
    samples: Iterable[SourceSample], known: Collection[str], classes: bool
) -> tuple[list[SourceSample], dict[str, str]]:
    """The samples, their labels as :func:`raygp.data.text.tidy` spells them.

    A label that the line knows in another spelling gets the line's. So do the letters of a text: where the line's own
    texts are not composed, neither are new ones. One that holds half a character, which cannot be stored, is a bad row.

    Args:
        samples: of a source.
        known: the line's vocabulary.
        classes: labels are classes; False: they are texts, and ``known`` are characters.

    Returns:
        The samples, and by label the spelling that took its place.
    """
    spellings: dict[str, str] = {}
    if classes:
        for label in sorted(known):
            spellings.setdefault(tidy(label), label)
    characters = set(known)
    chosen: dict[str, str] = {}
    broken: dict[str, str] = {}
    found = []
    for sample in samples:
        label = sample.label
        if label not in chosen:
            if not _can_be_stored(label):
                broken[label] = f"the label cannot be stored: {_halves(label)}"
                chosen[label] = label.encode("utf-8", "backslashreplace").decode()
            elif classes:
                spelt = tidy(label)
                chosen[label] = label if label in characters else spellings.get(spelt, spelt)
            else:
                chosen[label] = _of_known_letters(label, characters)
        if chosen[label] != label:
            sample = replace(sample, label=chosen[label], problem=sample.problem or broken.get(label, ""))
        found.append(sample)
    return found, {label: spelling for label, spelling in chosen.items() if label != spelling and label not in broken}


def _of_known_letters(text: str, known: set[str]) -> str:
    """A text, composed unless more of its characters are known otherwise."""
    spelt = tidy(text)
    if not known or spelt.isascii() or known.issuperset(spelt):
        return spelt
    ways = (spelt, tidy(text, compose=False), unicodedata.normalize("NFD", spelt))
    return min(ways, key=lambda way: len(set(way) - known))


def _can_be_stored(label: str) -> bool:
    try:
        label.encode()
    except UnicodeEncodeError:
        return False
    return True


def _halves(label: str) -> str:
    """What in a label is no character by itself: from JSON, or from the name of a file that is not UTF-8."""
    found = sorted({character for character in label if "\ud800" <= character <= "\udfff"})
    return f"{code_points(''.join(found))} is half a character"
