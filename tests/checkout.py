"""Where the checkout is, and the real data sets beside it that some tests use if they are there."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
REAL_DATA = PROJECT.parent / "shared" / "data"
