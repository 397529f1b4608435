"""What is asked of an export, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygp.errors import InputError

INT8 = "int8"
"""The one kind of quantization there is."""


@dataclass(frozen=True)
class ExportRequest:
    """How a version is to be exported.

    Raises:
        InputError: the folder is taken, or the options do not go together.
    """

    out: Path
    """The folder to make. It may exist if it is empty."""
    format: str = "onnx"
    """A name in :data:`raygp.export.FORMATS`."""
    quantize: str | None = None
    """``int8``: weights and activations of 8 bits, for ONNX."""
    dense: bool = False
    """ONNX: store every weight, also where most are zero."""
    license: str = "unknown"
    """For the model card's field, as model hubs know it: ``apache-2.0``, say."""

    def __post_init__(self) -> None:
        if self.quantize not in (None, INT8):
            raise InputError(f"unknown quantization '{self.quantize}'; known is {INT8}")
        if self.dense and self.format != "onnx":
            raise InputError(f"--dense goes with --format onnx; {self.format} is dense anyway")
        if not self.license.strip() or "\n" in self.license:
            raise InputError("the licence must be one line, such as apache-2.0")
        if self.out.is_dir():
            if any(self.out.iterdir()):
                raise InputError(f"{self.out} is not empty: give a folder that is empty or does not exist yet")
        elif self.out.exists():
            raise InputError(f"{self.out} is a file: give a folder that is empty or does not exist yet")


@dataclass(frozen=True)
class Exported:
    """An export that was checked and lies in its folder."""

    folder: Path
    version: str
    about: Mapping[str, Any]
    """What ``raygp.json`` says."""

    @property
    def model(self) -> Path:
        """The model's file."""
        return self.folder / str(self.about["model"]["file"])
