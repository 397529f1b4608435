"""Kinds of networks, found by looking at a model, and the plans that suit each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, get_args

from raygp.tasks.kind import PlanFields, PlanRole, Tuning

if TYPE_CHECKING:
    from torch import nn

    from raygp.sparse import Trace

Network = Literal["convolutional", "transformer", "recurrent", "mlp"]
"""transformer: positions attend to each other, whatever else there is. recurrent: has LSTM, GRU or RNN modules.
convolutional: has more convolutions than the one that cuts patches. mlp: none of these."""
NETWORKS: tuple[Network, ...] = get_args(Network)
"""All values of :data:`Network`."""


def network_of(model: nn.Module, trace: Trace) -> Network:
    """Which kind of network a model is.

    Args:
        model: the model.
        trace: of one of its forward passes (:func:`raygp.sparse.trace_forward`).
    """
    from torch import nn

    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        return "recurrent"
    if trace.attends:
        return "transformer"
    return "convolutional" if len(trace.convolutions) > 1 else "mlp"


_ADAMW: PlanFields = {
    "lr": 1e-3,
    # Small batches: raygp's users have hundreds of rows as well as millions, and few rows make few steps.
    "batch_size": 32,
    "clip_norm": 1.0,
    "alpha": 0.1,
    "optimizer": {"name": "adamw", "weight_decay": 0.05},
}
_PLANS: Mapping[str, Mapping[PlanRole, PlanFields]] = {
    "default": {"synthesis": {"epochs": 20}, "update": {"epochs": 8}},
}
TUNINGS: dict[Network, Tuning] = {
    "convolutional": Tuning({**_ADAMW, "lr": 2e-3}, _PLANS),
    "transformer": Tuning(_ADAMW, _PLANS),
    "recurrent": Tuning(_ADAMW, _PLANS),
    "mlp": Tuning(_ADAMW, _PLANS),
}
"""Which plans suit a network that is trained on images, by kind. AdamW throughout: unlike SGD's, its steps are of one
size for layers of very different scales, so that one learning rate serves networks that nobody tuned it for."""
