"""Where the checkout is."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
"""The folder that has ``raygp/``, ``tests/``, ``benchmarks/`` and ``drills/`` in it."""
