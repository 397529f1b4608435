"""How many training workers an update has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_MOST_WORKERS = 64


@dataclass(frozen=True)
class Workers:
    """How many training workers an update has: always as many, or what the cluster has room for within a range."""

    least: int
    most: int

    @property
    def elastic(self) -> bool:
        """Whether the number may change while an update runs."""
        return self.least < self.most

    @property
    def spelled(self) -> int | str:
        """As settings and cards say it: 2, or "1..8"."""
        return f"{self.least}..{self.most}" if self.elastic else self.least

    @classmethod
    def parse(cls, value: Any) -> Workers:
        """What a setting says.

        Raises:
            ValueError: it is neither a number nor a range of numbers from 1 to 64.
        """
        if isinstance(value, cls):
            return value
        found = None if isinstance(value, bool) else re.fullmatch(r"(\d{1,9})(?:\.\.(\d{1,9}))?", str(value).strip())
        if found is None:
            raise ValueError("expected a number of workers such as 2, or a range such as 1..8")
        workers = cls(int(found[1]), int(found[2] or found[1]))
        if workers.least < 1:
            raise ValueError("an update needs 1 worker at least")
        if workers.most > _MOST_WORKERS:
            raise ValueError(f"an update has {_MOST_WORKERS} workers at most")
        if workers.least > workers.most:
            raise ValueError("a range of workers begins with the smaller number")
        return workers
