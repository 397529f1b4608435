"""Names and numbers as they stand in messages."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str], most: int = 5, last: str = ", ") -> str:
    """The first few of some names, then how many more there are: ``a, b and 3 more``.

    Args:
        names: as they are to be shown.
        most: so many are named.
        last: what stands before the last one, where all are named.
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most:,} more"
    return last.join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def numbered(count: int, one: str, many: str = "") -> str:
    """A number of things: ``1 row``, ``0 rows``, ``1,200 rows``.

    Args:
        count: how many.
        one: the noun for one.
        many: for any other number; empty: with an s.
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
