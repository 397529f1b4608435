"""Features, masks, the model's independence of padding, decoding, error rates."""

import io

import numpy as np
import pytest
import torch

from raygp.errors import InputError
from raygp.sparse import Masks, count_uses, prunable_layers
from raygp.tasks import Padded, make_task
from raygp.tasks.audio import MASK_DRAWS, mask_bands
from raygp.tasks.deepspeech import ctc_losses, greedy

soundfile = pytest.importorskip("soundfile", reason="needs the extra 'speech'")
TASK = make_task({"name": "deepspeech2-small"})


def tone(seconds: float = 0.5, rate: int = 16_000, channels: int = 1, kind: str = "WAV", level: float = 0.5) -> bytes:
    time = np.arange(int(seconds * rate)) / rate
    wave = level * np.sin(2 * np.pi * 440 * time)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([wave] * channels, axis=1), rate, format=kind)
    return buffer.getvalue()


def test_features_have_a_hundred_frames_a_second_whatever_the_file() -> None:
    plain = TASK.decode(tone())
    assert plain.dtype == np.float16 and plain.shape == (51, 40) and np.isfinite(plain).all()
    assert np.abs(plain.astype(np.float32).mean(axis=0)).max() < 0.01
    for other in (tone(rate=8_000), tone(channels=2), tone(kind="FLAC")):
        assert TASK.decode(other).shape == (51, 40)
    assert np.abs(TASK.decode(tone(channels=2)) - plain).max() < 0.05


@pytest.mark.parametrize(
    "sample, reason",
    [
        (b"", "not audio that can be decoded"),
        (b"RIFFnonsense", "not audio that can be decoded"),
        (tone()[:30], "not audio that can be decoded"),
        (tone(seconds=0.01), "160 samples at 16000 Hz are too short"),
        (tone(level=0.0), "it is silent"),
    ],
)
def test_audio_that_is_no_use_is_refused_with_a_reason(sample: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        TASK.check(sample, "a")


def test_a_sample_that_is_not_finite_is_refused() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.array([0.1, np.nan] * 2000), 16_000, format="WAV", subtype="FLOAT")
    with pytest.raises(ValueError, match="not a finite number"):
        TASK.check(buffer.getvalue(), "a")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(InputError, match=r"speech needs soundfile.*raygp\[speech\]"):
        TASK.decode(tone())


def batch(*lengths: int) -> Padded:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(len(lengths), max(lengths), 40, generator=generator)
    for row, length in enumerate(lengths):
        values[row, length:] = 0.0
    return Padded(values, torch.tensor(lengths))


def test_an_utterances_output_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    model = TASK.build_model(5).eval()
    together = model(batch(90, 41, 64))
    assert together.values.shape == (3, 23, 6) and together.lengths.tolist() == [23, 11, 16]
    for row, length in enumerate((90, 41, 64)):
        alone = batch(90, 41, 64)
        single = model(Padded(alone.values[row : row + 1, :length], torch.tensor([length])))
        frames = int(together.lengths[row])
        assert torch.allclose(single.values[0], together.values[row, :frames], atol=1e-5)


def test_statistics_of_norms_ignore_padding() -> None:
    torch.manual_seed(0)
    model = TASK.build_model(5).train()
    short = batch(40, 40)
    padded = Padded(torch.cat([short.values, torch.full((2, 60, 40), 7.0)], dim=1), short.lengths)
    # Padding is zero by contract at the input; behind each convolution the model sees to it by itself.
    padded.values[:, 40:] = 0.0
    first = model(short).values
    state = {key: value.clone() for key, value in model.state_dict().items() if "running" in key}
    torch.manual_seed(0)
    other = TASK.build_model(5).train()
    second = other(padded).values
    assert torch.allclose(first, second[:, : first.shape[1]], atol=1e-4)
    for key, value in state.items():
        assert torch.allclose(value, other.state_dict()[key], atol=1e-5), key


def test_recurrent_weights_are_layers_gate_by_gate_in_both_directions() -> None:
    names = [layer.name for layer in prunable_layers(TASK.build_model(5))]
    for matrix in ("ahead.weight_ih_l0", "ahead.weight_hh_l0", "back.weight_ih_l0", "back.weight_hh_l0"):
        assert [n for n in names if n.startswith(f"recurrent.1.{matrix}[")] == [
            f"recurrent.1.{matrix}[{gate}]" for gate in ("reset", "update", "new")
        ]
    assert not any("norm" in name or "bias" in name for name in names)


def test_flops_count_each_frame_of_a_recurrent_layer_once() -> None:
    model = TASK.build_model(5)
    uses = count_uses(model, batch(80)).uses
    assert uses["convolutions.0.weight"] == 20 * 40
    assert {uses[name] for name in uses if name.startswith("recurrent")} == {20.0}
    assert uses["classifier.weight"] == 20
    assert set(uses) == set(Masks(model).bits)


@pytest.mark.parametrize("name", ["deepspeech2-small", "deepspeech2"])
def test_every_weight_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    model = make_task({"name": name}).build_model(5)
    targets = Padded(torch.tensor([[1, 2, 0], [3, 0, 0]]), torch.tensor([3, 1]))
    TASK.losses(model(TASK.prepare(batch(90, 60), None)), targets).sum().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters())


def path_logits(*symbols: int) -> Padded:
    values = torch.full((1, len(symbols), 4), -20.0)
    values[0, torch.arange(len(symbols)), torch.tensor(symbols)] = 20.0
    return Padded(values, torch.tensor([len(symbols)]))


def test_greedy_merges_repeats_and_drops_blanks() -> None:
    assert greedy(path_logits(0, 1, 1, 0, 1, 3, 3, 0)) == [[0, 0, 2]]
    assert greedy(path_logits(0, 0)) == [[]]


def test_ctc_is_zero_on_the_right_path_and_where_there_is_no_room() -> None:
    right = ctc_losses(path_logits(1, 0, 1, 3), Padded(torch.tensor([[0, 0, 2]]), torch.tensor([3])))
    assert right.tolist() == pytest.approx([0.0], abs=1e-4)
    wrong = ctc_losses(path_logits(1, 0, 1, 3), Padded(torch.tensor([[1, 1, 2]]), torch.tensor([3])))
    assert float(wrong) > 5
    no_room = ctc_losses(path_logits(1, 2), Padded(torch.tensor([[0, 0, 0]]), torch.tensor([3])))
    assert no_room.tolist() == [0.0]


def test_scores_are_words_and_characters_less_their_errors() -> None:
    # "A AB" said as "A BB": one word of two is wrong, one character of four (0 is the space, A is 1, B is 2).
    score = TASK.score(path_logits(2, 1, 3, 0, 3), Padded(torch.tensor([[1, 0, 1, 2]]), torch.tensor([4])))
    assert score.tolist() == [[[1.0, 2.0], [3.0, 4.0]]]
    silence = TASK.score(path_logits(0, 0), Padded(torch.tensor([[1, 0, 1, 2]]), torch.tensor([4])))
    assert silence.tolist() == [[[0.0, 2.0], [0.0, 4.0]]]


def test_masks_hide_bands_of_bounded_size_and_depend_on_their_own_row() -> None:
    lengths = torch.tensor([100, 50])
    features = torch.ones(2, 100, 40)
    draws = torch.rand(2, MASK_DRAWS, generator=torch.Generator().manual_seed(3))
    masked = mask_bands(features, lengths, draws)
    for row, length in enumerate(lengths.tolist()):
        hidden = masked[row, :length] == 0
        assert 0 < int(hidden.all(dim=0).sum()) <= 2 * 9  # Bands of mels, each up to a fifth of 40 and its border.
        assert 0 < int(hidden.all(dim=1).sum()) <= 2 * (length // 10 + 1)
    assert torch.equal(mask_bands(features[1:], lengths[1:], draws[1:]), masked[1:])
    assert torch.equal(mask_bands(features, lengths, draws), masked)
    assert torch.equal(TASK.prepare(Padded(features, lengths), None).values, features)
