"""What adopting a model took from its file, in lines."""

from __future__ import annotations

from collections.abc import Sequence

from raygp.events import Adopted
from raygp.report.tables import percent
from raygp.report.verdict import verdict_line
from raygp.store import Card

_SHOWN = 6


def origin_line(card: Card) -> str:
    """Where a version's weights are from, with the start of the file's SHA-256; empty if they were trained here."""
    if card.origin is None:
        return ""
    first = card.origin.files[0]
    size = sum(file.bytes for file in card.origin.files)
    parts = f" and {len(card.origin.files) - 1} parts" if len(card.origin.files) > 1 else ""
    return f"adopted from {first.file}{parts} ({size / 1e6:,.1f} MB, SHA-256 {first.sha256[:12]}...)"


def weights_lines(card: Card) -> list[str]:
    """Which of the model's tensors were in the file, and which were not."""
    origin = card.origin
    if origin is None:
        return []
    tensors = origin.loaded + len(origin.made_new)
    shapes = {text.split(" ", 1)[0] for text in origin.other_shape}
    absent = [name for name in origin.made_new if name not in shapes]
    found = [f"{origin.loaded:,} of the model's {tensors:,} tensors loaded"]
    if absent:
        found.append(f"not in the file, so new: {_some(absent)}")
    if origin.other_shape:
        found.append(f"of another shape, so new: {_some(origin.other_shape)}")
    if origin.left_over:
        found.append(f"in the file and not in the model: {_some(origin.left_over)}")
    if origin.converted:
        found.append(f"stored in another precision, now as the model's: {_some(origin.converted)}")
    return found


def adopted_lines(event: Adopted) -> list[str]:
    """All that a person has to know of an adoption."""
    card, origin = event.card, event.card.origin
    prefix = f", names without '{event.prefix}'" if event.prefix else ""
    place = f" in place of {card.parent}" if card.parent else ""
    found = [f"{card.version}: {origin_line(card)}{place}{prefix}", *weights_lines(card)]
    if event.head_is_new:
        found.append(f"the output layer is new: it is untrained, for {_count(card.classes)}")
    if card.classes and origin is not None:
        found.append(f"order of the classes from {origin.classes_from}: {_some(card.classes)}")
    found += [f"note: {note}" for note in event.notes]
    if event.without_rows:
        found.append(f"without a training row here, so that updates may forget them: {_named(event.without_rows)}")
    if event.new_classes:
        found.append(f"not known to it, so that the next updates add them: {_named(event.new_classes)}")
    left_out = origin.left_out if origin else 0
    if left_out or event.test_left_out:
        rows = f"{left_out:,} validation and {event.test_left_out:,} test rows"
        found.append(f"not measured on {rows} of classes that it does not know")
    found.append(f"{card.version}: dense, {verdict_line(card)}; it has seen no arrival")
    if event.guesses and not event.head_is_new:
        found.append(
            f"warning: {percent(card.val_accuracy)} % is no better than always answering with the most frequent class: "
            "is this the order of classes that it was trained with (--classes)? If not, adopt it again with the right "
            "one before you update: the same command with --classes FILE"
        )
    return found


def _count(classes: Sequence[str]) -> str:
    return f"{len(classes):,} class{'' if len(classes) == 1 else 'es'}" if classes else "the line's task"


def _some(names: Sequence[str]) -> str:
    """The first few, then how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown


def _named(names: Sequence[str]) -> str:
    return f"{_count(names)} ({_some(names)})"
