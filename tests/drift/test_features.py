"""Features and outputs of a model's last layer as one vector each row, for every kind of task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from raygp.data.catalog import ShardRef
from raygp.drift.features import MOST, FeatureWatch, outputs_by_row
from raygp.drift.looking import _BYTES, _SHARDS, Arrivals, drawn_rows, look
from raygp.line import Line
from raygp.store import ShardInfo
from raygp.tasks import make_task
from raygp.tasks.padded import Padded
from tests.line.fakes import FakeRunner


def watched(model: nn.Module, layer: str, inputs: Any) -> np.ndarray | None:
    with FeatureWatch(model, layer) as watch, torch.inference_mode():
        outputs = model(inputs)
        found = watch.by_row(len(outputs.values if isinstance(outputs, Padded) else outputs), outputs)
    assert not any(module._forward_pre_hooks for module in model.modules()), "the model is left as it was"
    return found


def test_the_input_of_a_linear_layer_is_taken_as_it_is() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    inputs = torch.randn(4, 3)
    found = watched(model, "2", inputs)
    assert found is not None and found == pytest.approx(model[:2](inputs).detach().numpy())


def test_positions_are_averaged_channels_of_a_convolution_are_not() -> None:
    convolution = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Conv2d(6, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.randn(3, 1, 8, 8)
    found = watched(convolution, "1", images)
    assert found is not None and found == pytest.approx(convolution[0](images).mean((2, 3)).detach().numpy(), abs=1e-6)
    tokens = nn.Sequential(nn.Linear(4, 7), nn.Flatten(1, 1))
    found = watched(tokens, "0", torch.arange(24.0).reshape(2, 3, 4))
    assert found is not None and found.tolist() == [[4, 5, 6, 7], [16, 17, 18, 19]]


class Sequences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(2, 3)

    def forward(self, inputs: Padded) -> Padded:
        return Padded(self.classifier(inputs.values), inputs.lengths)


def test_padding_counts_neither_in_features_nor_in_outputs() -> None:
    values = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [100.0, 100.0]]])
    inputs = Padded(values, torch.tensor([2, 1]))
    model = Sequences()
    found = watched(model, "classifier", inputs)
    assert found is not None and found.tolist() == [[2.0, 3.0], [5.0, 6.0]]
    task = make_task({"name": "deepspeech2-small"})
    outputs = model(inputs)
    shares = outputs_by_row(task, outputs, ["a", "b"])
    assert shares[1] == pytest.approx(outputs.values[1, 0].softmax(0).detach().numpy())


def test_what_cannot_be_told_by_row_is_left_out() -> None:
    model = nn.Sequential(nn.Flatten(0), nn.Linear(12, 4), nn.Unflatten(0, (4, 1)))
    assert watched(model, "1", torch.randn(4, 3)) is None, "its rows are not the batch's"
    assert watched(model, "there is none", torch.randn(4, 3)) is None


def test_of_a_wide_layer_some_features_are_looked_at() -> None:
    found = watched(nn.Sequential(nn.Linear(1000, 2)), "0", torch.arange(1000.0)[None])
    assert found is not None and found.shape == (1, MOST) and found[0, [0, -1]].tolist() == [0.0, 999.0]


def test_probabilities_stand_in_the_order_of_ids_and_numbers_are_one_column() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    found = outputs_by_row(make_task({"name": "lenet-300-100"}), logits, ["x", "b", "a"])
    assert found == pytest.approx(logits.softmax(1).numpy(), abs=1e-6)


def test_rows_are_drawn_evenly_from_few_shards() -> None:
    def shard(rows: int, size: int = 1) -> ShardRef:
        info = ShardInfo(file="a.parquet", bytes=size, sha256="0" * 64, split="train", rows=rows)
        return ShardRef("a", info, 0)

    draws = np.random.default_rng(0)
    found = drawn_rows([shard(900), shard(100)], 200, draws)
    counts = [len(rows) for _, rows in found]
    assert sum(counts) == 200 and 160 < counts[0] < 195
    assert all(len(set(rows.tolist())) == len(rows) for _, rows in found)
    assert all(rows.max() < ref.shard.rows for ref, rows in found)
    assert len(drawn_rows([shard(10)] * 50, 500, draws)) == _SHARDS
    assert len(drawn_rows([shard(10, _BYTES)] * 5, 500, draws)) == 1, "the first is read however large it is"
    assert drawn_rows([], 5, draws) == [] and len(drawn_rows([shard(3)], 5, draws)[0][1]) == 3


@pytest.mark.parametrize(("task", "target"), [("tabular", "kind"), ("tabular-regression", "price")])
def test_rows_of_tables_are_compared_too(task: str, target: str, tmp_path: Path) -> None:
    def write(name: str, shift: float, seed: int) -> str:
        draws = np.random.default_rng(seed)
        rows = draws.normal(size=(250, 2)) + shift
        numbers = task == "tabular-regression"
        labels = [f"{one * 3:.3f}" if numbers else "ab"[int(one > shift)] for one in rows[:, 0]]
        lines = [f"{one:.4f},{two:.4f},{label}" for (one, two), label in zip(rows.tolist(), labels, strict=True)]
        (tmp_path / name).write_text("\n".join([f"length,width,{target}", *lines]) + "\n")
        return f"table:{tmp_path / name}"

    line = Line(str(tmp_path / "line"))
    line.ingest(write("a.csv", 0.0, 1), task={"name": task, "label": target})
    line.update(runner=FakeRunner())
    line.ingest(write("b.csv", 2.0, 2))
    [seen, new], head = line.arrivals(), line.head
    assert head is not None
    before = torch.get_rng_state()
    found = look(line.location, line.make_task(), head.card, Arrivals([seen], [new], head.classes), 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.features is not None and found.features.level == "large" and found.outputs is not None
    assert found.labels is not None and found.labels.level == ("none" if task == "tabular" else "large")
    assert found.outputs.tested == (2 if task == "tabular" else 1)
    # The network has learnt nothing, but it is the same one for both.
    again = look(line.location, line.make_task(), head.card, Arrivals([seen], [new], head.classes), 0)
    assert again.parts == found.parts
