"""Updates of kept roots, carried out in this process: one worker, as those who made them had."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from raygp.data.batches import Split
from raygp.data.catalog import Catalog, ShardRef
from raygp.data.reading import read_examples
from raygp.data.resident import Examples, ResidentData
from raygp.settings import RunSettings, load_settings
from raygp.store import Location, list_arrivals, open_head, open_line, read_head, read_tensors, version_to_make
from raygp.tasks import make_task
from raygp.update.candidate import make_learner
from raygp.update.checkpoints import checkpoint_names, load
from raygp.update.engine import Update
from raygp.update.job import UpdateJob
from raygp.update.outcome import Outcome
from raygp.update.state import Checkpoint
from tests.formats.archives import described


def settings_of(name: str) -> RunSettings:
    """The settings that a kept root was updated with. They are given as the file that they were given as."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "settings.yaml")
        file.write_text(json.dumps(described(name)["settings"]))
        return load_settings("lenet-300-100", str(file))


def next_job(location: Location, name: str) -> UpdateJob:
    """The update of the arrival that waits in a kept root."""
    settings, head = settings_of(name), read_head(location)
    assert head is not None
    parent = open_head(location, head)
    manifests = {manifest.arrival: manifest for manifest in list_arrivals(location)}
    [waiting] = manifests.keys() - set(parent.arrivals)
    return UpdateJob(
        location=location,
        task=open_line(location).task,
        parent=parent,
        seen=tuple(manifests[arrival] for arrival in parent.arrivals),
        arrival=manifests[waiting],
        plan=settings.plan,
        seed=settings.seed,
        gate_tolerance=settings.gate_tolerance,
        gate_confidence=settings.gate_confidence,
        version=version_to_make(location, head),
        sweep=settings.sweep.model_dump_json() if described(name)["sweep"] else "",
    )


def checkpoints(location: Location, job: UpdateJob) -> list[Checkpoint | Outcome]:
    """All that is stored of an update, oldest first."""
    names = checkpoint_names(location, job.folder)
    return [load(location.local_path(f"{job.folder}/{name}")) for name in names]


def finish(job: UpdateJob, start: Checkpoint) -> Outcome:
    """What the update comes to when it goes on from ``start``."""
    assert job.parent is not None
    task, data = make_task(job.task), resident(job.catalog())
    learner = make_learner(
        task,
        data,
        job.plan,
        num_classes=len(job.classes),
        seed=job.seed,
        parent=read_tensors(job.location, job.parent),
        parent_classes=len(job.parent.classes),
    )
    update = Update(
        job.plan,
        learner,
        data,
        seed=job.seed,
        has_parent=True,
        gate_tolerance=job.gate_tolerance,
        gate_confidence=job.gate_confidence,
    )
    update.resume(start)
    return update.run()


def resident(catalog: Catalog) -> ResidentData:
    """The rows of an update of a task whose examples have one shape, in memory."""
    held_out: dict[Split, Examples] = {split: _read(catalog, refs) for split, refs in catalog.held_out.items() if refs}
    groups = {split: catalog.groups(split) for split in held_out}
    return ResidentData(_read(catalog, catalog.train), catalog.old_rows, held_out, groups)


def _read(catalog: Catalog, refs: Sequence[ShardRef]) -> Examples:
    task = make_task({"name": "lenet-300-100", "image_size": 28})
    blocks = [block for ref in refs for block in read_examples(catalog, ref, task)]
    inputs, targets = (
        torch.from_numpy(np.concatenate([block[key] for block in blocks])) for key in ("inputs", "targets")
    )
    return Examples(inputs, targets)
