"""Checkpoints and finished candidates as files: safetensors and JSON, never a pickle.

Each lies in a folder of its own, ``checkpoint_<time>`` below the folder of the update. Whoever carries an update out
(Ray Train, or the loop in this process) writes the same files, so that each can go on from what the other left.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch

from raygp.errors import InputError, RaygpError, TrainingError
from raygp.record import UpdateRecord, with_comparisons
from raygp.store import Location
from raygp.update.gate import Verdict
from raygp.update.outcome import Outcome
from raygp.update.probe import Probe
from raygp.update.state import Checkpoint, UpdateState

FORMAT = 4
"""Of state.json and outcome.json. Format 1, of raygp 0.1.0, had no number, and the figures of the record stood beside
the rest. Up to format 2 an outcome had the accuracy by arrival without the parent's, and none by class. Up to format 3
nothing was said of answers among known classes."""
PREFIX = "checkpoint_"
"""What the name of a checkpoint's folder begins with."""
_TENSORS, _STATE, _OUTCOME = "tensors.safetensors", "state.json", "outcome.json"


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write an update in flight into a folder of this machine. OSError: the disk is full, or does not let us."""
    (folder / _TENSORS).write_bytes(safetensors.torch.save(checkpoint.tensors))
    (folder / _STATE).write_text(json.dumps({"format": FORMAT, **checkpoint.state.to_dict()}))


def save_outcome(folder: Path, outcome: Outcome) -> None:
    """Write a finished update. OSError: see :func:`save_checkpoint`."""
    (folder / _TENSORS).write_bytes(safetensors.torch.save(outcome.tensors))
    probe = vars(outcome.probe) if outcome.probe else None
    fields = {"verdict": vars(outcome.verdict), "record": outcome.record.model_dump(mode="json"), "probe": probe}
    (folder / _OUTCOME).write_text(json.dumps({"format": FORMAT, **fields}))


def load(folder: Path) -> Checkpoint | Outcome:
    """What :func:`save_checkpoint` or :func:`save_outcome` wrote into a folder of this machine.

    Raises:
        TrainingError: the files are damaged.
        InputError: a newer raygp wrote them.
    """
    return _decode(folder.name, {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()})


def store_checkpoint_files(location: Location, folder: str, save: Callable[[Path], None]) -> None:
    """Write a checkpoint's files into storage.

    Args:
        location: root of the line.
        folder: of the checkpoint, relative to the root.
        save: writes the files into a folder of this machine.

    Raises:
        RaygpError: storage or the temporary folder cannot take it (full, denied, out of reach); nothing of it is left.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="raygp-") as scratch:
            save(Path(scratch))
            for file in sorted(Path(scratch).iterdir()):
                location.write_bytes(f"{folder}/{file.name}", file.read_bytes())
    except OSError as error:
        raise RaygpError(f"{tempfile.gettempdir()}: {error.strerror or error}") from error
    except RaygpError:
        # What failed the writing may fail this too; half a checkpoint is never gone on from.
        with contextlib.suppress(RaygpError):
            location.delete(folder, recursive=True)
        raise


def read_checkpoint(location: Location, folder: str) -> Checkpoint | Outcome:
    """What lies in a checkpoint's folder, relative to the root. Raises as :func:`load` does, and as storage does."""
    name = folder.rsplit("/", 1)[-1]
    return _decode(name, {file: location.read_bytes(f"{folder}/{file}") for file in location.list(folder)})


def checkpoint_names(location: Location, run: str) -> list[str]:
    """The checkpoints in the folder ``run``, oldest first; those whose writing was cut off are among them."""
    return [name for name in location.list(run) if name.startswith(PREFIX) and not name.endswith(".json")]


def youngest_checkpoint(location: Location, run: str) -> tuple[str | None, Checkpoint | Outcome | None]:
    """Name and content of the youngest checkpoint in the folder ``run`` that is whole; None twice if there is none.

    Raises:
        InputError: a newer raygp wrote it.
    """
    for name in reversed(checkpoint_names(location, run)):
        try:
            return name, read_checkpoint(location, f"{run}/{name}")
        except TrainingError:
            continue  # Writing it was cut off: the one before counts.
    return None, None


def _decode(name: str, files: Mapping[str, bytes]) -> Checkpoint | Outcome:
    try:
        # Not load_file: its tensors are the file's memory map, and change when the file is written again.
        tensors = safetensors.torch.load(files[_TENSORS])
        fields = json.loads(files[_OUTCOME] if _OUTCOME in files else files[_STATE])
        _refuse_newer(name, fields)
        if _OUTCOME in files:
            fields = _outcome_of_format_1(fields) if "format" not in fields else fields
            record = UpdateRecord.model_validate(with_comparisons(fields["record"]))
            return Outcome(Verdict(**fields["verdict"]), record, tensors, _probe(fields.get("probe")))
        fields = _state_of_format_1(fields) if "format" not in fields else fields
        return Checkpoint(UpdateState.from_dict(fields), tensors)
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise TrainingError(f"checkpoint {name} cannot be read ({reason}): delete it and run again") from error


def _probe(fields: Mapping[str, Any] | None) -> Probe | None:
    return Probe(*(tuple(fields[name]) for name in ("rows", "points", "losses"))) if fields else None


def _refuse_newer(name: str, fields: Mapping[str, Any]) -> None:
    number = fields.get("format", 1)
    if isinstance(number, int) and number > FORMAT:
        raise InputError(
            f"checkpoint {name} has format {number}, this raygp reads formats up to {FORMAT}: upgrade raygp"
        )


def _state_of_format_1(fields: Mapping[str, Any]) -> dict[str, Any]:
    record = {key: fields[key] for key in ("ledger", "val_accuracy", "mask_digest")}
    return {"cursor": fields["cursor"], "record": {"phases": fields["records"], **record}}


def _outcome_of_format_1(fields: Mapping[str, Any]) -> dict[str, Any]:
    beside = ("verdict", "tensors")
    return {"verdict": fields["verdict"], "record": {key: fields[key] for key in fields if key not in beside}}
