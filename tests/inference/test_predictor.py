"""A version answers samples as training saw them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import raygp
from raygp.errors import InputError
from raygp.line import Line
from raygp.settings import load_settings
from raygp.tasks.answer import class_answers
from tests.digits import FewDigits

HELD_OUT = list(FewDigits(300, 420).samples())


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A line with one version of 300 digits."""
    line = raygp.open(str(tmp_path_factory.mktemp("answers") / "line"))
    line.ingest(FewDigits(0, 300), task={"name": "lenet-300-100"})
    line.update(load_settings("lenet-300-100", overrides=["synthesis.epochs=6"]))
    return line


def test_it_answers_as_the_version_was_measured(line: Line) -> None:
    assert line.head is not None
    answers = list(line.head.predict(sample.load() for sample in HELD_OUT))
    right = sum(answer.label == sample.label for answer, sample in zip(answers, HELD_OUT, strict=True))
    assert right / len(HELD_OUT) > 0.75
    for answer in answers:
        names, values = zip(*answer.probabilities, strict=True)
        assert sorted(names) == sorted(line.head.classes) and list(values) == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1.0) and answer.label == names[0] and answer.problem == ""


def test_its_model_is_plain_sparse_and_draws_nothing(line: Line) -> None:
    assert line.head is not None
    before = torch.random.get_rng_state()
    model = line.head.model()
    assert torch.equal(torch.random.get_rng_state(), before) and not model.training
    active = sum(int(model.get_parameter(name).count_nonzero()) for name in line.head.card.densities)
    assert active == pytest.approx(line.head.card.active_connections, rel=0.001)


def test_a_sample_that_cannot_be_read_is_named_and_the_rest_is_answered(line: Line) -> None:
    good = HELD_OUT[0].load()
    assert line.head is not None
    first, bad, cut, last = line.head.predict([good, b"no image", good[: len(good) // 2], good])
    assert (bad.label, bad.probabilities) == ("", ()) and bad.problem and cut.problem
    assert first == last and not first.problem


def test_batches_change_nothing(line: Line) -> None:
    assert line.head is not None
    samples = [sample.load() for sample in HELD_OUT[:10]]
    one = [answer.label for answer in line.head.predictor.answers(samples, batch_size=1)]
    assert one == [answer.label for answer in line.head.predictor.answers(samples, batch_size=7)]
    assert list(line.head.predict([])) == []


def test_a_damaged_version_is_said(line: Line) -> None:
    assert line.head is not None
    file = Path(line.location.local_path(f"versions/v0000/{line.head.card.files[0].file}"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"x")
    try:
        with pytest.raises(InputError, match="SHA-256"):
            line.version("v0000").model()
    finally:
        file.write_bytes(whole)


def test_of_equal_probabilities_the_earlier_class_is_first() -> None:
    (answer,) = class_answers(torch.zeros(1, 3), ["b", "a", "c"])
    assert [name for name, _ in answer.probabilities] == ["b", "a", "c"] and answer.label == "b"


def test_encoded_and_decoded_samples_are_answered_in_one_batch(line: Line) -> None:
    assert line.head is not None
    samples = [sample.load() for sample in HELD_OUT[:4]]
    mixed = [samples[0], line.head.task.decode(samples[1]), b"no image", samples[3]]
    found, expected = line.head.predictor.at_once(mixed), list(line.head.predict(samples))
    assert [answer.label for answer in found] == [expected[0].label, expected[1].label, "", expected[3].label]
    assert found[2].problem and line.head.predictor.at_once([]) == []
