"""What is known of the validation rows beside their scores: which arrival brought each, and which class it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from raygp.record import Compared


@dataclass(frozen=True)
class ValRows:
    """The validation rows of an update, as its gate sees them."""

    arrivals: Mapping[str, slice]
    """By arrival, the rows that it brought: contiguous, in order, covering all rows."""
    classes: np.ndarray | None = None
    """Class id of each row, int64; None where labels are no classes, such as texts."""
    known: int | None = None
    """How many classes the parent knows, which have the first ids; None: all of them, or there is no parent."""
    names: Sequence[str] = ()
    """Names of the classes; their ids stand in for those that are missing."""
    metric: str = ""
    """What accuracies are called where they are no shares of right answers, such as ``R2``. Else empty."""

    @property
    def count(self) -> int:
        """How many rows there are."""
        return max((part.stop for part in self.arrivals.values()), default=0)

    @property
    def new(self) -> np.ndarray:
        """Whether each row is of a class that the parent does not know, bool, shape (rows,)."""
        if self.classes is None or self.known is None:
            return np.zeros(self.count, dtype=bool)
        return self.classes >= self.known

    def by_arrival(self) -> dict[str, np.ndarray]:
        """By arrival that brought any, the positions of its rows."""
        parts = {name: np.arange(part.start, part.stop) for name, part in self.arrivals.items()}
        return {name: part for name, part in parts.items() if len(part)}

    def by_class(self) -> dict[str, np.ndarray]:
        """By class that has any, in the order of ids, the positions of its rows; empty where labels are no classes."""
        if self.classes is None:
            return {}
        order = np.argsort(self.classes, kind="stable")
        ids, starts = np.unique(self.classes[order], return_index=True)
        return {self._name(int(id)): part for id, part in zip(ids, np.split(order, starts[1:]), strict=True)}

    def guessing(self, rows: np.ndarray) -> float:
        """Accuracy over some of the rows, by their positions, of always answering with the class that most of them
        have; 0 where labels are no classes or there is no row."""
        if self.classes is None or not len(rows):
            return 0.0
        return float(np.bincount(self.classes[rows]).max() / len(rows))

    def _name(self, id: int) -> str:
        return self.names[id] if id < len(self.names) else str(id)

    def compared(
        self, rows: np.ndarray, candidate: np.ndarray, parent: np.ndarray | None, among_known: np.ndarray | None = None
    ) -> Compared:
        """The accuracy of both over some of the rows.

        Args:
            rows: their positions.
            candidate: points and weights of every row, rows x 2.
            parent: the parent's; None if there is none.
            among_known: the candidate's where it answers with the classes alone that the parent knows; None where no
                class is new.
        """
        new_rows = int(self.new[rows].sum())
        return Compared(
            rows=len(rows),
            accuracy=accuracy(candidate[rows]),
            parent_accuracy=None if parent is None else accuracy(parent[rows]),
            new_rows=new_rows,
            among_known=None if among_known is None or new_rows else accuracy(among_known[rows]),
        )


def accuracy(scores: np.ndarray) -> float:
    """Points over weights, rows x 2; 0 where there are no rows."""
    points, weights = scores.sum(axis=0)
    return float(points / weights) if weights else 0.0
