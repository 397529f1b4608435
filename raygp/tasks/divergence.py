"""How far a model's answers are from a teacher's."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def divergence(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of softened probabilities from a teacher's (Hinton, Vinyals and Dean,
    arXiv 1503.02531).

    Args:
        logits: of the model that learns, ... x classes.
        taught: the teacher's, ... x no more classes: it is compared over those, the first ones.
        temperature: divides the logits of both.

    Returns:
        In nats, without the last axis. Its gradient shrinks by the square of the temperature, which is for the caller
        to make up for.
    """
    known = logits[..., : taught.shape[-1]]
    ours, theirs = (F.log_softmax(values / temperature, dim=-1) for values in (known, taught))
    return F.kl_div(ours, theirs, reduction="none", log_target=True).sum(dim=-1)
