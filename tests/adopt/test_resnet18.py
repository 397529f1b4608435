"""torchvision's ResNet-18 from somebody's trainer: the same model before it is pruned, bit for bit, and the example."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet18

import raygp
from raygp.data.sources import open_source
from raygp.line import Line
from tests.checkout import PROJECT

SIZE = 16


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty of scikit-learn's digits as files, in folders by class: 0, 1 and 2."""
    folder = tmp_path_factory.mktemp("resnet") / "photos"
    wanted = [sample for sample in open_source("digits", image_size=SIZE).samples() if str(sample.label) in "012"]
    for number, sample in enumerate(wanted[:40]):
        (folder / str(sample.label)).mkdir(parents=True, exist_ok=True)
        (folder / str(sample.label) / f"{number}.png").write_bytes(sample.load())
    return folder


@pytest.fixture(scope="module")
def theirs(photos: Path) -> nn.Module:
    """A ResNet-18 after a few steps of a training loop that knows nothing of raygp."""
    torch.manual_seed(4)
    model = resnet18(num_classes=3)
    files = sorted(photos.rglob("*.png"))
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    targets = torch.tensor([int(file.parent.name) for file in files])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for step in range(2):
        rows = torch.arange(step, len(files), 2)
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(model(inputs[rows]), targets[rows]))
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def checkpoint(theirs: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a trainer with distributed data and torch.compile would write it."""
    path = tmp_path_factory.mktemp("theirs") / "checkpoint.pth"
    state = {f"module._orig_mod.{name}": tensor for name, tensor in theirs.state_dict().items()}
    torch.save({"epoch": 1, "state_dict": state, "class_to_idx": {"0": 0, "1": 1, "2": 2}, "best_acc1": 0.5}, path)
    return path


def test_the_same_logits_before_pruning_bit_for_bit_then_a_tenth_of_it(
    photos: Path, theirs: nn.Module, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = runpy.run_path(str(PROJECT / "examples" / "adopt_resnet18.py"))
    root = str(tmp_path / "line")
    example["main"](
        [str(checkpoint), f"imagefolder:{photos}", "--root", root, "--image-size", str(SIZE), "plan.epochs=1",
         "gate_tolerance=1.0", "plan.batch_size=16"]
    )  # fmt: skip
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "adopted v0000 new: []" and out[1].startswith("epoch 1/1: density 0.1")
    line: Line = raygp.open(root)
    dense, sparse = line.versions()
    assert (dense.card.density, round(sparse.card.density, 2)) == (1.0, 0.1)
    assert sparse.card.parent == "v0000" and line.head is not None and line.head.name == "v0001"
    assert dense.card.origin is not None and dense.card.origin.loaded == len(theirs.state_dict())
    ours, generator = dense.model(), torch.Generator().manual_seed(0)
    for batch, side in ((1, SIZE), (5, 48)):
        images = torch.rand(batch, 3, side, side, generator=generator)
        with torch.inference_mode():
            assert torch.equal(ours(images), theirs(images))
    # And with the samples as the line reads them.
    samples = [file.read_bytes() for file in sorted(photos.rglob("*.png"))[:7]]
    task = dense.task
    inputs = task.prepare(torch.from_numpy(np.stack([task.decode(sample) for sample in samples])), None)
    with torch.inference_mode():
        expected = theirs(inputs).argmax(dim=1).tolist()
    assert [answer.label for answer in dense.predict(samples)] == [str(number) for number in expected]
