"""A follower keeps the version that answers at the head, whatever happens to the line."""

from __future__ import annotations

import gc
import math
import threading
import time
import weakref
from functools import partial

import pytest
import torch

from raygp.errors import RaygpError
from raygp.line import Line
from raygp.serve import follower as following
from raygp.serve.batching import Batcher
from raygp.serve.follower import Follower
from raygp.serve.limits import Limits
from raygp.serve.probe import find_probe
from raygp.serve.served import Served, load_served
from raygp.store import Card
from tests.serve.conftest import HELD_OUT, promote_child


def follow(line: Line, pinned: str | None = None, poll_s: float = 0.05) -> Follower:
    """A follower that looks when it is told to."""
    return Follower(line.location, partial(load_served, line.location), pinned, poll_s)


def test_it_goes_forward_and_back_with_the_head(line: Line) -> None:
    follower = follow(line)
    follower.look()
    assert follower.standing.version == "v0000" and follower.standing.probed == 32
    first = follower.current
    follower.look()
    assert follower.current is first
    promote_child(line.location)
    follower.look()
    assert (follower.standing.version, follower.standing.switches) == ("v0001", 1)
    line.roll_back("v0000")
    follower.look()
    assert (follower.standing.version, follower.standing.switches) == ("v0000", 2)
    # The line goes on under a number of its own.
    promote_child(line.location)
    follower.look()
    assert follower.standing.version == "v0002"


def test_a_pinned_version_stays(line: Line) -> None:
    promote_child(line.location)
    follower = follow(line, pinned="v0000")
    follower.look()
    promote_child(line.location)
    follower.look()
    assert (follower.standing.version, follower.standing.switches) == ("v0000", 0)


def all_wrong(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What was the most probable class is the least probable one."""
    return {name: -value if "classifier." in name and value.is_floating_point() else value
            for name, value in tensors.items()}  # fmt: skip


def not_finite(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.full_like(v, math.nan) if v.is_floating_point() else v for name, v in tensors.items()}


def test_a_version_that_cannot_be_read_is_told_and_the_old_one_goes_on(line: Line) -> None:
    follower = follow(line)
    follower.look()
    before = follower.current
    promote_child(line.location, damage=True)
    follower.look()
    standing = follower.standing
    assert follower.current is before and standing.version == "v0000"
    assert standing.failed == "v0001" and "SHA-256" in standing.problem and standing.failures == 1
    follower.look()  # At once: it waits before it tries again.
    assert follower.standing.failures == 1
    time.sleep(0.06)
    follower.look()
    assert follower.standing.failures == 2
    line.roll_back("v0000")
    follower.look()
    assert follower.current is before
    assert (follower.standing.failed, follower.standing.problem) == (None, "")
    promote_child(line.location)
    follower.look()
    assert follower.standing.version == "v0002" and follower.standing.failed is None


def test_a_version_that_answers_with_no_numbers_does_not_take_over(line: Line) -> None:
    follower = follow(line)
    follower.look()
    promote_child(line.location, not_finite)
    follower.look()
    assert follower.standing.version == "v0000" and "not finite" in follower.standing.problem


def test_a_version_that_is_wrong_where_its_card_says_right_does_not_take_over(line: Line) -> None:
    follower = follow(line)
    follower.look()
    promote_child(line.location, all_wrong)
    follower.look()
    assert follower.standing.version == "v0000" and "its card says" in follower.standing.problem


def test_a_line_without_held_out_rows_is_served_all_the_same(line: Line) -> None:
    line.location.delete("arrivals", recursive=True)
    follower = follow(line)
    follower.look()
    assert (follower.standing.version, follower.standing.probed) == ("v0000", 0)


def test_storage_that_is_away_for_a_while_is_told(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = follow(line)
    follower.look()

    def away(*_: object) -> None:
        raise RaygpError("connection lost")

    with monkeypatch.context() as patched:
        patched.setattr(following, "read_head", away)
        follower.look()
    assert (follower.standing.version, follower.standing.problem) == ("v0000", "connection lost")
    follower.look()
    assert follower.standing.problem == ""


def test_a_line_without_a_version_waits_for_the_first(line: Line) -> None:
    head = line.location.read_bytes("head.json")
    line.location.delete("head.json")
    follower = follow(line)
    follower.look()
    assert follower.current is None and "no version yet" in follower.standing.problem
    line.location.write_bytes("head.json", head)
    follower.look()
    assert follower.standing.version == "v0000"


def test_the_probe_is_of_held_out_rows(line: Line) -> None:
    assert line.head is not None
    probe = find_probe(line.location, line.head.card)
    assert len(probe.samples) == 32 and set(probe.labels) <= set(line.head.classes)
    assert probe.expected == line.head.card.by_arrival["arrival-000"].accuracy


def test_the_old_model_is_freed(line: Line) -> None:
    follower = follow(line)
    follower.look()
    batcher = Batcher(lambda: follower.current, Limits())
    answered = batcher.submit([HELD_OUT[0].load()]).result(10)
    assert follower.current is not None
    model = weakref.ref(follower.current.predictor.model)
    promote_child(line.location)
    follower.look()
    gc.collect()
    assert model() is None and answered.version == "v0000"
    batcher.close()


def test_requests_are_answered_while_a_version_is_loaded_and_none_is_lost(line: Line) -> None:
    """Ten promotions under load, each loaded as slowly as a large model would be."""
    loading = threading.Event()

    def slowly(card: Card) -> Served:
        loading.set()
        time.sleep(0.1)
        served = load_served(line.location, card)
        loading.clear()
        return served

    follower = Follower(line.location, slowly, poll_s=0.01)
    follower.start()
    batcher = Batcher(lambda: follower.current, Limits())
    sample = HELD_OUT[0].load()
    ended = threading.Event()
    seen: list[tuple[str, str, bool]] = []

    def ask() -> None:
        while not ended.is_set():
            during = loading.is_set()
            answered = batcher.submit([sample]).result(10)
            seen.append((answered.version, answered.answers[0].label, during and loading.is_set()))

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    for number in range(11):
        if number:
            promote_child(line.location)
        deadline = time.monotonic() + 20
        # On a busy machine no client may have had its turn yet.
        while not seen or seen[-1][0] != f"v{number:04d}":
            assert time.monotonic() < deadline, follower.standing
            time.sleep(0.005)
    ended.set()
    for client in clients:
        client.join(10)
    follower.close()
    batcher.close()
    assert follower.standing.switches == 10 and follower.standing.failures == 0
    versions = [version for version, _, _ in seen]
    assert {label for _, label, _ in seen} == {HELD_OUT[0].label}
    assert len(set(versions)) == 11 and sum(during for *_, during in seen) > 20
