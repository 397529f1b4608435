"""Held-out rows that the head answers differently from its parent."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from raygp.data.sources.kind import medium_of
from raygp.events import Listener, Notice
from raygp.export.held_out import Rows, validation_rows
from raygp.inference import Predictor
from raygp.page.facts import Facts
from raygp.page.masks import data_uri
from raygp.page.story import ExampleRow, Examples
from raygp.tasks.traits import labels_are_numbers

if TYPE_CHECKING:
    from raygp.store import Card
    from raygp.tasks import Answer, Task

LOOKED_AT = 1_000
"""Rows that are answered by both versions, at most."""
SECONDS = 20.0
"""After so long no further batch is begun."""
SHOWN = 8
"""Rows of a kind that are shown."""
_BATCH = 64
_SIDE = 96
"""Pixels of a picture's longer side."""
_TEXT = 280
"""Characters of a text that are shown."""
_MOVED = 0.1
"""A number counts as another answer if it moved by more than this part of how far the labels scatter."""


@dataclass(frozen=True)
class _Answered:
    """A row, and what both versions say of it."""

    sample: bytes
    decoded: np.ndarray
    label: str
    place: tuple[str, str]
    before: Answer
    after: Answer


def differing_examples(facts: Facts, task: Task, tell: Listener) -> Examples | None:
    """Rows that the head and its parent hold against each other; None if there is no parent, or no row.

    Raises:
        InputError: a version or a shard cannot be read.
    """
    head = facts.head_card
    parent = facts.parent_of(head) if head else None
    if head is None or parent is None:
        return None
    rows = validation_rows(facts.location, head, LOOKED_AT)
    if not len(rows):
        return None
    tell(Notice(text=f"{head.version} and {parent.version} answer {len(rows):,} validation rows"))
    answered = list(_answered(facts, task, head, parent, rows))
    numbers = labels_are_numbers(task)
    spread = _spread(answered) if numbers else 0.0
    kinds: dict[str, list[_Answered]] = {"gained": [], "lost": [], "other": []}
    for row in answered:
        if kind := _kind_of_number(row, spread) if numbers else _kind(row):
            kinds[kind].append(row)
    known = set(parent.classes)
    classes = task.labels_are_classes
    shown = [
        _shown(task, kind, row, classes and row.label not in known)
        for kind, found in kinds.items()
        for row in sorted(found, key=_sureness, reverse=True)[:SHOWN]
    ]
    val_rows = [manifest.rows("val") for manifest in facts.manifests if manifest.arrival in head.measured_on]
    return Examples(
        version=head.version,
        parent=parent.version,
        looked_at=len(answered),
        of_rows=max(sum(val_rows), len(answered)),
        gained=len(kinds["gained"]),
        lost=len(kinds["lost"]),
        other=len(kinds["other"]),
        numbers=numbers,
        rows=shown,
    )


def _answered(facts: Facts, task: Task, head: Card, parent: Card, rows: Rows) -> Iterator[_Answered]:
    """The rows that can be decoded, with both answers, until the time is up."""
    ours, theirs = (Predictor.of(facts.location, card, task) for card in (head, parent))
    started = time.monotonic()
    # Rows lie by arrival: taken at random, what is left out for want of time is a bit of each.
    order = np.random.default_rng(0).permutation(len(rows))
    for start in range(0, len(order), _BATCH):
        if start and time.monotonic() - started > SECONDS:
            return
        batch = []
        for at in order[start : start + _BATCH].tolist():
            try:
                batch.append((rows.samples[at], task.decode(rows.samples[at]), rows.labels[at], rows.places[at]))
            except ValueError:
                continue  # An ingest of other code let it pass; there is nothing to compare.
        decoded = [one[1] for one in batch]
        both = zip(batch, theirs.at_once(decoded), ours.at_once(decoded), strict=True)
        yield from (_Answered(*row, before, after) for row, before, after in both)


def _kind(row: _Answered) -> str:
    """Which kind of difference there is; empty if both say the same."""
    if row.before.label == row.after.label:
        return ""
    if row.after.label == row.label:
        return "gained"
    return "lost" if row.before.label == row.label else "other"


def _spread(rows: Sequence[_Answered]) -> float:
    return float(np.std([float(row.label) for row in rows])) if rows else 0.0


def _kind_of_number(row: _Answered, spread: float) -> str:
    before, after, label = row.before.value, row.after.value, float(row.label)
    if before is None or after is None or abs(after - before) <= _MOVED * spread:
        return ""
    return "gained" if abs(after - label) < abs(before - label) else "lost"


def _sureness(row: _Answered) -> float:
    """Those come first that say most: where numbers moved far, or the version is sure."""
    if row.after.value is not None and row.before.value is not None:
        return abs(row.after.value - row.before.value)
    return row.after.probabilities[0][1] if row.after.probabilities else 0.0


def _shown(task: Task, kind: str, row: _Answered, new_class: bool) -> ExampleRow:
    medium = medium_of(task)
    arrival, key = row.place
    return ExampleRow(
        kind=kind,
        arrival=arrival,
        key=key,
        label=row.label,
        parent_said=row.before.label,
        version_said=row.after.label,
        parent_sure=_sure(row.before),
        version_sure=_sure(row.after),
        new_class=new_class,
        picture=_picture(row) if medium in ("image", None) else "",
        text=_text(row.sample, medium),
    )


def _sure(answer: Answer) -> float | None:
    return answer.probabilities[0][1] if answer.probabilities else None


def _picture(row: _Answered) -> str:
    """The sample as a small picture, as the model gets it; empty if it is none."""
    pixels = row.decoded
    try:
        if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[0] in (1, 3):
            image = Image.fromarray(pixels[0] if pixels.shape[0] == 1 else pixels.transpose(1, 2, 0))
        else:
            image = Image.open(io.BytesIO(row.sample)).convert("RGB")
    except (OSError, ValueError):
        return ""
    image.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return data_uri(content.getvalue())


def _text(sample: bytes, medium: str | None) -> str:
    """A text or a row of a table in a few words; of sound, that it is some."""
    if medium == "audio":
        return "sound"
    if medium not in ("text", "row"):
        return ""
    text = sample.decode("utf-8", "replace")
    if medium == "row":
        # A task of one's own may call something else a row.
        with contextlib.suppress(ValueError, AttributeError):
            text = ", ".join(f"{name} {value}" for name, value in json.loads(text).items() if value not in ("", None))
    return text if len(text) <= _TEXT else f"{text[:_TEXT].rstrip()} ..."
