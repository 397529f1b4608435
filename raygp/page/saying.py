"""Numbers, dates and lists as plain English has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NAMED = 4
_FLOPS = ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"))


def counted(count: int, one: str, many: str = "") -> str:
    """``one arrival``, ``three arrivals``, ``1,200 rows``.

    Args:
        count: how many.
        one: the noun for one.
        many: for any other number; empty: with an s.
    """
    number = _WORDS[count] if 0 <= count < len(_WORDS) else f"{count:,}"
    return f"{number} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = _NAMED) -> str:
    """``a``, ``a and b``, ``a, b and c``; of very many the first ones, and how many more there are."""
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most:,} more"
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def capital(text: str) -> str:
    """With a capital letter first."""
    return text[:1].upper() + text[1:]


def day(stamp: str, short: bool = False) -> str:
    """``28 November 2026`` (short: ``28 Nov 2026``) of an ISO 8601 time; what is none, as it is."""
    try:
        found = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return f"{found.day} {found:%b %Y}" if short else f"{found.day} {found:%B %Y}"


def moment(stamp: str, short: bool = False) -> str:
    """``28 November 2026, 15:51``, UTC."""
    try:
        return f"{day(stamp, short)}, {datetime.fromisoformat(stamp):%H:%M}"
    except ValueError:
        return stamp


def flops(value: float) -> str:
    """Floating-point operations in a unit of their size: ``4.5 GFLOP``."""
    for size, name in _FLOPS:
        if value >= size:
            return f"{value / size:,.3g} {name}"
    return f"{value:,.0f} FLOP"


def lasting(seconds: float) -> str:
    """A time in its two largest units: ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours:,} h {rest} min" if hours else f"{rest} min"


def density_of(value: float) -> str:
    """A density in per cent: two decimals below one per cent, one above, none for a dense model."""
    return f"{100 * value:.2f}%" if value < 0.01 else f"{100 * value:.1f}%" if value < 1.0 else "100%"
