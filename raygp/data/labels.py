"""One spelling for each label: the same label in other bytes, as files of other origin have it, is no other class."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import replace

from raygp.data.sources import SourceSample

_BLANK = "\ufeff\u200b \t\r\n\v\f\u00a0"
"""Stripped from both ends: blanks, ends of lines, byte order marks."""


def with_one_spelling(
    samples: Iterable[SourceSample], known: Collection[str], classes: bool
) -> tuple[list[SourceSample], dict[str, str]]:
    """The samples, their labels without blanks and byte order marks around them, and composed (Unicode's NFC).

    A label that the line knows in another spelling gets the line's.

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
            spellings.setdefault(_tidy(label), label)
    # Where a line's own texts are not composed, neither are new ones: its characters would not be found in them.
    compose = classes or not any(unicodedata.combining(character) for text in known for character in text)
    chosen: dict[str, str] = {}
    found = []
    for sample in samples:
        label = sample.label
        if label not in chosen:
            tidy = _tidy(label, compose)
            chosen[label] = label if classes and label in known else spellings.get(tidy, tidy)
        found.append(sample if chosen[label] == label else replace(sample, label=chosen[label]))
    return found, {label: spelling for label, spelling in chosen.items() if label != spelling}


def _tidy(label: str, compose: bool = True) -> str:
    stripped = label.strip(_BLANK)
    return unicodedata.normalize("NFC", stripped) if compose else stripped
