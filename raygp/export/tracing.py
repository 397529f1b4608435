"""From a module to torch's exported program, with any number of samples in a batch and any length of sequences."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor
from torch._decomp import global_decomposition_table

from raygp.errors import InputError
from raygp.export.whole import Subject

_EXAMPLE_ROWS = 2
"""torch takes a size of 1 for one that is always 1."""


def traced(subject: Subject) -> torch.export.ExportedProgram:
    """The whole of a version as a graph of torch's operators.

    Raises:
        InputError: torch cannot follow the model.
    """
    decoded = [subject.examples[row % len(subject.examples)] for row in range(_EXAMPLE_ROWS)]
    inputs = tuple(torch.from_numpy(array) for array in subject.batch(decoded))
    # Of sequences, torch finds out how short they may be.
    axes: dict[str, Any] = {"batch": torch.export.Dim("batch", min=1), "time": torch.export.Dim.DYNAMIC}
    shapes = {name: {axis: axes[size] for axis, size in shape.items()} for name, shape in subject.dynamic.items()}
    try:
        with quiet(), keeping_recurrent_layers():
            return torch.export.export(subject.module, inputs, dynamic_shapes=shapes)
    except Exception as error:  # torch raises what it likes.
        raise InputError(
            f"{subject.card.version} cannot be exported as a graph, as torch cannot follow the model: "
            f"{_first_line(error)}. --format safetensors needs no graph"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """torch and its exporters warn, log and print of their own insides."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def keeping_recurrent_layers() -> Iterator[None]:
    """While a model is traced, a recurrent layer is one operator whose output shapes are known.

    torch would step through the example's frames to find the shapes out, and so fix the number of frames for good. Its
    own ``torch.export._patches`` does the same as this with a loop, whose guards fix more than the shapes.
    """
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    decompositions = global_decomposition_table["post_autograd"]
    operators = {torch.ops.aten.gru.input: _gru_shapes, torch.ops.aten.lstm.input: _lstm_shapes}
    before = {operator: (operator.py_kernels.get(key), decompositions.get(operator)) for operator in operators}
    for operator, shapes in operators.items():
        _set(operator.py_kernels, key, shapes)
        _set(decompositions, operator, shapes)
        operator._dispatch_cache.clear()
    try:
        yield
    finally:
        for operator, (kernel, decomposition) in before.items():
            _set(operator.py_kernels, key, kernel)
            _set(decompositions, operator, decomposition)
            operator._dispatch_cache.clear()


def _set(table: dict[Any, Any], key: Any, value: Any) -> None:
    """An entry of a table; None: there is none."""
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value


def _output(inputs: Tensor, hidden: Tensor, directions: int) -> Tensor:
    return inputs.new_empty((inputs.shape[0], inputs.shape[1], directions * hidden.shape[-1]))


def _gru_shapes(inputs: Tensor, hidden: Tensor, *options: Any) -> tuple[Tensor, Tensor]:
    return _output(inputs, hidden, 2 if options[5] else 1), torch.empty_like(hidden)


def _lstm_shapes(inputs: Tensor, hidden: Sequence[Tensor], *options: Any) -> tuple[Tensor, Tensor, Tensor]:
    output, cell = hidden
    # A projection makes the output narrower than the cell.
    return _output(inputs, output, 2 if options[5] else 1), torch.empty_like(output), torch.empty_like(cell)
