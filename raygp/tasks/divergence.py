"""How far a model's answers are from a teacher's."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def divergence(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of softened probabilities from a teacher's (Hinton, Vinyals and Dean,
    arXiv 1503.02531).

    Args:
        logits: of the model that learns, ... x classes.
        taught: logits of the teacher, ... x classes. The teacher may know fewer classes; only those are compared, which
            are the first ones.
        temperature: divides the logits of both.

    Returns:
        In nats, without the last axis. A temperature of T makes its gradient smaller by T^2; the caller multiplies by
        that.
    """
    known = logits[..., : taught.shape[-1]]
    ours, theirs = (F.log_softmax(values / temperature, dim=-1) for values in (known, taught))
    return F.kl_div(ours, theirs, reduction="none", log_target=True).sum(dim=-1)
