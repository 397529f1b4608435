"""How far answers are from a teacher's, of images and of utterances."""

import math

import pytest
import torch

from raygp.tasks import Padded, make_task
from raygp.tasks.divergence import divergence

IMAGES = make_task({"name": "lenet-300-100"})
SPEECH = make_task({"name": "deepspeech2-small"})


def test_divergence_by_hand() -> None:
    # Three to one against one to three: 3/4 log 3 - 1/4 log 3.
    ours, theirs = torch.tensor([0.0, math.log(3.0)]), torch.tensor([math.log(3.0), 0.0])
    assert float(divergence(ours, theirs, 1.0)) == pytest.approx(0.5 * math.log(3.0))
    assert float(divergence(theirs, theirs, 1.0)) == 0.0
    # Logits are what the temperature divides.
    assert float(divergence(2 * ours, 2 * theirs, 2.0)) == pytest.approx(0.5 * math.log(3.0))


def test_classes_that_the_teacher_does_not_know_are_left_out() -> None:
    taught = torch.tensor([[1.0, 2.0]])
    outputs = torch.tensor([[3.0, 4.0, 9.0]])  # Alike over the two that are known.
    assert float(IMAGES.divergences(outputs, taught, torch.tensor([2]), 2.0)) == pytest.approx(0.0, abs=1e-6)


def test_images_are_compared_one_by_one() -> None:
    outputs, taught = torch.randn(5, 10), torch.randn(5, 10)
    together = IMAGES.divergences(outputs, taught, torch.zeros(5), 2.0)
    assert together.shape == (5,) and bool((together > 0).all())
    alone = [float(divergence(outputs[i], taught[i], 2.0)) for i in range(5)]
    assert together.tolist() == pytest.approx(alone, rel=1e-5)


def test_utterances_sum_over_their_frames_by_character_and_leave_padding_out() -> None:
    outputs, taught = torch.randn(2, 6, 4), torch.randn(2, 6, 4)
    lengths = torch.tensor([6, 3])
    targets = Padded(torch.zeros(2, 2, dtype=torch.int64), torch.tensor([2, 1]))
    found = SPEECH.divergences(Padded(outputs, lengths), Padded(taught, lengths), targets, 1.0)
    by_frame = divergence(outputs, taught, 1.0)
    assert found.tolist() == pytest.approx([float(by_frame[0].sum()) / 2, float(by_frame[1, :3].sum())], rel=1e-5)
