"""Where the checkout is, and the real data sets beside it that some tests use if they are there."""

from drills.checkout import PROJECT

__all__ = ["PROJECT", "REAL_DATA"]

REAL_DATA = PROJECT.parent / "shared" / "data"
