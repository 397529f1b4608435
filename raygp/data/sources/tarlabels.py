"""The label of a WebDataset sample: which of its members holds it, and how it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from raygp.data.sources.formats import Medium
from raygp.data.sources.tarkeys import Member
from raygp.data.text import decode_text

_CLASS_KEYS = ("label", "cls", "class")
_TEXT_KEYS = ("text", "transcript", "transcription", "sentence", "caption")
LABEL_PLACES: dict[Medium, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "image": (
        ("cls", ()),
        ("label", ()),
        ("json", _CLASS_KEYS),
        ("txt", ()),
        ("text", ()),
        ("transcript", ()),
        ("json", _TEXT_KEYS),
    ),
    "audio": (
        ("txt", ()),
        ("text", ()),
        ("transcript", ()),
        ("json", _TEXT_KEYS),
        ("cls", ()),
        ("label", ()),
        ("json", _CLASS_KEYS),
    ),
}
"""Suffixes, and keys of a .json, in the order in which a label is looked for. An image's class comes before a caption,
a recording's transcript before a class."""
_WHOLE = re.compile(r"(-?[0-9]+)\.0+")
_MOST_EXACT = 2**53
_SHOWN = 40
_MOST_BYTES = 1 << 24


def label_of(members: Sequence[Member], medium: Medium) -> tuple[str, Member | None]:
    """The label of a sample, and the member that holds it.

    Args:
        members: those that may hold it.
        medium: what the sample is.

    Returns:
        An empty label, and no member, where there are none.

    Raises:
        ValueError: the one that comes first cannot be read, or none of them has a label; the message says which.
    """
    objects: dict[str, Any] = {}
    for suffix, keys in LABEL_PLACES[medium]:
        found = [member for member in members if member.suffix == suffix]
        if len(found) > 1:
            raise ValueError(f"which of {_base(found[0])} and {_base(found[1])} is the label cannot be told")
        if found and suffix != "json":
            text = _text(found[0]).strip()
            return _without_zeros(text) if suffix in ("cls", "label") else text, found[0]
        if found:
            if suffix not in objects:
                objects[suffix] = _object(found[0])
            if (label := _from_object(objects[suffix], keys, found[0])) is not None:
                return label, found[0]
    if members:
        keys_named = ", ".join(_CLASS_KEYS + _TEXT_KEYS)
        raise ValueError(f"{_base(members[0])} has no label: expected a string or number as one of {keys_named}")
    return "", None


def _object(member: Member) -> Any:
    try:
        return json.loads(_text(member))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{_base(member)} is no JSON: {error}") from error


def _from_object(found: Any, keys: Sequence[str], member: Member) -> str | None:
    """The label under the first of the keys that is there; None if none is."""
    for value in [found[key] for key in keys if key in found] if isinstance(found, dict) else [found]:
        if isinstance(value, bool):
            return json.dumps(value)  # As Parquet and JSON lines have it: true.
        if isinstance(value, str | int):
            return str(value).strip()
        if isinstance(value, float) and value.is_integer() and abs(value) <= _MOST_EXACT:
            return str(int(value))
        shown = json.dumps(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
        raise ValueError(f"{_base(member)} has no label: {shown} is neither a text nor a whole number")
    return None


def _without_zeros(text: str) -> str:
    """A whole number that was written as a fraction, such as 3.0, is the number."""
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def _text(member: Member) -> str:
    size = member.content.size or 0
    if size > _MOST_BYTES:
        raise ValueError(f"{_base(member)} has {size:,} bytes, too many for a label")
    try:
        return decode_text(member.content())
    except ValueError as error:
        raise ValueError(f"{_base(member)} is no text that can be read: {error}") from error


def _base(member: Member) -> str:
    return member.name.rpartition("/")[2]
