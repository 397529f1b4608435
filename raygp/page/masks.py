"""Masks of versions: how large each layer is, what changed against the parent, and pictures of both."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from raygp.data.listing import numbered
from raygp.events import Listener, Notice
from raygp.page.facts import Facts
from raygp.page.story import MaskPicture
from raygp.page.updates import LayerChange, Seen
from raygp.sparse import Masks
from raygp.sparse.bits import unpack_bits
from raygp.sparse.layers import Layer
from raygp.store import Card, read_tensors
from raygp.tasks import Task

COMPARED = 8
"""Versions whose masks are looked at, the newest: each is a file to fetch."""
PICTURED = 4
"""Layers of a version that are shown."""
_WIDEST, _TALLEST = 784, 320
_CHANGED = 0.2
"""Part of a block's connections that must have come or gone for the block to be shown as changed."""
_LEVELS = 5
_KEPT, _ADDED, _REMOVED = (122, 130, 138), (18, 149, 160), (217, 105, 26)
"""Colours that stand out from light and from dark paper."""
Bits = dict[str, Tensor]


@dataclass(frozen=True)
class Shapes:
    """The prunable layers of a line's model, for any number of classes."""

    layers: Sequence[Layer]
    parameters: dict[str, torch.Size]
    classes: int
    """That the model was made with."""
    classifier: str
    """Name of the output layer, whose weight has a row for each class."""

    @classmethod
    def of(cls, task: Task, classes: int) -> Shapes:
        """Those of a task's model. Nobody's random numbers move."""
        with torch.random.fork_rng(devices=[]):
            masks = Masks(task.build_model(classes), task.dense)
        shapes = {name: mask.shape for name, mask in masks.bits.items()}
        return cls(masks.layers, shapes, classes, task.classifier)

    def shape(self, parameter: str, classes: int) -> torch.Size:
        """Of a parameter, in a model of so many classes."""
        shape = self.parameters[parameter]
        if parameter == f"{self.classifier}.weight" and shape[0] == self.classes:
            return torch.Size((classes, *shape[1:]))
        return shape

    def sizes(self, card: Card) -> dict[str, int]:
        """Connections of each layer of a version; empty if its model is another."""
        found = {}
        for layer in self.layers:
            shape = self.shape(layer.parameter, len(card.classes))
            whole = layer.stop - layer.start == self.parameters[layer.parameter][0]
            found[layer.name] = shape.numel() if whole else shape.numel() // shape[0] * (layer.stop - layer.start)
        return found if sum(found.values()) == card.total_connections else {}

    def bits(self, facts: Facts, card: Card) -> Bits:
        """The masks of a version by layer, read from its file.

        Raises:
            InputError: the file is missing or damaged.
            ValueError: it holds another model.
        """
        tensors, found = read_tensors(facts.location, card), {}
        for layer in self.layers:
            key = f"mask/{layer.parameter}"
            if key not in tensors:
                raise ValueError(f"{card.version} has no mask of {layer.parameter}")
            mask = unpack_bits(tensors[key], self.shape(layer.parameter, len(card.classes)))
            whole = layer.stop - layer.start == self.parameters[layer.parameter][0]
            found[layer.name] = mask if whole else layer.of(mask)
        return found


def look_at_masks(facts: Facts, task: Task, tell: Listener) -> Seen:
    """Sizes of layers for every version, and what the masks of the newest ones show.

    Raises:
        InputError: a version's file is missing or damaged, or the task's model cannot be made.
    """
    if not facts.cards:
        return Seen()
    shapes = Shapes.of(task, len(facts.cards[-1].classes))
    sizes = {card.version: found for card in facts.cards if (found := shapes.sizes(card))}
    read: dict[str, Bits] = {}
    changes: dict[str, dict[str, LayerChange]] = {}
    pictures: dict[str, list[MaskPicture]] = {}
    for card in [card for card in facts.cards if card.version in sizes][-COMPARED:]:
        tell(Notice(text=f"looking at the masks of {card.version}"))
        parent = facts.parent_of(card)
        for wanted in (card, parent):
            if wanted is not None and wanted.version in sizes and wanted.version not in read:
                read[wanted.version] = shapes.bits(facts, wanted)
        before = read.get(parent.version) if parent else None
        if before is not None:
            changes[card.version] = {name: _change(bits, before[name]) for name, bits in read[card.version].items()}
        pictures[card.version] = _pictures(facts, card, read[card.version], before)
    return Seen(sizes, changes, pictures)


def _grown_to(before: Tensor, shape: torch.Size) -> Tensor:
    """A parent's mask with rows for new classes, which it does not have."""
    if before.shape == shape:
        return before
    grown = torch.zeros(shape, dtype=torch.bool)
    grown[: before.shape[0]] = before
    return grown


def _change(bits: Tensor, before: Tensor) -> LayerChange:
    before = _grown_to(before, bits.shape)
    return LayerChange(int((bits & before).sum()), int((bits & ~before).sum()), int((before & ~bits).sum()))


def _pictures(facts: Facts, card: Card, bits: Bits, before: Bits | None) -> list[MaskPicture]:
    """A few layers of a version: all if they are few, else the first, the last, the largest and the most changed."""
    sparse = {name: mask for name, mask in bits.items() if not (mask.all() and (not before or before[name].all()))}
    names = list(sparse)
    if len(names) > PICTURED:
        by_size = sorted(names, key=lambda name: bits[name].numel())
        by_change = sorted(names, key=lambda name: _share_changed(bits[name], before[name] if before else None))
        wanted = {names[0], names[-1], by_size[-1], by_change[-1]}
        names = [name for name in names if name in wanted]
    found = [_picture(name, bits[name], before[name] if before else None, card) for name in names]
    if (inputs := _inputs_picture(facts, bits)) is not None:
        found.append(inputs)
    return found


def _share_changed(bits: Tensor, before: Tensor | None) -> float:
    if before is None:
        return 0.0
    change = _change(bits, before)
    return (change.added + change.removed) / max(1, change.kept + change.added + change.removed)


def _picture(name: str, bits: Tensor, before: Tensor | None, card: Card) -> MaskPicture:
    now = bits.reshape(bits.shape[0], -1).numpy()
    then = now if before is None else _grown_to(before, bits.shape).reshape(bits.shape[0], -1).numpy()
    down, across = -(-now.shape[0] // _TALLEST), -(-now.shape[1] // _WIDEST)
    counts = np.stack([_blocks(part, down, across) for part in (now & then, now & ~then, then & ~now)])
    total = counts.sum(axis=0)
    changed = counts[1] + counts[2]
    kind = np.where(changed >= np.maximum(1, _CHANGED * total), np.where(counts[1] >= counts[2], 1, 2), 0)
    level = np.ceil(_LEVELS * total / max(1, total.max())).astype(np.uint8)
    pixels = np.where(total > 0, 1 + kind * _LEVELS + level - 1, 0).astype(np.uint8)
    kept, added, removed = (int(part.sum()) for part in (now & then, now & ~then, then & ~now))
    words = f"{bits.shape[0]:,} outputs down, {now.shape[1]:,} inputs across: {numbered(kept, 'connection')} "
    words += "active" if before is None else f"kept, {added:,} added and {removed:,} removed since {card.parent}"
    return MaskPicture(
        layer=name,
        width=pixels.shape[1],
        height=pixels.shape[0],
        down=down,
        across=across,
        picture=_png(pixels, _palette((_KEPT, _ADDED, _REMOVED))),
        words=words,
    )


def _inputs_picture(facts: Facts, bits: Bits) -> MaskPicture | None:
    """How many connections leave each pixel of the input, where the first layer sees an image as it is."""
    size, channels = facts.task.get("image_size"), facts.task.get("channels")
    name, mask = next(iter(bits.items()))
    if not isinstance(size, int) or not isinstance(channels, int) or mask.dim() != 2 or mask.all():
        return None
    if mask.shape[1] != channels * size * size:
        return None
    counts = mask.sum(dim=0).reshape(channels, size, size).sum(dim=0).numpy()
    level = np.ceil(_LEVELS * counts / max(1, counts.max()))
    unused = int((counts == 0).sum())
    return MaskPicture(
        layer="pixels of the input",
        width=size,
        height=size,
        picture=_png(level.astype(np.uint8), _palette((_ADDED,))),
        words=f"connections of {name} that leave each pixel, {int(counts.max()):,} at most; "
        + (f"{numbered(unused, 'pixel')} of {counts.size:,} without any" if unused else "none is without any"),
    )


def _blocks(bits: np.ndarray, down: int, across: int) -> np.ndarray:
    """How many are set in each block of so many rows and columns."""
    if down == across == 1:
        return bits.astype(np.int32)
    rows, columns = -(-bits.shape[0] // down) * down, -(-bits.shape[1] // across) * across
    padded = np.zeros((rows, columns), dtype=np.int32)
    padded[: bits.shape[0], : bits.shape[1]] = bits
    blocks: np.ndarray = padded.reshape(rows // down, down, columns // across, across).sum(axis=(1, 3))
    return blocks


def _palette(colours: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Nothing, then each colour from faint to full."""
    levels = [55 + 200 * number // _LEVELS for number in range(1, _LEVELS + 1)]
    return [(0, 0, 0, 0), *((*colour, level) for colour in colours for level in levels)]


def _png(pixels: np.ndarray, palette: Sequence[tuple[int, int, int, int]]) -> str:
    """A picture of palette entries as a data URI. What is clear stays clear on any paper."""
    image = Image.fromarray(pixels, "P")
    image.putpalette([channel for colour in palette for channel in colour[:3]])
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True, transparency=bytes(colour[3] for colour in palette))
    return data_uri(content.getvalue())


def data_uri(png: bytes) -> str:
    """A PNG as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
