"""Whether a task can be made where workers run: in another process and folder, from what travels there."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

import raygp
from raygp.check.finding import Fault
from raygp.check.subject import Subject, global_seed
from raygp.tasks import make_task
from raygp.tasks.own import TaskCode
from raygp.tasks.own_errors import in_own_code

_LONGEST_S = 300
_SCRIPT = "from raygp.check.travel import arrive; arrive()"
_SEED = 7


def travelling(subject: Subject) -> str:
    """Another process makes the same task and the same model.

    Raises:
        Fault: it does not; the message says what it lacked.
    """
    sent = {
        "spec": subject.spec,
        "code": asdict(subject.code) if subject.code else None,
        "sample": subject.rows[0].sample.hex(),
        "classes": len(subject.classes),
    }
    try:
        text = json.dumps(sent)
    except TypeError as error:
        raise Fault(f"the options of the task are no plain data: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", _SCRIPT],
                input=text, capture_output=True, text=True, cwd=folder, env=_environment(), timeout=_LONGEST_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise Fault(f"another process needed more than {_LONGEST_S} s to build the model") from error
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise Fault(f"a worker's process ended with code {done.returncode}: {(done.stderr.splitlines() or ['?'])[-1]}")
    told = json.loads(lines[-1])
    if problem := told.get("problem"):
        raise Fault(
            f"where workers run, in another folder, this happens: {problem}. Only the file itself travels: put what it "
            "reads into it, or name it by an address that every worker reaches"
        )
    if told["model"] != _digest(_built(make_task(subject.spec, subject.code).build_model, len(subject.classes))):
        raise Fault("another process builds another model from the same seed, so workers would not begin with the same")
    return f"{len(text) / 1024:,.0f} KiB, and another process builds the same model from it"


def arrive() -> None:
    """What the other process does: the task from standard input, what came of it on standard output."""
    sent = json.load(sys.stdin)
    code = TaskCode(**sent["code"]) if sent["code"] else None
    try:
        task = make_task(sent["spec"], code)
        task.decode(bytes.fromhex(sent["sample"]))
        told = {"model": _digest(_built(task.build_model, sent["classes"]))}
    except Exception as error:
        told = {"problem": in_own_code(error) or f"{type(error).__name__}: {error}"}
    print()
    print(json.dumps(told))


def _built(build: object, classes: int) -> nn.Module:
    with global_seed(_SEED):
        assert callable(build)
        model = build(classes)
    assert isinstance(model, nn.Module)
    return model


def _digest(model: nn.Module) -> str:
    found = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _environment() -> dict[str, str]:
    """As a worker's: this raygp, and no module that is found only because of the folder that this process runs in."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    here = str(Path(raygp.__file__).resolve().parents[1])
    kept = [folder for folder in given if os.path.isabs(folder)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([here, *kept])}
