"""ONNX models of 8 bits, by ONNX Runtime's own quantization."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from raygp.errors import InputError
from raygp.export.packages import needed, onnx
from raygp.export.tracing import quiet
from raygp.export.whole import Arrays, Subject

_CALIBRATION_BATCH = 16


def quantized(model: Any, subject: Subject, folder: Path) -> tuple[Any, float]:
    """A model whose weights are of 8 bits, and its activations too.

    Ranges of activations are those of the subject's examples; where samples are sequences, each batch's own. Weights
    are symmetric, so that a dormant connection stays exactly zero.

    Args:
        model: an ``onnx.ModelProto``.
        subject: whose examples calibrate it.
        folder: for files that are gone afterwards.

    Returns:
        The quantized ``onnx.ModelProto``, and the part of the weights' values that are of 8 bits now.

    Raises:
        InputError: no layer can be quantized.
    """
    quantization = needed("onnxruntime.quantization")
    source, result = folder / ".float.onnx", folder / ".int8.onnx"
    try:
        onnx().save(model, source)
        kinds = {"weight_type": quantization.QuantType.QInt8, "per_channel": True, "reduce_range": True}
        # On processors without VNNI, products of 8 x 8 bits overflow 16: weights of 7 bits give the same everywhere.
        with quiet():
            if subject.task.sequences:
                quantization.quantize_dynamic(source, result, op_types_to_quantize=["MatMul", "Gemm"], **kinds)
            else:
                quantization.quantize_static(
                    source,
                    result,
                    _Examples(subject),
                    activation_type=quantization.QuantType.QUInt8,
                    op_types_to_quantize=["Conv", "MatMul", "Gemm"],
                    **kinds,
                )
        made = onnx().load(result)
    finally:
        source.unlink(missing_ok=True)
        result.unlink(missing_ok=True)
    share = _share(made)
    if not share:
        raise InputError(f"{subject.card.version}: none of its layers can be quantized to int8: export it without")
    return made, share


class _Examples:
    """The subject's examples in batches, as calibration reads them."""

    def __init__(self, subject: Subject) -> None:
        self._names, self._batches = subject.names[0], _batches(subject)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The inputs of one batch by name; None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else dict(zip(self._names, batch, strict=True))

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return iter(self.get_next, None)


def _batches(subject: Subject) -> Iterator[Arrays]:
    for start in range(0, len(subject.examples), _CALIBRATION_BATCH):
        yield subject.batch(subject.examples[start : start + _CALIBRATION_BATCH])


def _share(model: Any) -> float:
    """Which part of the values of a model's weights are of 8 bits."""
    sizes = {True: 0, False: 0}
    for weight in model.graph.initializer:
        if weight.data_type in (onnx().TensorProto.INT8, onnx().TensorProto.FLOAT) and len(weight.dims) > 1:
            sizes[weight.data_type == onnx().TensorProto.INT8] += int(np.prod(weight.dims))
    return sizes[True] / max(1, sum(sizes.values()))
