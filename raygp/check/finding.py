"""What a check raises where something is wrong."""

from __future__ import annotations


class Fault(Exception):
    """Something is wrong with the task; the message says what and where."""
