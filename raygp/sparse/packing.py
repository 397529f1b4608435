"""Gradient traffic that carries active connections only: a communication hook for DistributedDataParallel."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from raygp.sparse.masks import Masks


@dataclass
class PackedReduction:
    """State of the hook: the masks it packs by, and what it sent.

    The masks must agree on all workers (:func:`raygp.sparse.distributed.verify_masks`) before a step: workers whose
    packed sizes differ abort the process group.
    """

    masks: Masks
    enabled: bool = True
    """False sends every entry (DDP's plain path), with the same result."""

    reduced_bytes: int = 0
    """Bytes that this worker put into gradient reductions so far."""

    def __post_init__(self) -> None:
        self._names = {id(self.masks.parameter(name)): name for name in self.masks.bits}
        self._indices: dict[tuple[int, ...], Tensor] = {}
        self._generation = -1

    def indices(self, parameters: list[Tensor]) -> Tensor:
        """Positions in a bucket's flat buffer of what is sent: active connections and all of unmasked parameters."""
        if self._generation != self.masks.generation:
            self._indices.clear()
            self._generation = self.masks.generation
        key = tuple(id(parameter) for parameter in parameters)
        if key not in self._indices:
            self._indices[key] = torch.cat([self._storage_order(p) for p in parameters]).nonzero().squeeze(1)
        return self._indices[key]

    def _storage_order(self, parameter: Tensor) -> Tensor:
        """The parameter's mask in the order in which the bucket stores its gradient (channels-last included).

        DDP lays a gradient out by its parameter's strides if these are dense, else row by row. The tensors of
        ``bucket.gradients()`` do not tell: they are row-major views of the buffer whatever the order in it.
        """
        stored = torch.empty_like(parameter, dtype=torch.bool, requires_grad=False)
        if stored.stride() != parameter.stride():  # empty_like keeps dense strides, and only these.
            stored = stored.contiguous()
        name = self._names.get(id(parameter))
        if name is None:
            stored.fill_(True)
        else:
            stored.copy_(self.masks.bits[name])
        # The elements in the order of memory, whatever the strides say of dimensions.
        return stored.as_strided((stored.numel(),), (1,))


def packing_hook(
    state: PackedReduction,
    bucket: dist.GradBucket,  # type: ignore[name-defined]  # torch's types lack it, but DDP looks for this annotation.
) -> torch.futures.Future[Tensor]:
    """Average the active entries of a bucket over the workers; dormant entries come out as exactly zero.

    Register with ``ddp.register_comm_hook(state, packing_hook)``; DDP then calls it with its buckets.
    """
    buffer = bucket.buffer()
    if not state.enabled:
        state.reduced_bytes += buffer.numel() * buffer.element_size()
        # Divided before the sum, as DDP does it, so that both paths round alike and half precision does not overflow.
        buffer.div_(dist.get_world_size())
        return _reduced(buffer, lambda reduced: reduced)
    indices = state.indices(bucket.parameters())
    packed = buffer.index_select(0, indices).div_(dist.get_world_size())
    state.reduced_bytes += packed.numel() * packed.element_size()

    def unpack(reduced: Tensor) -> Tensor:
        whole: Tensor = buffer.zero_().index_copy_(0, indices, reduced)
        return whole

    return _reduced(packed, unpack)


def _reduced(values: Tensor, then: Callable[[Tensor], Tensor]) -> torch.futures.Future[Tensor]:
    """The sum of ``values`` over the workers, once it has come in, and what is made of it."""
    sent: torch.futures.Future[list[Tensor]] = dist.all_reduce(values, async_op=True).get_future()
    return sent.then(lambda done: then(done.value()[0]))


def wrap_ddp(
    model: nn.Module, masks: Masks, packed: bool = True, some_unused: bool = False
) -> tuple[DistributedDataParallel, PackedReduction]:
    """DistributedDataParallel around ``model`` with packed gradient traffic.

    Args:
        model: whose gradients are averaged.
        masks: of the model.
        packed: False sends every entry.
        some_unused: some parameters get no gradient in some step (:func:`unused_parameters`). DDP fails at the step
            after that unless it looks for them, which takes time at every step.

    Batch-norm statistics are not broadcast at every step: average them where they are read
    (:func:`raygp.sparse.distributed.average_buffers`).
    """
    ddp = DistributedDataParallel(
        model, broadcast_buffers=False, gradient_as_bucket_view=True, find_unused_parameters=some_unused
    )
    state = PackedReduction(masks, enabled=packed)
    ddp.register_comm_hook(state, packing_hook)
    return ddp, state


def unused_parameters(model: nn.Module, loss: Callable[[], Tensor], seed: int, tries: int = 4) -> set[str]:
    """Names of the parameters that some step gives no gradient on some worker: those of an output that the loss does
    not see, or of layers that are left out at random. The same on every worker.

    Args:
        model: in training mode. Its gradients and buffers are afterwards what they were.
        loss: a loss of the model, computed anew.
        seed: of what is random in it.
        tries: steps.
    """
    kept = {name: buffer.clone() for name, buffer in model.named_buffers()}
    wanted = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    lacking = torch.zeros(len(wanted), dtype=torch.int32, device=next(model.parameters()).device)
    with torch.random.fork_rng([] if lacking.device.type == "cpu" else [lacking.device]):
        for number in range(tries):
            torch.manual_seed(seed + number)
            found = torch.autograd.grad(loss(), list(wanted.values()), allow_unused=True)
            lacking += torch.tensor([gradient is None for gradient in found], device=lacking.device)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            # One that a forward pass made, or made longer, such as a table of positions, is no state of training.
            if name in kept and kept[name].shape == buffer.shape:
                buffer.copy_(kept[name])
    if dist.is_initialized():
        dist.all_reduce(lacking)
    return {name for name, count in zip(wanted, lacking.tolist(), strict=True) if count}
