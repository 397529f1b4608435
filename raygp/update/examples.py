"""Which examples are trained on: some because the model finds them hard, some at random."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch

from raygp.data.batches import TrainingData
from raygp.sparse import select_largest
from raygp.update.by_class import ByClass, Draw, uneven
from raygp.update.learner import Learner
from raygp.update.phases import Phase
from raygp.update.plan import Plan, SelectionSettings
from raygp.update.seeds import numpy_generator
from raygp.update.shared import SharedWork

_UNLEARNT_SAMPLE = 1024
"""Earlier examples that are looked at to tell what cannot be learnt: enough for one per cent to be ten of them."""


class ExampleChoice:
    """Which training examples the phases of an update see. The choice is made once, by the model as it is then."""

    def __init__(
        self, plan: Plan, learner: Learner, data: TrainingData, seed: int, shared: SharedWork | None = None
    ) -> None:
        self._plan, self._learner, self._data, self._seed = plan, learner, data, seed
        self.known_losses: Mapping[str, np.ndarray] = shared.losses if shared else {}
        """By part of the data, the parent's losses, where they have been computed before."""
        self._unlearnt: float | None = None
        self.chosen: np.ndarray | None = None
        """Ids of the examples of replay and arrival, once they are chosen."""

    def ids(self, phase: Phase) -> np.ndarray:
        """The phase's training examples: the arrival alone, or what is chosen of replay and arrival."""
        if phase.on_arrival_alone:
            return self._parts()["arrival"]
        return self.choose() if self.chosen is None else self.chosen

    def count(self, phase: Phase) -> int:
        """How many :meth:`ids` gives, without choosing them: when they are chosen decides by which model."""
        parts = {part: len(ids) for part, ids in self._parts().items()}
        if phase.on_arrival_alone:
            return parts["arrival"]
        return sum(round(self._settings(part).share * rows) for part, rows in parts.items())

    def choose(self) -> np.ndarray:
        """Ids of the replayed examples and those of the arrival, chosen by the model as it is."""
        if (classes := self._classes_to_balance()) is None:
            replay, arrival = self._chosen_of("replay"), self._chosen_of("arrival")
        else:
            arrival = self._chosen_of("arrival")
            replay = self._chosen_of("replay", ByClass(classes, self._data.old_rows, arrival))
        self.chosen = np.concatenate([replay, arrival])
        return self.chosen

    def _chosen_of(self, part: str, draw: Draw | None = None) -> np.ndarray:
        ids, generator = self._parts()[part], numpy_generator(self._seed, part)
        return choose_examples(
            self._settings(part), ids, generator, self._losses_of(part, ids), self.unlearnt, draw or first_of
        )

    def _classes_to_balance(self) -> np.ndarray | None:
        """The class of every training example, if replay is to be drawn by class."""
        replay = self._plan.replay
        if replay.by_class == "never" or not 0.0 < replay.share < 1.0 or not self._learner.task.labels_are_classes:
            return None
        classes = self._data.classes()
        if classes is None or not len(classes) or replay.by_class == "always":
            return classes
        size, old_rows = int(classes.max()) + 1, self._data.old_rows
        old, new = (np.bincount(rows, minlength=size) for rows in (classes[:old_rows], classes[old_rows:]))
        return classes if uneven(old, new) else None

    def unlearnt(self) -> float:
        """Part of a sample of the earlier examples that the model gets wrong: loss above ln 2, at which it gives the
        right answer less than half of its belief. It was trained on them, so they are what could not be learnt: wrong
        or ambiguous labels, for the most part. 0 without earlier examples.

        A forward pass over the sample, charged as such, the first time.
        """
        if self._unlearnt is None:
            old = self._parts()["replay"]
            sample = np.sort(numpy_generator(self._seed, "unlearnt").permutation(old)[:_UNLEARNT_SAMPLE])
            losses = self._parents_losses(old, sample) if len(sample) else np.zeros(1)
            self._unlearnt = float((losses > math.log(2.0)).mean())
        return self._unlearnt

    def growth_sample(self, phase: int, sample: Callable[[int], int]) -> np.ndarray:
        """Ids of the examples that a phase's gradients are summed over, sorted.

        Args:
            phase: its position in the plan.
            sample: says how many of so many examples.
        """
        ids = self.ids(self._plan.phases[phase])
        generator = numpy_generator(self._seed, "growth-sample", phase)
        return np.sort(generator.permutation(ids)[: sample(len(ids))])

    def all_losses(self) -> dict[str, np.ndarray]:
        """By part, the loss of each of its examples, where the plan chooses by all of them."""
        found = {}
        for part, ids in self._parts().items():
            settings = self._settings(part)
            if settings.by_loss and settings.scan == 1.0 and len(ids):
                found[part] = self._learner.losses(ids)
        return found

    def _settings(self, part: str) -> SelectionSettings:
        return self._plan.replay if part == "replay" else self._plan.arrival

    def _parts(self) -> dict[str, np.ndarray]:
        """The data by whether earlier arrivals or this one brought them."""
        old = np.arange(self._data.old_rows)
        return {"replay": old, "arrival": self._data.old_rows + np.arange(self._data.new_rows)}

    def _parents_losses(self, old: np.ndarray, sample: np.ndarray) -> np.ndarray:
        """Losses of some of the earlier examples where the parent answers with the classes that it knows."""
        known = self._learner.known_classes
        return self._losses_of("replay", old)(sample) if known is None else self._learner.losses(sample, known)

    def _losses_of(self, part: str, ids: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Gives the losses of some of a part's examples."""
        known = self.known_losses.get(part)
        return self._learner.losses if known is None else lambda wanted: known[wanted - ids[0]]


def first_of(order: np.ndarray, chosen: np.ndarray, count: int) -> np.ndarray:
    """Draws so many ids at random: the first of those in random order, whatever was chosen before."""
    return order[:count]


def choose_examples(
    settings: SelectionSettings,
    ids: np.ndarray,
    generator: np.random.Generator,
    losses: Callable[[np.ndarray], np.ndarray],
    unlearnt: Callable[[], float] = lambda: 0.0,
    draw: Draw = first_of,
) -> np.ndarray:
    """Choose ``round(share * len(ids))`` of some training examples.

    Args:
        settings: how many, and how many of them by loss.
        ids: sorted, int64, to choose from.
        generator: of the random part and of what is scanned.
        losses: the model's loss on given ids, the same on every rank; not called when nothing is chosen by loss.
        unlearnt: gives the part that "auto" leaves out (:meth:`ExampleChoice.unlearnt`).
        draw: draws the random part.

    Returns:
        Sorted ids, int64, without repetition.
    """
    wanted = round(settings.share * len(ids))
    if wanted in (0, len(ids)):
        return ids[:wanted]
    order = generator.permutation(len(ids))
    hard_wanted = round(settings.hard * wanted)
    chosen = np.zeros(len(ids), dtype=bool)
    if hard_wanted:
        scanned = np.sort(order[: max(hard_wanted, round(settings.scan * len(ids)))])
        loss = torch.from_numpy(losses(ids[scanned]))
        fit = torch.ones_like(loss, dtype=torch.bool)
        left_out = unlearnt() if settings.leave_out == "auto" else settings.leave_out
        # Never so many that fewer than those wanted would be left.
        hopeless = min(round(left_out * len(scanned)), len(scanned) - hard_wanted)
        fit[select_largest(loss, fit, hopeless)] = False
        hard = select_largest(loss, fit, hard_wanted)
        chosen[scanned[hard.numpy()]] = True
    rest = draw(ids[order[~chosen[order]]], ids[chosen], wanted - int(chosen.sum()))
    chosen[np.searchsorted(ids, rest)] = True
    return ids[chosen]
