"""Requests share passes through the model, and one of them does not harm the others."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from raygp.serve.batching import Batcher
from raygp.serve.limits import Limits
from raygp.serve.messages import Refused
from raygp.tasks.answer import Answer


class Model:
    """Answers a sample with itself, once it is let; "bad" makes it raise."""

    def __init__(self) -> None:
        self.version = "v0007"
        self.predictor = SimpleNamespace(classes=["a"])
        self.batches: list[int] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def answers(self, samples: Sequence[bytes]) -> list[Answer]:
        self.batches.append(len(samples))
        self.begun.set()
        assert self.go_on.wait(10)
        if b"bad" in samples:
            raise RuntimeError("too bad")
        return [Answer(sample.decode()) for sample in samples]


def make(model: Any, **limits: int) -> Batcher:
    return Batcher(lambda: model, Limits(**limits))


def hold(model: Model, batcher: Batcher) -> None:
    """Have the model busy with one sample until it is let go on."""
    model.go_on.clear()
    batcher.submit([b"first"])
    assert model.begun.wait(10)


def test_what_waits_together_is_answered_together_in_order_and_undivided() -> None:
    model = Model()
    batcher = make(model, max_batch=5)
    hold(model, batcher)
    asked = [[b"1", b"2"], [b"3", b"4"], [b"5", b"6"], [b"7"]]
    futures = [batcher.submit(samples) for samples in asked]
    assert batcher.waiting == 7
    model.go_on.set()
    for future, samples in zip(futures, asked, strict=True):
        answered = future.result(10)
        assert [answer.label.encode() for answer in answered.answers] == samples
        assert (answered.version, answered.classes) == ("v0007", ["a"])
    assert model.batches == [1, 4, 3] and batcher.waiting == 0
    batcher.close()


def test_a_request_that_makes_the_model_raise_fails_alone() -> None:
    model = Model()
    batcher = make(model)
    hold(model, batcher)
    good, bad, other = (batcher.submit([sample]) for sample in (b"good", b"bad", b"other"))
    model.go_on.set()
    assert good.result(10).answers[0].label == "good" and other.result(10).answers[0].label == "other"
    with pytest.raises(Refused, match="v0007 could not answer: RuntimeError: too bad") as raised:
        bad.result(10)
    assert raised.value.status == 500 and batcher.alive
    batcher.close()


def test_a_full_queue_refuses_and_says_when_to_come_again() -> None:
    model = Model()
    batcher = make(model, max_waiting=3)
    hold(model, batcher)
    waiting = [batcher.submit([b"1", b"2"])]
    with pytest.raises(Refused, match="2 samples wait") as raised:
        batcher.submit([b"3", b"4"])
    assert raised.value.status == 503 and raised.value.headers == {"Retry-After": "1"}
    waiting.append(batcher.submit([b"5"]))
    model.go_on.set()
    assert [len(future.result(10).answers) for future in waiting] == [2, 1]
    batcher.close()


def test_a_request_larger_than_the_queue_is_answered_when_nothing_else_waits() -> None:
    batcher = make(Model(), max_waiting=1)
    assert len(batcher.submit([b"1", b"2", b"3"]).result(10).answers) == 3
    batcher.close()


def test_a_client_that_has_gone_costs_no_pass() -> None:
    model = Model()
    batcher = make(model)
    hold(model, batcher)
    gone, stays = batcher.submit([b"gone"]), batcher.submit([b"stays"])
    assert gone.cancel()
    model.go_on.set()
    assert stays.result(10).answers[0].label == "stays" and model.batches == [1, 1]
    # Where all are gone, the next one is waited for.
    hold(model, batcher)
    assert batcher.submit([b"gone"]).cancel()
    model.go_on.set()
    assert batcher.submit([b"next"]).result(10).answers[0].label == "next"
    batcher.close()


def test_it_answers_what_waits_before_it_ends_and_nothing_after() -> None:
    model = Model()
    batcher = make(model)
    hold(model, batcher)
    last = batcher.submit([b"last"])
    closing = threading.Thread(target=batcher.close)
    closing.start()
    model.go_on.set()
    assert last.result(10).answers[0].label == "last"
    closing.join(10)
    assert not batcher.alive
    with pytest.raises(Refused, match="ends"):
        batcher.submit([b"late"])


def test_without_a_version_it_refuses() -> None:
    batcher = make(None)
    with pytest.raises(Refused, match="no version is loaded"):
        batcher.submit([b"1"]).result(10)
    batcher.close()
