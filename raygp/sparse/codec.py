"""The compact form: values of active connections, bit-packed masks, and the rest dense.

One codec for everything that is put aside or stored: versions, checkpoints, the snapshot that recoverable pruning goes
back to. Its size follows active connections: ``4 * active + all / 8`` bytes for float32, plus the dense rest.

Keys: ``value/NAME`` (1-D, active values in row-major order), ``mask/NAME`` (uint8, packed bits), ``dense/NAME`` (what
has no mask: biases, norms, buffers), ``state/NAME/KEY`` (optimizer, packed like values where NAME has a mask).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from raygp.sparse.bits import pack_bits, unpack_bits
from raygp.sparse.masks import Masks


@torch.no_grad()
def pack_model(model: nn.Module, masks: Masks) -> dict[str, Tensor]:
    """The model's compact form: copies, on the CPU.

    Raises:
        ValueError: a dormant connection is not zero, so that packing would lose its value.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if name in masks.bits:
            mask = masks.bits[name]
            lost = int(((tensor != 0) & ~mask).sum())
            if lost:
                raise ValueError(f"{name}: {lost} dormant connections are not zero")
            tensors[f"value/{name}"] = tensor[mask].cpu()
            tensors[f"mask/{name}"] = pack_bits(mask).cpu()
        else:
            tensors[f"dense/{name}"] = tensor.detach().to("cpu", copy=True).contiguous()
    return tensors


@torch.no_grad()
def unpack_model(tensors: Mapping[str, Tensor], model: nn.Module, masks: Masks) -> None:
    """Fill ``model`` and ``masks`` from the compact form, in place.

    Raises:
        ValueError: the form belongs to another model: names or sizes differ (they are named). Nothing has changed.
    """
    state = model.state_dict()
    wanted = {f"value/{n}" if n in masks.bits else f"dense/{n}" for n in state} | {f"mask/{n}" for n in masks.bits}
    stored = {key for key in tensors if not key.startswith("state/")}
    if wanted != stored:
        raise ValueError(f"tensors do not fit the model: {', '.join(sorted(wanted ^ stored)[:5])}")
    # Everything is checked before anything is filled: a form that is refused leaves model and masks as they were.
    bits: dict[str, Tensor] = {}
    for name, mask in masks.bits.items():
        try:
            bits[name] = unpack_bits(tensors[f"mask/{name}"].to(mask.device), mask.shape)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    for name, target in state.items():
        if name in bits:
            values, active = tensors[f"value/{name}"].numel(), int(bits[name].sum())
            if values != active:
                raise ValueError(f"{name}: {values} values for {active} active connections")
        elif tensors[f"dense/{name}"].shape != target.shape:
            stored_shape = tuple(tensors[f"dense/{name}"].shape)
            raise ValueError(f"{name}: stored as {stored_shape}, the model has {tuple(target.shape)}")
    for name, target in state.items():
        if name in bits:
            # What is dormant is exactly zero: the model may hold other values from its initialisation.
            target.zero_()
            target[bits[name]] = tensors[f"value/{name}"].to(target.device, target.dtype)
        else:
            target.copy_(tensors[f"dense/{name}"])
    masks.set(bits)


@torch.no_grad()
def pack_optimizer(optimizer: Optimizer, model: nn.Module, masks: Masks) -> dict[str, Tensor]:
    """The optimizer's tensors in compact form (copies, on the CPU): entries of dormant connections are not stored."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if not isinstance(value, Tensor):
                continue
            if name in masks.bits and value.shape == parameter.shape:
                value = value[masks.bits[name]]
            tensors[f"state/{name}/{key}"] = value.detach().to("cpu", copy=True).contiguous()
    return tensors


@torch.no_grad()
def unpack_optimizer(tensors: Mapping[str, Tensor], optimizer: Optimizer, model: nn.Module, masks: Masks) -> None:
    """Give ``optimizer`` the state that :func:`pack_optimizer` stored. ``masks`` are those of that moment."""
    optimizer.state.clear()
    parameters = dict(model.named_parameters())
    for path, value in tensors.items():
        if not path.startswith("state/"):
            continue
        name, key = path.removeprefix("state/").rsplit("/", 1)
        parameter = parameters[name]
        # What was packed has one value for each active connection.
        if name in masks.bits and value.dim() == 1 and key != "step":
            whole = torch.zeros_like(parameter)
            whole[masks.bits[name]] = value.to(whole.device, whole.dtype)
            value = whole
        elif key != "step":
            # Adam keeps its step counters on the CPU whatever the parameter's device.
            value = value.to(parameter.device)
        optimizer.state[parameter][key] = value.clone()
