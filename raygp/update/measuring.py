"""What a model makes of a held-out split: the points of every row, from one pass over it.

Where an update brings classes, two things are read off the same outputs. *As it is served* a model answers with any
class. *Among known classes* it answers with those that the parent knows, which are the first outputs. A model of ten
classes takes a 3 for an 8 now and then; a parent that knows no 8 cannot. So the second is what tells whether something
was forgotten, and the first whether new classes take what is not theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from raygp.tasks.padded import Padded, take
from raygp.tasks.protocol import Task
from raygp.update.probe import Probe


@dataclass(frozen=True)
class Measured:
    """The points of the rows of a split, the same on every rank."""

    scores: np.ndarray
    """Points and weights of each row by metric (:meth:`raygp.tasks.protocol.Task.score`), with all classes in play:
    float64, rows x metrics x 2."""
    among_known: np.ndarray | None = None
    """The same among known classes; rows of new ones have no points. None where no class is new."""
    class_ids: np.ndarray | None = None
    """Class of each row, int64; None where labels are no classes."""
    known: int | None = None
    """How many classes are known where some are new."""
    probe: Probe | None = None
    """What the model made of the rows that were asked for; None where none were."""

    @property
    def accuracy(self) -> float:
        """The first metric, with all classes in play; 0 without rows."""
        return metric_values(self.scores)[0]

    @property
    def known_accuracy(self) -> float | None:
        """The first metric among known classes over the rows of known classes; None where no class is new, or no row is
        of a known one."""
        if self.among_known is None or self.class_ids is None or not (rows := self.class_ids < self.known).any():
            return None
        return metric_values(self.among_known[rows])[0]


class Measuring:
    """Gathers the points of a split batch by batch, in any order."""

    def __init__(
        self,
        task: Task,
        rows: int,
        known: int | None,
        class_ids: np.ndarray | None,
        probe: np.ndarray | None = None,
    ) -> None:
        """Nothing is gathered yet.

        Args:
            task: gives points.
            rows: of the split.
            known: how many classes are known where some are not (:func:`known_of`); None: all.
            class_ids: the rows' classes, if they have been gathered before.
            probe: positions of rows whose losses are wanted, too, ascending; None: of no row.
        """
        self._probe = probe
        self._losses = torch.zeros(0 if probe is None else len(probe), dtype=torch.float64)
        self._task, self._known = task, known
        self._found = torch.zeros(1 if known is None else 2, rows, len(task.metrics), 2, dtype=torch.float64)
        self._class_ids = class_ids
        self._ids = torch.zeros(rows, dtype=torch.int64) if task.labels_are_classes and class_ids is None else None

    def add(self, rows: np.ndarray, outputs: Tensor | Padded, targets: Tensor | Padded) -> None:
        """Take the outputs of a batch.

        Args:
            rows: their positions in the split.
            outputs: of the model.
            targets: what the rows are.
        """
        place, scored = torch.from_numpy(rows), self._task.score(outputs, targets).cpu()
        self._found[0, place] = scored
        if self._probe is not None:
            self._add_losses(self._probe, rows, outputs, targets)
        if not isinstance(targets, Tensor):
            return
        if self._ids is not None:
            self._ids[place] = targets.cpu()
        if self._known is not None and isinstance(outputs, Tensor):
            known, among = targets < self._known, scored.clone()
            among[..., 0] = 0.0
            among[known.cpu()] = self._task.score(among_first(outputs[known], self._known), targets[known]).cpu()
            self._found[1, place] = among

    def _add_losses(
        self, probe: np.ndarray, rows: np.ndarray, outputs: Tensor | Padded, targets: Tensor | Padded
    ) -> None:
        wanted = np.flatnonzero(np.isin(rows, probe))
        if len(wanted):
            here = torch.from_numpy(wanted).to(outputs.device if isinstance(outputs, Tensor) else outputs.values.device)
            losses = self._task.losses(take(outputs, here), take(targets, here))
            self._losses[torch.from_numpy(np.searchsorted(probe, rows[wanted]))] = losses.double().cpu()

    def result(self, total: Callable[[Tensor], Tensor]) -> Measured:
        """All points. ``total`` sums over ranks, each of which has gathered its share."""
        found = total(self._found).numpy()
        ids = self._class_ids if self._ids is None else total(self._ids).numpy()
        probe = None
        if self._probe is not None:
            points, losses = found[0][self._probe, 0, 0], total(self._losses).numpy()
            probe = Probe(tuple(self._probe.tolist()), tuple(points.tolist()), tuple(losses.tolist()))
        return Measured(found[0], found[1] if len(found) > 1 else None, ids, self._known, probe)


def known_of(task: Task, model: nn.Module, known: int | None) -> int | None:
    """How many classes a parent knows, if the model knows more; None if it does not, or answers with no one class.

    Args:
        task: of both.
        model: whose classes are those of the parent, in its order, and new ones behind them.
        known: classes of the parent; None: there is none, or it knows all.
    """
    # Outputs of a sequence are not one answer, so there is nothing to restrict.
    if known is None or not task.labels_are_classes or task.sequences:
        return None
    return known if known < len(model.get_parameter(f"{task.classifier}.weight")) else None


def among_first(outputs: Tensor | Padded, classes: int | None) -> Tensor | Padded:
    """Outputs of the first so many classes alone; of all if that is None."""
    return outputs if classes is None or isinstance(outputs, Padded) else outputs[..., :classes]


def metric_values(scores: np.ndarray) -> list[float]:
    """Points over weights of each metric: rows x metrics x 2 to a list of metrics; 0 where there are no rows."""
    points, weights = scores.sum(axis=0).T
    return [float(p / w) if w else 0.0 for p, w in zip(points, weights, strict=True)]
