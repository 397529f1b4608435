"""ONNX files: what most runtimes read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from raygp.errors import InputError
from raygp.export.onnx_sparse import OPSET, pack_weights
from raygp.export.packages import needed, onnx, onnxruntime
from raygp.export.programs import Runtime
from raygp.export.request import ExportRequest
from raygp.export.tracing import keeping_recurrent_layers, quiet, traced
from raygp.export.whole import Run, Subject

_QUIET = 3
"""Of ONNX Runtime's levels of logging: errors alone."""
_LARGEST = 2**31 - 1
"""Bytes of one protobuf message, which an ONNX file is."""


@dataclass(frozen=True)
class OnnxFormat:
    """``model.onnx``: the whole of the version, for ONNX Runtime and others."""

    file: str = "model.onnx"
    library: str = "onnx"
    quantizes: bool = True

    def require(self) -> None:
        """Raises InputError where a package of the extra ``export`` is missing."""
        for name in ("onnx", "onnxscript", "onnxruntime"):
            needed(name)

    def write(self, subject: Subject, path: Path, request: ExportRequest) -> dict[str, Any]:
        """See :class:`raygp.export.formats.ModelFormat`."""
        model, facts = _graph(subject), {"weights": "dense"}
        dense = model.ByteSize()
        loads = "onnxruntime.InferenceSession"
        if request.quantize:
            from raygp.export.onnx_int8 import quantized

            model, share = quantized(model, subject, path.parent)
            facts["int8"] = f"{share:.1%} of the weights"
        if not request.dense and (packed := pack_weights(model)):
            facts["weights"] = f"sparse: {packed} of them as values other than zero and a bit for each place"
            loads += (
                "; it makes the weights dense when it opens the file (constant folding, on by default), and runs as"
            )
            loads += " from a dense file. Other runtimes need opset 18; --dense writes plain weights"
        elif not request.dense:
            facts["weights"] = "dense: stored as values other than zero and a bit for each place they are not smaller"
        if model.ByteSize() > _LARGEST:
            raise InputError(f"{subject.card.version} is too large for one ONNX file: export it as pt2 or safetensors")
        onnx().save(model, path)
        opset = next(entry.version for entry in model.opset_import if not entry.domain)
        return {"loads": loads, "opset": opset, "bytes_if_dense": dense, **facts}

    def open(self, subject: Subject, path: Path) -> Run:
        """See :class:`raygp.export.formats.ModelFormat`."""
        return run_onnx(path, subject.names[0])

    def runtime(self, subject: Subject) -> Runtime:
        """See :class:`raygp.export.formats.ModelFormat`."""
        lengths = ', "lengths": LENGTHS' if subject.task.sequences else ""
        return Runtime(
            needs=("onnxruntime",),
            imports=("import onnxruntime",),
            load=(
                f'MODEL = onnxruntime.InferenceSession(Path(__file__).with_name("{self.file}"), '
                'providers=["CPUExecutionProvider"])',
            ),
            call=f'MODEL.run(None, {{"inputs": INPUTS{lengths}}})[0]',
        )


def run_onnx(path: Path, names: Sequence[str], threads: int = 0) -> Run:
    """An ONNX file in ONNX Runtime on the CPU.

    Args:
        path: of the file.
        names: of its inputs.
        threads: how many; 0: as many as there are cores.
    """
    options = onnxruntime().SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = _QUIET, threads
    session = onnxruntime().InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda inputs: tuple(session.run(None, dict(zip(names, inputs, strict=True))))


def _graph(subject: Subject) -> Any:
    """The version as an ``onnx.ModelProto``, weights inside and dense."""
    program = traced(subject)
    inputs, outputs = subject.names
    try:
        with quiet(), keeping_recurrent_layers():
            exported = torch.onnx.export(
                program, dynamo=True, input_names=inputs, output_names=outputs, opset_version=OPSET, verbose=False
            )
    except Exception as error:  # So does its exporter.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{subject.card.version} cannot be exported as ONNX: {reason}. --format pt2 may do, or safetensors"
        ) from error
    assert exported is not None
    model = exported.model_proto
    _name_axes(model, subject)
    _forget_where_it_came_from(model)
    return model


def _forget_where_it_came_from(model: Any) -> None:
    """Drop the lines of code that torch notes beside every operator: larger than a small network, and with the paths of
    this machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


def _name_axes(model: Any, subject: Subject) -> None:
    """Call the axes of any size as raygp.json does; torch numbers those whose range it has found out itself."""
    for tensor in model.graph.input:
        for axis, name in subject.dynamic.get(tensor.name, {}).items():
            tensor.type.tensor_type.shape.dim[axis].dim_param = name


ONNX = OnnxFormat()
