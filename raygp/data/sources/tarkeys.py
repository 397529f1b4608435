"""Which members of a WebDataset tar make one sample.

The format says: members belong together whose base names are the same up to the first dot. Names as people have them
hold dots of their own (``22.05.png``, ``img.050.jpg``), so the rule is:

1. A name's last suffix says what the member is. What stands before it is its stem: ``22.05``, ``0001.seg``.
2. Stems that are the same up to the first dot, and in all that follows up to the next part with a letter in it, are a
   group: ``0001`` and ``0001.seg`` are, ``22.05`` and ``22.06`` are not.
3. In a group, what has the plain name (``0001.jpg``) is a sample, and so is what shares its stem with a label
   (``john.smith.jpg`` and ``john.smith.cls``). All else (``0001.seg.png``) belongs to it.
4. In a group without either, a single sample takes the labels of the group: ``0001.image.png`` and ``0001.cls``.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from raygp.data.sources.formats import FORMATS, HEAD_BYTES, Medium, format_of
from raygp.data.sources.source import FileSlice

LABELS = ("cls", "label", "json", "txt", "text", "transcript")
"""Suffixes of labels, without the dot."""
_SAMPLES: dict[str, tuple[int, Medium]] = {
    suffix[1:]: (number, form.medium) for number, form in enumerate(FORMATS) for suffix in form.suffixes
}


class Member(NamedTuple):
    """A file of a tar."""

    name: str
    suffix: str
    """What stands behind the last dot, in lower case; empty where there is none."""
    content: FileSlice


Stems = dict[str, list[Member]]


@dataclass(slots=True)
class KeyedSample:
    """Members that make one sample."""

    key: str
    content: Member
    medium: Medium
    labels: list[Member]
    """All that may hold its label; empty if there is none."""
    problem: str = ""
    """Why it cannot be used."""


def keyed_samples(files: dict[str, FileSlice]) -> Iterator[KeyedSample]:
    """The samples of a tar, by the rule above.

    Args:
        files: the members, by name.
    """
    groups: dict[str, Stems] = {}
    for name, content in files.items():
        folder, slash, base = name.rpartition("/")
        stem, dot, suffix = base.rpartition(".")
        if not dot:
            stem, suffix = base, ""
        stems = groups.setdefault(f"{folder}{slash}{_group_of(stem)}", {})
        stems.setdefault(f"{folder}{slash}{stem}", []).append(Member(name, suffix.lower(), content))
    for group, stems in groups.items():
        yield from _of_group(group, stems)


def _group_of(stem: str) -> str:
    if "." not in stem:
        return stem
    parts = stem.split(".")
    end = 1
    while end < len(parts) and not any(character.isalpha() for character in parts[end]):
        end += 1
    return ".".join(parts[:end])


def _of_group(group: str, stems: Stems) -> Iterator[KeyedSample]:
    labels = {stem: [member for member in members if member.suffix in LABELS] for stem, members in stems.items()}
    samples = _samples_of(stems, any(labels.values()))
    # A .json may as well describe what belongs to another sample, such as a mask.
    chosen = {
        stem
        for stem in samples
        if any(label.suffix != "json" or _owner(stem, samples) is None for label in labels[stem]) or stem == group
    }
    free = [stem for stem in stems if stem not in samples and labels[stem]]
    of_longer: dict[str | None, list[Member]] = {}
    for stem in free:
        of_longer.setdefault(_owner(stem, chosen), []).extend(labels[stem])
    for stem in sorted(chosen):
        yield _keyed(stem, samples[stem], labels[stem] or of_longer.get(stem, []))
    loose = [stem for stem in sorted(samples) if stem not in chosen and _owner(stem, chosen) is None]
    shared = [] if chosen else [label for stem in free for label in labels[stem]]
    if shared and len(loose) == 1:
        yield _keyed(group, samples[loose[0]], shared)
        return
    for stem in loose:
        sample = _keyed(stem, samples[stem], [])
        if shared:
            names = " and ".join(_base(samples[other].name) for other in loose[:2])
            sample.problem = f"{_base(shared[0].name)} may be the label of {names}{' or others' if loose[2:] else ''}"
        yield sample


def _keyed(key: str, content: Member, labels: list[Member]) -> KeyedSample:
    return KeyedSample(key, content, _SAMPLES[content.suffix][1], labels)


def _samples_of(stems: Stems, labelled: bool) -> dict[str, Member]:
    """The sample of each stem that has one. Members of unknown suffixes are looked into where no other is a sample."""
    found = {}
    for stem, members in stems.items():
        known = [member for member in members if member.suffix in _SAMPLES]
        if known:
            found[stem] = min(known, key=lambda member: (_SAMPLES[member.suffix][0], member.name))
    if found or not labelled:
        return found
    for stem, members in stems.items():
        for member in members:
            if member.suffix not in LABELS and (form := format_of(_head(member.content))) is not None:
                found.setdefault(stem, member._replace(suffix=form.suffixes[0][1:]))
    return found


def _head(content: FileSlice) -> bytes:
    size = HEAD_BYTES if content.size is None else min(content.size, HEAD_BYTES)
    return replace(content, size=size)()


def _owner(stem: str, others: Container[str]) -> str | None:
    """The longest of the others that is the stem without its last parts; None if none is."""
    start = stem.rfind("/") + 1
    at = stem.rfind(".", start)
    while at > start:
        if stem[:at] in others:
            return stem[:at]
        at = stem.rfind(".", start, at)
    return None


def _base(name: str) -> str:
    return name.rpartition("/")[2]
