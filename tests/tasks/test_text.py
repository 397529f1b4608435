"""Text classification: tokenizers in specs, ids, the transformer."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import raygp
from raygp.data.ingest import IngestSettings, ingest
from raygp.errors import InputError
from raygp.sparse.layers import prunable_layers
from raygp.store import Location, open_line
from raygp.tasks import make_task
from raygp.tasks.text import TextTask, fit_tokenizer
from tests.data.test_texts import opened

pytest.importorskip("tokenizers")

WORDS = {
    "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "cat": 1, "dog": 2}, "unk_token": "[UNK]"},
    "pre_tokenizer": {"type": "Whitespace"},
}
SMALL = {"name": "text", "length": 8, "width": 16, "heads": 2, "depth": 1}


def task(**fields: Any) -> TextTask:
    made = make_task({**SMALL, "tokenizer": WORDS, **fields})
    assert isinstance(made, TextTask)
    return made


def refusal(**fields: Any) -> str:
    with pytest.raises(InputError) as caught:
        task(**fields)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    return str(caught.value)


def test_a_tokenizer_file_becomes_part_of_the_spec(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(WORDS, indent=4))
    spec = task(tokenizer=str(file)).spec
    file.unlink()
    assert spec == task().spec and json.loads(spec.tokenizer) == WORDS
    again = make_task(json.loads(json.dumps(spec.model_dump(mode="json"))))
    assert again.spec == spec and pickle.loads(pickle.dumps(again)) == again
    assert refusal(tokenizer=spec.tokenizer.replace("cat", "cow"), tokenizer_sha256=spec.tokenizer_sha256) == (
        "task text: the tokenizer is not the one that its SHA-256 tells of: it was changed or is damaged"
    )


def test_tokenizers_that_cannot_be_used_are_told_without_their_content(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    assert refusal(tokenizer=str(file)) == (
        f"task text: the tokenizer file {file} cannot be read: No such file or directory"
    )
    file.write_text("no")
    assert f"the tokenizer file {file} is not JSON" in refusal(tokenizer=str(file))
    file.write_text('{"a": 1}')
    assert f"the tokenizer file {file} is no tokenizer" in refusal(tokenizer=str(file))
    assert "the tokenizer cannot be used: " in refusal(tokenizer={"model": {"type": "Strange"}})
    vocabulary = {f"word number {i}": i for i in range(60_000)}
    big = {"model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "word number 0"}}
    assert "takes 1.5 MB as JSON, and the most is 1.0 MB: use one of fewer tokens" in refusal(tokenizer=big)
    assert refusal(width=16, heads=3) == "task text: width (16) must be a multiple of heads (3)"


def test_texts_become_ids_of_one_length_and_what_is_cut_is_told() -> None:
    found = task().decode(b"\xef\xbb\xbf cat dog\r\nwhat ")
    assert found.dtype == np.int64 and found.tolist() == [2, 3, 1, 0, 0, 0, 0, 0]
    assert task().check(b"cat dog", "x") is None
    assert task().check(b"cat " * 9, "x") == "it has 9 tokens, and the model sees the first 8"
    assert task().decode(b"dog " * 900).tolist() == [3] * 8
    for sample, message in (
        (b"", "there is no text in it"), (b" \n\t", "there is no text in it"), (b"a\0b", "it holds a NUL character"),
        (b"caf\xe9", "it is not UTF-8 \\(byte 3\\)"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            task().decode(sample)


def test_composed_letters_are_the_same_as_others() -> None:
    made = task(tokenizer={**WORDS, "model": {**WORDS["model"], "vocab": {"[UNK]": 0, "é": 1}}})
    assert made.decode("e\u0301".encode()).tolist() == made.decode("é".encode()).tolist() == [2] + [0] * 7


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    model = task().build_model(3).eval()
    ids = torch.tensor([[2, 3, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1, 3]])
    both = model(ids)
    assert torch.allclose(model(ids[:1]), both[:1], atol=1e-6)
    assert torch.allclose(model(ids[:1, :3]), both[:1], atol=1e-6), "places without a token are not looked at"
    assert torch.allclose(model.train()(ids[:1]), both[:1], atol=1e-6), "the end is cut off in training"
    assert not torch.allclose(model.eval()(ids[:1].flip(1)), both[:1], atol=1e-3)
    assert model(torch.zeros(1, 8, dtype=torch.int64)).isfinite().all()


def test_tokens_are_hidden_while_it_trains_but_never_the_first() -> None:
    made, ids = task(token_drop=0.5), torch.full((200, 8), 3)
    assert torch.equal(made.prepare(ids, None), ids)
    hidden = made.prepare(ids, torch.rand(200, made.draws, generator=torch.Generator().manual_seed(0))) == 0
    assert not hidden[:, 0].any() and 0.4 < hidden[:, 1:].float().mean() < 0.6
    assert task(token_drop=0.0).draws == 0


def test_attention_and_mlp_are_prunable_and_every_parameter_learns() -> None:
    made = task()
    model = made.build_model(3)
    names = ["query", "key", "value", "mix", "up", "down"]
    assert [layer.name for layer in prunable_layers(model)] == [
        *(f"blocks.0.{name}.weight" for name in names), "classifier.weight",
    ]  # fmt: skip
    ids = torch.tensor([[2, 3, 1, 2, 3, 1, 2, 1], [3, 2, 1, 3, 2, 1, 3, 1]])
    made.losses(model(ids), torch.tensor([0, 1])).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def test_a_tokenizer_is_made_from_texts_and_the_same_ones_give_the_same() -> None:
    samples = [(f"the cat sat on mat {i}, größe {i % 7}".encode(), "x") for i in range(200)] + [(b"\xff", "x")]
    unfitted = make_task(SMALL)
    with pytest.raises(InputError, match="the task has no tokenizer yet"):
        unfitted.decode(b"cat")
    spec = fit_tokenizer(unfitted.spec, samples)
    assert spec == fit_tokenizer(unfitted.spec, iter(samples)) == fit_tokenizer(spec, [])
    made = TextTask(spec)
    assert 256 < made.tokens.size <= 2000
    assert (made.decode("日本 🙂".encode()) > 0).sum() == 8, "every text can be told"
    assert len(made.tokens.ids("the cat")) < 4
    with pytest.raises(InputError, match="no training text can be read"):
        fit_tokenizer(unfitted.spec, [(b"\xff", "x")])


def table(folder: Path, name: str, rows: int) -> Path:
    file = folder / name
    kinds = ("dogs bark", "dog"), ("cats purr", "cat")
    lines = [f"{kinds[i % 2][0]} at number {name} {i},{kinds[i % 2][1]}\n" for i in range(rows)]
    file.write_text("text,label\n" + "".join(lines))
    return file


def test_a_line_keeps_the_tokenizer_of_its_first_arrival(tmp_path: Path) -> None:
    location = Location(f"{tmp_path}/line")
    ingest(location, SMALL, opened(table(tmp_path, "a.csv", 60)))
    kept = open_line(location).task
    assert kept["tokenizer"] and len(kept["tokenizer_sha256"]) == 64
    ingest(location, SMALL, opened(table(tmp_path, "b.csv", 60)), IngestSettings(["second"]))
    assert open_line(location).task == kept
    with pytest.raises(InputError) as caught:
        ingest(location, {**SMALL, "tokenizer": WORDS}, opened(table(tmp_path, "c.csv", 60)), IngestSettings(["third"]))
    assert "a model line for another task (tokenizer: '{" in str(caught.value) and len(str(caught.value)) < 700


def test_a_line_of_texts_learns_and_answers(tmp_path: Path) -> None:
    line = raygp.open(f"{tmp_path}/line")
    line.ingest(f"texts:{table(tmp_path, 'a.csv', 120)}", task=SMALL)
    (version,) = line.update(line.settings(None, "synthesis.epochs=3", "synthesis.lr=0.02"))
    assert version.metrics["val"] == 1.0
    found = list(version.predict([b"the dogs bark", b"", b"cats purr"]))
    assert [answer.label for answer in found] == ["dog", "", "cat"]
    assert found[1].problem == "there is no text in it"
