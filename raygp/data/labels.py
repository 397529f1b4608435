"""One spelling for each label: the same label in other bytes, as files of other origin have it, is no other class."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import replace

from raygp.data.sources import SourceSample
from raygp.data.text import code_points, tidy

_DECIMAL = re.compile(r"-?(0|[1-9]\d*)\.\d+")


def with_one_spelling(
    samples: Iterable[SourceSample], known: Collection[str], classes: bool
) -> tuple[list[SourceSample], dict[str, str]]:
    """The samples, their labels as :func:`raygp.data.text.tidy` spells them.

    A label that the line knows in another spelling gets the line's, also a number or a truth value that is written in
    another way (``1.0``, ``True``), where just one of the line's labels is meant. So do the letters of a text: where
    the line's own texts are not composed, neither are new ones. One that holds half a character, which cannot be
    stored, is a bad row.

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
    values = _by_value(known) if classes else {}
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
                same = values.get(_value(spelt), [])
                other = same[0] if len(same) == 1 else spelt
                chosen[label] = label if label in characters else spellings.get(spelt, other)
            else:
                chosen[label] = _of_known_letters(label, characters)
        if chosen[label] != label:
            sample = replace(sample, label=chosen[label], problem=sample.problem or broken.get(label, ""))
        found.append(sample)
    return found, {label: spelling for label, spelling in chosen.items() if label != spelling and label not in broken}


def alike(labels: Collection[str], known: Collection[str]) -> list[tuple[str, str]]:
    """Pairs of labels that are other classes, and hardly mean something else: they differ by capitals, by ``.0``, or as
    ``true`` and ``1`` do. ``labels`` are those of a source, of which each pair has one; ``known`` those of the line."""
    groups: dict[str, list[str]] = {}
    for label in sorted({*labels, *known}):
        value = _value(label).casefold()
        groups.setdefault({"true": "1", "false": "0"}.get(value, value), []).append(label)
    new = set(labels)
    return [(one, other) for one, *others in groups.values() for other in others if one in new or other in new]


def _value(label: str) -> str:
    """A number without zeros that say nothing, a truth value in lower case; any other label as it is."""
    if _DECIMAL.fullmatch(label):
        return label.rstrip("0").rstrip(".")
    return label.lower() if label.lower() in ("true", "false") else label


def _by_value(labels: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for label in labels:
        found.setdefault(_value(label), []).append(label)
    return found


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
