"""ONNX files in which weights that are mostly zero take little room, and run as fast as if they were stored whole.

Such a weight is stored as its values other than zero, and a bit for each place. Standard operators of opset 18 make the
dense weight of them. They depend on nothing but the file, so that ONNX Runtime carries them out once, when it opens
the file (constant folding, which is on unless it is switched off), and then has the same graph as from a dense file.

ONNX's own ``sparse_initializer`` takes 12 bytes for a value of float32, for its indices are int64: at a density of 0.1
that is 30 % of the dense file; this is 13 %.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from raygp.export.packages import onnx

_WORTHWHILE = 0.75
"""Pack a weight only where it takes less than this part of its room; what is less sparse loads faster as it is."""
_OVERHEAD = 1_500
"""Bytes that nodes and small constants take for one weight."""
OPSET = 18
"""BitwiseAnd is of this opset."""


@dataclass
class _Added:
    """What is added to a graph."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)


def pack_weights(model: Any) -> int:
    """Store weights that are mostly zero by their values and bits, in place.

    Args:
        model: an ``onnx.ModelProto`` of opset 18 or later, all weights inside.

    Returns:
        How many weights (initializers) were packed.
    """
    added, kept, packed = _Added(), [], 0
    for weight in model.graph.initializer:
        values = onnx().numpy_helper.to_array(weight)
        if _pays(values):
            _unpacking(weight.name, values, added)
            packed += 1
        else:
            kept.append(weight)
    if not packed:
        return 0
    added.constants += [
        _constant("raygp.places", np.array([[1, 2, 4, 8, 16, 32, 64, 128]], np.uint8)),
        _constant("raygp.flat", np.array([-1], np.int64)),
        _constant("raygp.first", np.array([0], np.int64)),
        _constant("raygp.axis", np.array(0, np.int64)),
    ]
    nodes = [*added.nodes, *model.graph.node]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend([*kept, *added.constants])
    return packed


def _pays(values: np.ndarray) -> bool:
    if values.dtype not in (np.float32, np.int8):
        return False
    size = np.count_nonzero(values) * values.itemsize + values.size / 8 + _OVERHEAD
    return bool(size < _WORTHWHILE * values.nbytes)


def _unpacking(name: str, values: np.ndarray, added: _Added) -> None:
    """Constants and nodes that give the weight ``name``."""
    make, types = onnx().helper.make_node, onnx().TensorProto
    flat = values.reshape(-1)
    active = flat != 0
    # Bit i % 8 of byte i // 8, as in a version's file (raygp.sparse.bits). Value 0 stands for all dormant connections.
    added.constants += [
        _constant(f"{name}.bits", np.packbits(active, bitorder="little")[:, None]),
        _constant(f"{name}.values", np.concatenate([np.zeros(1, flat.dtype), flat[active]])),
        _constant(f"{name}.size", np.array([flat.size], np.int64)),
        _constant(f"{name}.shape", np.array(values.shape, np.int64)),
    ]
    steps = [
        ("BitwiseAnd", [f"{name}.bits", "raygp.places"], {}),
        ("Cast", None, {"to": types.BOOL}),
        ("Cast", None, {"to": types.INT32}),
        ("Reshape", ["raygp.flat"], {}),
    ]
    last = ""
    for number, (kind, inputs, options) in enumerate(steps):
        output = f"{name}.bit{number}"
        sources = inputs if number == 0 else [last, *(inputs or [])]
        added.nodes.append(make(kind, sources, [output], **options))
        last = output
    # ORT folds nodes whose shapes are known beforehand: those of NonZero and Compress are not.
    added.nodes += [
        make("CumSum", [last, "raygp.axis"], [f"{name}.count"]),
        make("Mul", [f"{name}.count", last], [f"{name}.index"]),
        make("Gather", [f"{name}.values", f"{name}.index"], [f"{name}.padded"], axis=0),
        make("Slice", [f"{name}.padded", "raygp.first", f"{name}.size"], [f"{name}.flat"]),
        make("Reshape", [f"{name}.flat", f"{name}.shape"], [name]),
    ]


def _constant(name: str, value: np.ndarray) -> Any:
    return onnx().numpy_helper.from_array(value, name)
