"""Checkpoints and finished candidates as files in a folder: safetensors and JSON, never a pickle."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import safetensors.torch

from raygp.errors import TrainingError
from raygp.update.gate import Verdict
from raygp.update.outcome import Outcome
from raygp.update.state import Checkpoint

_TENSORS, _STATE, _OUTCOME = "tensors.safetensors", "state.json", "outcome.json"


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write an update in flight. OSError: the disk is full, or does not let us."""
    (folder / _TENSORS).write_bytes(safetensors.torch.save(checkpoint.tensors))
    (folder / _STATE).write_text(json.dumps(checkpoint.state))


def save_outcome(folder: Path, outcome: Outcome) -> None:
    """Write a finished update. OSError: see :func:`save_checkpoint`."""
    (folder / _TENSORS).write_bytes(safetensors.torch.save(outcome.tensors))
    fields = {**asdict(outcome), "tensors": None}
    (folder / _OUTCOME).write_text(json.dumps(fields))


def load(folder: Path) -> Checkpoint | Outcome:
    """What :func:`save_checkpoint` or :func:`save_outcome` wrote.

    Raises:
        TrainingError: the files are damaged.
    """
    try:
        # Not load_file: its tensors are the file's memory map, and change when the file is written again.
        tensors = safetensors.torch.load((folder / _TENSORS).read_bytes())
        if (folder / _OUTCOME).exists():
            fields = json.loads((folder / _OUTCOME).read_text())
            return Outcome(**{**fields, "tensors": tensors, "verdict": Verdict(**fields["verdict"])})
        return Checkpoint(json.loads((folder / _STATE).read_text()), tensors)
    except Exception as error:
        raise TrainingError(f"checkpoint {folder.name} cannot be read ({error}): delete it and run again") from error
