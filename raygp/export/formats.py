"""The formats of exported models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from raygp.registry import Registry

if TYPE_CHECKING:
    from raygp.export.programs import Runtime
    from raygp.export.request import ExportRequest
    from raygp.export.whole import Run, Subject


class ModelFormat(Protocol):
    """One way to write a model into a file, and to run that file."""

    @property
    def file(self) -> str:
        """Name of the file in the exported folder."""
        ...

    @property
    def library(self) -> str:
        """What model hubs call the library that loads it: ``onnx``, ``pytorch``."""
        ...

    @property
    def quantizes(self) -> bool:
        """Whether it knows ``int8``."""
        ...

    def require(self) -> None:
        """Make sure that what writes and runs the format is installed.

        Raises:
            InputError: it is not; the message says what to install.
        """
        ...

    def write(self, subject: Subject, path: Path, request: ExportRequest) -> dict[str, Any]:
        """Write the model.

        Returns:
            What a person has to know of the file, as plain data for ``raygp.json``. ``"loads"`` says how it loads.

        Raises:
            InputError: the model cannot be written in this format.
        """
        ...

    def open(self, subject: Subject, path: Path) -> Run:
        """The written file, ready to run: it is compared with the version."""
        ...

    def runtime(self, subject: Subject) -> Runtime:
        """The part of ``predict.py`` that loads and runs the file."""
        ...


FORMATS: Registry[ModelFormat] = Registry(
    "format",
    "raygp.export_formats",
    {
        "onnx": "raygp.export.onnx_format:ONNX",
        "pt2": "raygp.export.torch_formats:PT2",
        "safetensors": "raygp.export.torch_formats:SAFETENSORS",
        "state-dict": "raygp.export.torch_formats:STATE_DICT",
    },
)
"""All formats by name. To list the names costs nothing; to get an entry loads its code, and torch with it."""
