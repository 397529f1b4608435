"""What a training worker needs of memory, as far as it can be told from a few rows."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raygp.check.finding import Fault
from raygp.check.subject import Subject, pick
from raygp.settings import load_settings
from raygp.tasks.padded import Padded

_STATES = {"sgd": 1, "adam": 2, "adamw": 2}
"""Tensors of a parameter's size that an optimizer keeps."""
_MIB = float(1 << 20)


def memory(subject: Subject) -> str:
    """An estimate for the default plan.

    Raises:
        Fault: this machine has less.
    """
    settings = load_settings(subject.spec)
    plan = settings.plan
    weights = sum(parameter.numel() * parameter.element_size() for parameter in subject.network.parameters())
    # Weights, gradients, masks as factors, and the gradient sum that growth ranks connections by.
    copies = 4 + _STATES.get(plan.optimizer.name, 2) + (1 if plan.distillation.weight_for(1, 1) > 0 else 0)
    batch = activations_of_a_row(subject) * plan.batch_size
    needed = weights * copies + batch
    row = float(np.mean([array.nbytes for array in subject.decoded]))
    text = (
        f"about {needed / _MIB:,.0f} MiB a worker at batch_size={plan.batch_size} (weights and what goes with them "
        f"{weights * copies / _MIB:,.0f}, layers' outputs {batch / _MIB:,.0f}), and {row / 1024:,.1f} KiB for each "
        f"row, up to resident_mib={settings.resident_mib:,}"
    )
    if needed > (there := machine_bytes()):
        raise Fault(f"{text}: this machine has {there / _MIB:,.0f} MiB. Choose a smaller plan.batch_size or model")
    return text


def activations_of_a_row(subject: Subject) -> float:
    """Bytes of all layers' outputs for one row, and of their gradients."""
    model, total = subject.network.eval(), 0

    def count(module: nn.Module, given: Any, output: Any) -> None:
        nonlocal total
        for value in output if isinstance(output, tuple | list) else (output,):
            tensor = value.values if isinstance(value, Padded) else value
            total += tensor.numel() * tensor.element_size() if isinstance(tensor, Tensor) else 0

    leaves = [module for module in model.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(count) for module in leaves]
    try:
        with torch.no_grad():
            model(pick(subject.prepared, [0]))
    finally:
        for hook in hooks:
            hook.remove()
    return 2.0 * total


def machine_bytes() -> float:
    """Memory of this machine."""
    return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
