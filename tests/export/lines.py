"""Lines with one version that nobody trained: a sparse network with weights at random, held-out rows to check it on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import raygp
from raygp.data.ingest_settings import IngestSettings
from raygp.data.sources import Source
from raygp.data.sources.source import SourceSample
from raygp.line import Line
from raygp.sparse import Masks, pack_model, seed_sparse
from raygp.store import promote, write_version
from raygp.tasks import Task
from raygp.update.seeds import torch_generator
from tests.conftest import new_card
from tests.digits import FewDigits

SPLIT = IngestSettings(["first"], val_share=0.3, test_share=0.3)


def random_model(task: Task, classes: int, density: float) -> tuple[torch.nn.Module, Masks]:
    """A sparse model whose weights are at random, and statistics of batch norm too."""
    torch.manual_seed(3)
    model = task.build_model(classes)
    masks = Masks(model, task.dense)
    seed_sparse(masks, density, torch_generator(3, "masks"), "erk", {})
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval(), masks


def untrained(
    folder: Path, spec: dict[str, Any], source: Source | None = None, density: float = 0.1, **opens: Any
) -> Line:
    """A line with one version.

    Args:
        folder: of the line.
        spec: of its task.
        source: what it holds; None: 100 digits.
        density: of the version.
        opens: what else :func:`raygp.open` is given.
    """
    line = raygp.open(str(folder), **opens)
    (manifest,) = line.ingest(source or FewDigits(0, 100), SPLIT, task=spec)
    version = line.make_task()
    classes = [*version.reserved, *sorted(set(manifest.labels) - set(version.reserved))]
    model, masks = random_model(version, len(classes), density)
    card = new_card(
        task=line.task,
        classes=classes,
        density=masks.density,
        densities=masks.densities(),
        active_connections=masks.active,
        total_connections=masks.total,
        plan={"name": "none"},
        manifests={"first": manifest.digest},
    )
    promote(line.location, write_version(line.location, card, pack_model(model, masks)), None)
    line.refresh()
    return line


class Tones:
    """Short tones as WAV files, with texts of a few characters."""

    name = "tones"

    def samples(self) -> Iterator[SourceSample]:
        for number in range(30):
            yield SourceSample(None, "abc ba"[: 1 + number % 6].strip(), f"{number:02d}", partial(tone, number))


def tone(number: int) -> bytes:
    """A WAV file of 0.4 to 0.7 seconds."""
    from tests.tasks.sounds import encode

    time = np.arange(round((0.4 + 0.01 * number) * 16_000)) / 16_000
    noise = np.random.default_rng(number).standard_normal(len(time))
    return encode((0.4 * np.sin(2 * np.pi * (300 + 40 * number) * time) + 0.01 * noise)[:, None].astype(np.float32))
