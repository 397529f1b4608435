"""What the labels of EMNIST's files mean. Its pictures lie on their side: rows and columns have to change places."""

from __future__ import annotations

import re
import string
from pathlib import Path

from raygp.errors import InputError

_ALL = string.digits + string.ascii_uppercase
_MERGED = _ALL + "abdefghnqrt"
_SETS: dict[str, tuple[int, str]] = {
    "letters": (1, string.ascii_uppercase),
    "byclass": (0, _ALL + string.ascii_lowercase),
    "bymerge": (0, _MERGED),
    "balanced": (0, _MERGED),
    "digits": (0, string.digits),
    "mnist": (0, string.digits),
}
"""By the name of a set: its first label, and the characters in the order of their labels."""
_NAME = re.compile(r"(?:.*[^a-z])?emnist(?:[^a-z]+(?P<set>[a-z]+))?(?:[^a-z].*)?")


def is_emnist(name: str) -> bool:
    """Whether a set of idx files of this name, in lower case, is one of EMNIST's: ``emnist-letters``."""
    return _NAME.fullmatch(name) is not None


def characters(name: str, mapping: Path | None) -> dict[int, str] | None:
    """The characters that the labels of a set mean.

    Without them, a 1 would be the digit in one set and the letter A in another.

    Args:
        name: of the set, such as ``emnist-letters``.
        mapping: its ``emnist-letters-mapping.txt``, if it is there: in each line a label, then the code of its
            character (where there are two, the letter in capitals comes first).

    Returns:
        None for a set that is not known and has no such file.

    Raises:
        InputError: the file cannot be read.
    """
    if mapping is not None:
        return _read(mapping)
    named = _NAME.fullmatch(name)
    if named is None or named["set"] not in _SETS:
        return None
    first, known = _SETS[named["set"]]
    return dict(enumerate(known, first))


def _read(path: Path) -> dict[int, str]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            label, code = (int(word) for word in line.split()[:2])
            found[label] = _visible(code)
        except (ValueError, OverflowError) as error:
            what = f"expected a label and the code of a character, not '{line:.40}'"
            raise InputError(f"{path} line {number}: {what}") from error
    return found


def _visible(code: int) -> str:
    character = chr(code)
    if not character.isprintable() or character.isspace():
        raise ValueError
    return character
