"""What each rank of a group runs: every check of several workers in one go, for starting them costs seconds.

Ranks write what they found; the tests read and judge it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from raygp.sparse import (
    GradientSum,
    MaskDisagreement,
    Masks,
    average_buffers,
    grow,
    prune,
    rank,
    reduce_gradient_sum,
    unused_parameters,
    verify_masks,
    world_size,
    wrap_ddp,
)
from tests.ranks import run_group
from tests.sparse.helpers import (
    OPTIMIZERS,
    MakeOptimizer,
    adam,
    conv_net,
    gradient_of,
    nonzero_dormant,
    normal,
    random_masks,
    sgd,
)

EXAMPLES = 47  # Divides by neither 2 nor 3: the shares differ in size.
STEPS = 2


@dataclass
class Growth:
    """What growth found over all workers."""

    digest: str
    weights: list[Tensor]
    grown: dict[str, int]
    sums: dict[str, Tensor]
    examples: int
    sent: int


@dataclass
class Training:
    """What a few steps of DDP ended in."""

    state: dict[str, Tensor]
    sent_by_step: list[int]
    active_by_step: list[int]
    not_zero: list[str]
    """What was not exactly zero at dormant connections after some step."""


@dataclass
class Report:
    rank: int
    world_size: int
    whole_numbers: Growth
    real_numbers: Growth
    verified_bytes: int
    mask_bytes: int
    disagreements: dict[str, str]
    training: dict[str, Training] = field(default_factory=dict)
    unused: dict[str, set[str]] = field(default_factory=dict)
    buffers: dict[str, Tensor] = field(default_factory=dict)
    buffer_bytes: int = 0


def run_ranks(world: int, folder: Path) -> list[Report]:
    """The reports of ``world`` gloo workers, by rank."""
    run_group(_work, world, world, str(folder))
    return [torch.load(folder / f"report-{i}.pt", weights_only=False) for i in range(world)]


def _work(number: int, world: int, folder: str) -> None:
    timeout = timedelta(seconds=60)
    dist.init_process_group("gloo", f"file://{folder}/meet", timeout=timeout, rank=number, world_size=world)
    masks = random_masks(conv_net(), 0.4)
    report = Report(
        rank(),
        world_size(),
        whole_numbers=grow_whole_numbers(number, world),
        real_numbers=grow_real_numbers(number, world),
        verified_bytes=verify_masks(masks),
        mask_bytes=sum(-(-mask.numel() // 8) for mask in masks.bits.values()),
        disagreements={"one layer": _disagree(number, [3, 8, 140]), "one connection": _disagree(number, [0])},
    )
    for name in OPTIMIZERS if world == 2 else ("sgd", "adam"):
        report.training[f"{name} packed"] = train(number, world, OPTIMIZERS[name], packed=True)
    for make in (sgd, adam):
        report.training[f"{make.__name__} plain"] = train(number, world, make, packed=False)
    for density in (0.0, 1.0):
        report.training[f"density {density}"] = train(number, world, sgd, packed=True, density=density, change=False)
    report.training["channels_last packed"] = train(number, world, sgd, packed=True, channels_last=True)
    report.training["channels_last plain"] = train(number, world, sgd, packed=False, channels_last=True)
    report.training["asleep"] = train_asleep(number)
    for case in ("all used", "one unused", "left out at random"):
        report.unused[case], report.training[case] = train_unused(number, case)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(2))
    for i, buffer in enumerate(model.buffers()):
        buffer.copy_(torch.arange(buffer.numel()).view(buffer.shape) * 10 + i + number)
    report.buffer_bytes = average_buffers(model)
    report.buffers = dict(model.named_buffers())
    torch.save(report, f"{folder}/report-{number}.pt")
    dist.barrier()  # No rank hangs up while another is still in a reduction.
    dist.destroy_process_group()


def share(number: int, world: int) -> slice:
    """Which of EXAMPLES examples this rank has."""
    return slice(EXAMPLES * number // world, EXAMPLES * (number + 1) // world)


def grow_whole_numbers(number: int, world: int) -> Growth:
    """Growth over whole-number gradients: any order of summation is exact, and there are many ties and zeros."""
    torch.manual_seed(0)
    masks = random_masks(conv_net(), 0.3)
    generator = torch.Generator().manual_seed(5)
    sums = {
        name: torch.randint(-1, 2, (EXAMPLES, *mask.shape), generator=generator)[share(number, world)].sum(0).float()
        for name, mask in masks.bits.items()
    }
    sums["0.weight"][:, 0] = 0
    return _grow(masks, GradientSum(sums, len(range(EXAMPLES)[share(number, world)])))


def grow_real_numbers(number: int, world: int) -> Growth:
    """Growth over the gradients of a network, in double precision: orders of summation differ, no sums are near."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 3)).double()
    masks = random_masks(model, 0.3)
    inputs = normal(EXAMPLES, 12).double()
    inputs[:, 2:4] = 0  # Inputs that are always dark: their gradients are exactly zero.
    losses = nn.functional.cross_entropy(
        model(inputs[share(number, world)]), torch.arange(EXAMPLES)[share(number, world)] % 3, reduction="none"
    )
    losses.sum().backward()
    sums = {name: masks.parameter(name).grad for name in masks.bits}
    return _grow(masks, GradientSum({n: g for n, g in sums.items() if g is not None}, len(losses)))


def _grow(masks: Masks, local: GradientSum) -> Growth:
    total, sent = reduce_gradient_sum(local)
    grown = grow(masks, total, alpha=0.37, eta=0.5)
    weights = [masks.parameter(name).detach() for name in masks.bits]
    return Growth(masks.digest(), weights, grown, dict(total.sums), total.examples, sent)


def _disagree(number: int, flipped: list[int]) -> str:
    """What verify_masks says when rank 1 has some connections of one layer the other way round."""
    masks = random_masks(conv_net(), 0.4)
    bits = masks.bits["4.weight"].clone()
    if number == 1:
        bits.view(-1)[flipped] ^= True
    masks.set({"4.weight": bits})
    try:
        verify_masks(masks)
    except MaskDisagreement as error:
        return str(error)
    return "nothing found"


def train(
    number: int,
    world: int,
    make_optimizer: MakeOptimizer,
    packed: bool,
    channels_last: bool = False,
    density: float = 0.4,
    change: bool = True,
) -> Training:
    """Steps of DDP with other data on each rank; growth after the first third of them, pruning after the second."""
    torch.manual_seed(0)
    model = conv_net()
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(memory_format=memory_format)  # type: ignore[call-overload]
    masks = random_masks(model, density)
    optimizer = make_optimizer(model)
    ddp, traffic = wrap_ddp(model, masks, packed=packed)
    found = Training({}, [], [], [])
    for step in range(3 * STEPS):
        if change and step == STEPS:
            grow(masks, gradient_of(masks, step), 0.3, 0.1, optimizer)
        if change and step == 2 * STEPS:
            prune(masks, 0.25, "uniform", optimizer)
        sent = traffic.reduced_bytes
        optimizer.zero_grad()
        inputs = normal(6, 2, 5, 5, seed=step * world + number).contiguous(memory_format=memory_format)
        ddp(inputs).square().mean().backward()
        if not packed:
            masks.mask_gradients()
        optimizer.step()
        found.not_zero += nonzero_dormant(masks, optimizer)
        found.sent_by_step.append(traffic.reduced_bytes - sent)
        found.active_by_step.append(masks.active)
    average_buffers(model)
    found.state = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    return found


class Sometimes(nn.Module):
    """Two layers of which the second is not always used, and a norm."""

    def __init__(self, case: str) -> None:
        super().__init__()
        self.case, self.first, self.second, self.norm = case, nn.Linear(3, 3), nn.Linear(3, 3), nn.BatchNorm1d(3)

    def forward(self, values: Tensor) -> Tensor:
        values = self.norm(self.first(values))
        used = {"all used": True, "one unused": False}.get(self.case, bool(torch.rand(()) < 0.5))
        return self.second(values) if used else values


def train_unused(number: int, case: str) -> tuple[set[str], Training]:
    """A model of which some parameters get no gradient, on one rank alone or on all."""
    torch.manual_seed(1)
    model = Sometimes(case)
    masks = random_masks(model, 0.5)
    before, random = dict(model.named_buffers()), torch.random.get_rng_state()
    before = {name: buffer.clone() for name, buffer in before.items()}
    unused = unused_parameters(model, lambda: model(normal(4, 3, seed=number)).square().sum(), seed=7)
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    assert torch.equal(random, torch.random.get_rng_state()) and all(p.grad is None for p in model.parameters())
    ddp, _ = wrap_ddp(model, masks, some_unused=bool(unused))
    optimizer, second = sgd(model), model.second.weight.detach().clone()
    found = Training({}, [], [], [])
    for step in range(8):
        torch.manual_seed(10 * step + number)
        optimizer.zero_grad()
        ddp(normal(4, 3, seed=10 * step + number)).square().sum().backward()
        optimizer.step()
        found.not_zero += nonzero_dormant(masks, optimizer)
    assert torch.equal(model.second.weight, second) == (case == "one unused")
    average_buffers(model)
    found.state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    return unused, found


def train_asleep(number: int) -> Training:
    """A model whose every parameter sleeps: the packed buffer is empty."""
    model = nn.Linear(3, 2, bias=False)
    masks = random_masks(model, 0.0)
    ddp, traffic = wrap_ddp(model, masks)
    optimizer = sgd(model)
    found = Training({}, [], [], [])
    for step in range(2):
        optimizer.zero_grad()
        ddp(normal(4, 3, seed=number)).sum().backward()
        optimizer.step()
        found.not_zero += nonzero_dormant(masks, optimizer)
        found.sent_by_step.append(traffic.reduced_bytes)
        found.active_by_step.append(masks.active)
        assert step == 0 or not model.weight.any()
    return found
