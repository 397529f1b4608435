"""A dense model that somebody trained becomes the first version of a line. What waits is folded in by the updates that
follow, with it as their parent: it has seen no arrival, and nothing of them is replayed. Until then, another model may
be adopted in its place."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raygp.errors import InputError
from raygp.events import Adopted, Listener, RowsMeasured
from raygp.line.state import LineState, read_state
from raygp.line.version import Version
from raygp.store import (
    Card,
    Head,
    Location,
    find_waiting,
    line_lease,
    promote,
    read_head,
    remove_version,
    require_conditional_writes,
    version_to_make,
    waiting_version,
    write_version,
)

if TYPE_CHECKING:
    from raygp.settings import RunSettings
    from raygp.tasks.own import TaskCode

Classes = str | os.PathLike[str] | Sequence[str]
"""The order of classes: their names by id, or a file that has them."""
_SHOW_INTERVAL_S = 0.2


@dataclass(frozen=True)
class Adoption:
    """What adopting a model did."""

    version: Version
    """The dense model as it is, measured. Its ``card.origin`` says what of the file was used."""
    head_is_new: bool
    """Whether its output layer is untrained."""
    without_rows: tuple[str, ...]
    """Its classes that no arrival has a training row of."""
    new_classes: tuple[str, ...]
    """Classes of the line that it does not know yet."""
    notes: tuple[str, ...] = ()
    """What of the file was not used, or is used in a way that a person has to know of."""
    updated: tuple[Version, ...] = ()
    """What the updates made that were asked for with it, by their density."""


def with_density(settings: RunSettings, density: float) -> RunSettings:
    """The settings with another density of the update plan.

    Raises:
        InputError: it is none.
    """
    if not 0.0 < density <= 1.0:
        raise InputError(f"density must be above 0 and at most 1, not {density}")
    if density == settings.plan.density:
        return settings
    plan = settings.plan.model_copy(update={"density": density, "name": "custom"})
    return settings.model_copy(update={"plan": plan})


def adopt(
    location: Location,
    weights: str | os.PathLike[str],
    classes: Classes | None,
    seed: int,
    tell: Listener,
    code: TaskCode | None = None,
) -> Adoption:
    """Make a checkpoint the line's first version, or put it in the place of one that was adopted and has seen nothing
    yet. Until it is the head, nothing of it counts.

    Args:
        location: root of the line.
        weights: the checkpoint (:func:`raygp.adopt.checkpoint.read_checkpoint`).
        classes: their order; None: what the checkpoint says, or the line's own if that leaves no doubt.
        seed: of what is new in the model.
        tell: told of what happens.
        code: of a task of one's own.

    Raises:
        InputError: the line has a version that has seen an arrival, or no arrival; or the checkpoint cannot be read,
            does not fit, or is the head already.
        ConflictError: somebody else is at work on the line.
    """
    _check_is_ready(location, read_state(location))
    from raygp.adopt.checkpoint import read_checkpoint
    from raygp.adopt.making import make_dense
    from raygp.line.blessing import ADVICE, unfit
    from raygp.tasks import make_task

    checkpoint = read_checkpoint(weights)
    require_conditional_writes(location)
    with line_lease(location, "raygp adopt"):
        # Somebody else may have been at work until the lease was ours, or was killed before a version became head.
        state = read_state(location)
        _check_is_ready(location, state)
        head = read_head(location)
        _clear_the_way(location, head)
        task, watch = make_task(state.task, code), _Watch(tell)
        place = (version_to_make(location, head), head.version if head else None)
        made = make_dense(location, state.task, task, state.pending, checkpoint, classes, seed, place, watch)
        _check_is_another(location, state.card, made.card)
        card = write_version(location, made.card, made.tensors)
        if reason := unfit(location, card, task, made.catalog, made.probe):
            remove_version(location, card)
            raise InputError(f"{checkpoint.where}: the adopted model {reason}: the line's task needs {ADVICE}")
        promote(location, card, head)
    trained = {label for manifest in state.pending for label, rows in manifest.labels.items() if rows}
    there = {label for manifest in state.pending for label in manifest.labels}
    without_rows = tuple(name for name in card.classes if name not in trained and name not in task.reserved)
    new = tuple(sorted(there - set(card.classes)))
    tell(
        Adopted(
            card=card,
            prefix=made.prefix,
            head_is_new=made.head_is_new,
            without_rows=without_rows,
            new_classes=new,
            test_left_out=made.test_left_out,
            guesses=made.guesses,
            notes=made.notes,
        )
    )
    return Adoption(Version(location, card, code), made.head_is_new, without_rows, new, made.notes)


def _check_is_ready(location: Location, state: LineState) -> None:
    """Refuse a line that a model cannot begin."""
    card = state.card
    if card is not None and (card.origin is None or card.arrivals):
        raise InputError(
            f"{location.root} has {card.version} as its head already, and a model is adopted as a line's first "
            "version: make another line (raygp ingest --root OTHER) and adopt it there"
        )
    if not state.pending:
        raise InputError(
            f"{location.root} has no arrival that the model could be measured on: publish one first, with raygp ingest"
        )


def _clear_the_way(location: Location, head: Head | None) -> None:
    """Delete what an adoption left that was killed before its version became the head.

    Raises:
        InputError: an update left one, which was trained.
    """
    waiting = waiting_version(location, head)
    if waiting is not None and waiting.origin is None:
        ends = "raygp reject" if find_waiting(location) else "raygp update"
        raise InputError(
            f"{location.root}: {waiting.version} has been trained and is about to become the head: {ends} ends that. A "
            "model is adopted as a line's first version: make another line for it"
        )
    if waiting is not None:
        remove_version(location, waiting)


def _check_is_another(location: Location, head: Card | None, card: Card) -> None:
    if head is not None and head.update.removeprefix(head.version) == card.update.removeprefix(card.version):
        raise InputError(f"{location.root}: {head.version} is this very model already, with these classes")


class _Watch:
    """Tells of rows that were measured, as often as a reader can follow."""

    def __init__(self, tell: Listener) -> None:
        self._tell, self._told = tell, 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._told > _SHOW_INTERVAL_S:
            self._told = now
            self._tell(RowsMeasured(done=done, total=total))
