"""Files that torch loads: an exported program, and state dicts."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from raygp import __version__
from raygp.adopt.checkpoint import read_checkpoint
from raygp.export.programs import Runtime
from raygp.export.rebuilding import rebuilding
from raygp.export.request import ExportRequest
from raygp.export.tracing import quiet, traced
from raygp.export.whole import Run, Subject, run_module


@dataclass(frozen=True)
class ExportedProgram:
    """``model.pt2``: the whole of the version as torch.export writes it. No code of the model is needed to run it."""

    file: str = "model.pt2"
    library: str = "pytorch"
    quantizes: bool = False

    def require(self) -> None:
        """torch is always there."""

    def write(self, subject: Subject, path: Path, request: ExportRequest) -> dict[str, Any]:
        """See :class:`raygp.export.formats.ModelFormat`."""
        program = traced(subject)
        content = BytesIO()
        with quiet():
            torch.export.save(program, content)
        # Where the disk is full, torch's own writer ends the process.
        path.write_bytes(content.getbuffer())
        return {"loads": f"torch.export.load('{self.file}').module()", "torch": torch.__version__, "weights": "dense"}

    def open(self, subject: Subject, path: Path) -> Run:
        """See :class:`raygp.export.formats.ModelFormat`."""
        with quiet():
            module = torch.export.load(path).module()
        return lambda inputs: run_module(module, inputs)

    def runtime(self, subject: Subject) -> Runtime:
        """See :class:`raygp.export.formats.ModelFormat`."""
        inputs = "torch.from_numpy(INPUTS)"
        call = f"MODEL({inputs}, torch.from_numpy(LENGTHS))[0]" if subject.task.sequences else f"MODEL({inputs})"
        return Runtime(
            needs=("torch",),
            imports=("import warnings", "import torch"),
            load=(
                'warnings.simplefilter("ignore")  # torch warns of its own insides',
                f'MODEL = torch.export.load(Path(__file__).with_name("{self.file}")).module()',
            ),
            call=f"{call}.detach().numpy()",
        )


@dataclass(frozen=True)
class StateDict:
    """The model's parameters and buffers by name, dense, zero where a connection is dormant: whoever loads them brings
    the code of the model."""

    file: str
    quantizes: bool = False
    library: str = "pytorch"

    def require(self) -> None:
        """torch and safetensors are always there."""

    @property
    def is_safetensors(self) -> bool:
        """Whether the file is of that format; else torch.save writes it."""
        return self.file.endswith(".safetensors")

    def write(self, subject: Subject, path: Path, request: ExportRequest) -> dict[str, Any]:
        """See :class:`raygp.export.formats.ModelFormat`."""
        tensors = {name: value.detach().contiguous().clone() for name, value in subject.model.state_dict().items()}
        if self.is_safetensors:
            metadata = {"format": "pt", "raygp": __version__, "version": subject.card.version}
            path.write_bytes(safetensors.torch.save(tensors, metadata=metadata))
            loads = f"safetensors.torch.load_file('{self.file}')"
        else:
            content = BytesIO()
            torch.save(tensors, content)
            path.write_bytes(content.getbuffer())
            loads = f"torch's load('{self.file}', weights_only=True)"
        return {
            "loads": f"{loads}, a state dict of {rebuilding(subject).what}",
            "torch": torch.__version__,
            "weights": "dense",
        }

    def open(self, subject: Subject, path: Path) -> Run:
        """See :class:`raygp.export.formats.ModelFormat`."""
        with torch.random.fork_rng(devices=[]):
            model = subject.task.build_model(len(subject.card.classes))
        model.load_state_dict(read_checkpoint(path).tensors)
        module = Subject(subject.task, subject.card, model.eval(), subject.examples).module
        return lambda inputs: run_module(module, inputs)

    def runtime(self, subject: Subject) -> Runtime:
        """See :class:`raygp.export.formats.ModelFormat`."""
        made = rebuilding(subject)
        path = f'Path(__file__).with_name("{self.file}")'
        if self.is_safetensors:
            imports = ("from safetensors.torch import load_file",)
            return made.runtime(("safetensors", "torch"), imports, f"load_file({path})")
        return made.runtime(("torch",), ("from torch import load",), f"load({path}, weights_only=True)")


PT2 = ExportedProgram()
SAFETENSORS = StateDict("model.safetensors")
STATE_DICT = StateDict("model.pt")
