"""A dense model that somebody trained becomes the first version of a line, and is pruned while the line learns."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import raygp
from raygp.data.ingest_settings import IngestSettings
from raygp.errors import ConflictError, InputError, RaygpError
from raygp.events import Adopted, Event, Notice, PhaseEnded, RowsMeasured
from raygp.export.held_out import held_out_rows
from raygp.line import Line, adopting
from raygp.report.adopted import adopted_lines
from raygp.store import (
    Card,
    Location,
    create_line,
    find_garbage,
    line_lease,
    list_versions,
    read_card,
    read_shard,
    read_tensors,
    write_version,
)
from raygp.store.documents import sha256_hex
from raygp.tasks import make_task
from tests.conftest import new_card
from tests.digits import FewDigits
from tests.line.fakes import FakeRunner
from tests.store.helpers import publish

TASK = {"name": "lenet-300-100"}
QUICK = ("plan.epochs=2",)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """A dense LeNet-300-100 that was trained elsewhere, on 400 digits."""
    task = make_task(TASK)
    samples = list(FewDigits(0, 400).samples())
    inputs = torch.from_numpy(np.stack([task.decode(sample.load()) for sample in samples]))
    targets = torch.tensor([int(str(sample.label)) for sample in samples])
    torch.manual_seed(1)
    model = task.build_model(10)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(12):
        for rows in torch.randperm(len(inputs)).split(32):
            loss = task.losses(model(task.prepare(inputs[rows], None)), targets[rows]).mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return dict(model.state_dict())


@pytest.fixture
def weights(state: dict[str, Tensor], tmp_path: Path) -> Path:
    path = tmp_path / "lenet.pth"
    torch.save({"epoch": 8, "model": {f"module.{name}": tensor for name, tensor in state.items()}}, path)
    return path


WEEKS = ((500, 800), (800, 1000))
NewLine = Callable[..., Line]


@pytest.fixture(scope="module")
def new_line(tmp_path_factory: pytest.TempPathFactory) -> NewLine:
    """Makes a line without a version, whose arrivals hold some digits. Each kind is ingested once, and then copied."""
    kept: dict[Any, Path] = {}

    def make(root: Path, arrivals: tuple[tuple[int, int], ...] = WEEKS, classes: str = "0123456789") -> Line:
        if (arrivals, classes) not in kept:
            first = kept[arrivals, classes] = tmp_path_factory.mktemp("made") / "line"
            for number, (start, stop) in enumerate(arrivals):
                settings = IngestSettings([f"week{number}"], val_share=0.3, test_share=0.1)
                raygp.open(str(first)).ingest(FewDigits(start, stop, classes), settings, task=TASK)
        return raygp.open(str(shutil.copytree(kept[arrivals, classes], root)))

    return make


@pytest.fixture
def line(new_line: NewLine, tmp_path: Path) -> Line:
    return new_line(tmp_path / "line")


def test_the_first_version_is_the_dense_model_as_it_is(line: Line, weights: Path, state: dict[str, Tensor]) -> None:
    told: list[Event] = []
    line.listen(told.append)
    done = line.adopt(weights)
    card = done.version.card
    assert line.head is not None and line.head.name == card.version == "v0000" and done.updated == ()
    assert (card.parent, card.arrivals, card.arrival, card.manifests, card.phases) == (None, [], "", {}, [])
    assert (card.density, card.active_connections, set(card.densities.values())) == (1.0, card.total_connections, {1.0})
    assert card.ledger.examples == card.ledger.sparse_flops == 0.0
    assert card.classes == list("0123456789") and card.origin is not None
    assert [file.model_dump() for file in card.origin.files] == [
        {"file": "lenet.pth", "bytes": weights.stat().st_size, "sha256": sha256_hex(weights.read_bytes())}
    ]
    assert card.origin.loaded == len(state) and not card.origin.made_new and not card.origin.left_over
    model = done.version.model()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    (event,) = [event for event in told if isinstance(event, Adopted)]
    assert event.card == card and event.prefix == "module." and not event.guesses and not event.head_is_new
    held_out = sum(manifest.rows("val") + manifest.rows("test") for manifest in line.arrivals())
    assert [event.done for event in told if isinstance(event, RowsMeasured)][-1] == held_out
    assert list_versions(line.location) == [card], "what is stored is what was returned"


def test_it_is_measured_on_the_held_out_rows_of_all_arrivals(line: Line, weights: Path) -> None:
    version = line.adopt(weights).version
    rows = {name: part.rows for name, part in version.card.by_arrival.items()}
    assert rows == {manifest.arrival: manifest.rows("val") for manifest in line.arrivals()} and len(rows) == 2
    assert version.card.val_rows == sum(rows.values())
    assert 0.8 < version.card.val_accuracy < 1.0 and version.metrics["test accuracy"] > 0.8
    held_out: list[tuple[bytes, str]] = []
    for manifest in line.arrivals():
        for shard in manifest.shards_of("val"):
            table = read_shard(line.location, manifest.arrival, shard)
            held_out += zip(table.column("sample").to_pylist(), table.column("label").to_pylist(), strict=True)
    answers = list(version.predict(sample for sample, _ in held_out))
    right = sum(answer.label == label for answer, (_, label) in zip(answers, held_out, strict=True))
    assert right / len(held_out) == version.card.val_accuracy


def test_the_updates_that_follow_prune_it_while_it_learns(line: Line, weights: Path) -> None:
    told: list[Event] = []
    line.listen(told.append)
    dense = line.adopt(weights).version.card
    assert [manifest.arrival for manifest in line.pending] == ["week0", "week1"], "it has seen none"
    first, second = (version.card for version in line.update(line.settings(None, *QUICK)))
    assert (first.parent, first.arrivals, second.arrivals) == ("v0000", ["week0"], ["week0", "week1"])
    assert first.density == pytest.approx(0.1, abs=0.001) == second.density
    assert first.parent_val_accuracy is not None and list(first.by_arrival) == ["week0"]
    assert first.parent_val_accuracy == dense.by_arrival["week0"].accuracy, "measured alike before and after"
    assert first.val_accuracy >= first.parent_val_accuracy - 0.05
    grown, pruned = [event.record for event in told if isinstance(event, PhaseEnded)][:2]
    assert grown.grown == 0 and pruned.pruned == dense.total_connections - first.active_connections
    # Of the dense model nothing could grow: what was spent are batches of 32 alone, and no pass over all 189 rows.
    assert line.arrivals()[0].rows("train") % 32 and first.ledger.examples % 32 == 0
    assert [rung.name for rung in first.rungs] == ["plan"]


def test_a_density_prunes_at_once(line: Line, weights: Path) -> None:
    done = line.adopt(weights, density=0.2, settings=line.settings(None, *QUICK))
    assert [version.name for version in done.updated] == ["v0001", "v0002"] and not line.pending
    assert [round(version.card.density, 2) for version in done.updated] == [0.2, 0.2]
    assert done.version.card.density == 1.0 and done.updated[0].card.plan["density"] == 0.2
    with pytest.raises(InputError, match=r"density must be above 0 and at most 1, not 1\.5"):
        line.adopt(weights, density=1.5)


def test_everything_that_keeps_a_line_works_with_a_version_that_has_seen_nothing(line: Line, weights: Path) -> None:
    dense = line.adopt(weights).version.card
    assert len(held_out_rows(line.location, dense, 8)) == 8, "by which an export is checked"
    assert find_garbage(line.location, 0.0)[1] == [] and all(not found.problems for found in line.verify())
    line.update(runner=FakeRunner())
    done = line.roll_back("v0000")
    assert done.unfolded == ("week0", "week1") and [m.arrival for m in line.pending] == ["week0", "week1"]
    assert [item.what for item in line.collect_garbage(0.0)] == ["versions/v0001", "versions/v0002"]
    line.withdraw("week1")
    (again,) = line.update(runner=FakeRunner())
    assert (again.name, again.card.parent, again.card.arrivals) == ("v0003", "v0000", ["week0"])
    with pytest.raises(InputError, match="raygp rollback v0000"):
        line.withdraw("week0")
    line.roll_back("v0000")
    line.collect_garbage(0.0)
    line.withdraw("week0")
    assert line.update(runner=FakeRunner()) == [] and line.head is not None and line.head.name == "v0000"


def test_classes_that_one_of_both_lacks_are_told_and_the_missing_ones_come_by_the_next_update(
    new_line: NewLine, state: dict[str, Tensor], tmp_path: Path
) -> None:
    eight = {name: tensor[:8] if name.startswith("classifier.") else tensor for name, tensor in state.items()}
    torch.save(eight, tmp_path / "eight.pth")
    line = new_line(tmp_path / "line", ((500, 800),), "012345689")
    done = line.adopt(tmp_path / "eight.pth", classes=list("01234567"))
    assert done.version.classes == list("01234567")
    assert (done.without_rows, done.new_classes) == (("7",), ("8", "9"))
    card, (manifest,) = done.version.card, line.arrivals()
    assert card.origin is not None and card.origin.left_out > 0 and card.val_rows is not None
    assert card.val_rows + card.origin.left_out == manifest.rows("val") and card.val_accuracy > 0.8
    assert not {"8", "9"} & set(card.by_class)
    (version,) = line.update(line.settings(None, "plan.epochs=3", "plan.fit.longer=1"))
    assert version.classes == [*"01234567", "8", "9"] and version.card.new is not None
    assert version.card.known is not None and version.card.known.rows == card.val_rows
    assert version.card.known.parent_accuracy == card.val_accuracy


def test_an_output_layer_of_another_size_is_new(new_line: NewLine, weights: Path, tmp_path: Path) -> None:
    line = new_line(tmp_path / "few", ((500, 700),), "012")
    told: list[Event] = []
    line.listen(told.append)
    done = line.adopt(weights)
    card = done.version.card
    assert done.head_is_new and done.version.classes == ["0", "1", "2"] and card.origin is not None
    assert card.origin.made_new == ["classifier.weight", "classifier.bias"]
    assert card.origin.other_shape[0] == "classifier.weight (10x100 in the file, 3x100 in the model)"
    first = read_tensors(line.location, card)
    again = new_line(tmp_path / "again", ((500, 700),), "012").adopt(weights).version
    other = new_line(tmp_path / "other", ((500, 700),), "012").adopt(weights, settings=line.settings(seed=3)).version
    name = "value/classifier.weight"
    assert torch.equal(first[name], read_tensors(again.location, again.card)[name])
    assert not torch.equal(first[name], read_tensors(other.location, other.card)[name])


def test_a_wrong_order_of_classes_shows(line: Line, weights: Path) -> None:
    told: list[Event] = []
    line.listen(told.append)
    card = line.adopt(weights, classes=list("1234567890")).version.card
    assert card.val_accuracy < 0.1 and card.test_accuracy is None
    assert [event.guesses for event in told if isinstance(event, Adopted)] == [True]


def test_what_was_adopted_and_has_seen_nothing_can_be_replaced(
    line: Line, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.adopt(weights, classes=list("1234567890"))
    for at in ("write_version", "promote"):
        with monkeypatch.context() as patched:
            patched.setattr(adopting, at, kill)
            with pytest.raises(Killed):
                line.adopt(weights)
        assert line.refresh().card is not None and line.refresh().card.version == "v0000"
    with pytest.raises(InputError, match="v0000 is this very model already, with these classes"):
        line.adopt(weights, classes=list("1234567890"))
    told: list[Event] = []
    line.listen(told.append)
    card = line.adopt(weights).version.card
    assert (card.version, card.parent, card.arrivals, card.classes) == ("v0001", "v0000", [], list("0123456789"))
    assert card.val_accuracy > 0.7 and line.head is not None and line.head.card == card
    assert "in place of v0000" in "".join(adopted_lines(next(event for event in told if isinstance(event, Adopted))))
    assert [version.card.parent for version in line.update(runner=FakeRunner())] == ["v0001", "v0002"]
    with pytest.raises(InputError, match="has v0003 as its head already"):
        line.adopt(weights)


def test_a_line_that_has_no_arrival_is_refused(new_line: NewLine, weights: Path, tmp_path: Path) -> None:
    empty = new_line(tmp_path / "empty", ((500, 600),))
    empty.withdraw("week0")
    with pytest.raises(InputError, match="has no arrival that the model could be measured on: publish one first"):
        empty.adopt(weights)
    with pytest.raises(InputError, match="does not exist"):
        raygp.open(str(tmp_path / "nothing")).adopt(weights)


def test_without_a_validation_row_nothing_can_be_measured(weights: Path, location: Location) -> None:
    create_line(location, TASK)
    publish(location, "week0")  # Its validation row is a cat.
    line = Line(location)
    with pytest.raises(InputError, match=r"no arrival has a validation row of a class that .*lenet\.pth knows"):
        line.adopt(weights, classes=["dog", *"123456789"])
    assert line.head is None and line.versions() == [] and not location.list("versions")


def test_somebody_at_work_on_the_line_is_not_disturbed(
    line: Line, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygp.store.lease.BEAT_S", 0.05)
    with line_lease(line.location, "raygp update"), pytest.raises(ConflictError, match="raygp update is at work"):
        line.adopt(weights)
    assert line.refresh().card is None and line.location.list("versions") == []


class Killed(BaseException):
    """Stands for the end of the process."""


def kill(*args: Any, **options: Any) -> None:
    raise Killed


@pytest.mark.parametrize("at", ["write_version", "promote"])
def test_killed_half_way_nothing_counts_and_the_same_call_goes_on(
    at: str, line: Line, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(adopting, at, kill)
        with pytest.raises(Killed):
            line.adopt(weights)
    assert line.refresh().card is None and not line.location.list("lease.json")
    assert [version.name for version in line.versions()] == (["v0000"] if at == "promote" else [])
    # What was adopted first is not in the way of what is adopted now.
    other = torch.load(weights, weights_only=True)["model"]
    torch.save({name: tensor * 2 for name, tensor in other.items()}, weights)
    done = line.adopt(weights)
    assert line.head is not None and line.head.card == done.version.card
    assert torch.equal(done.version.model().get_parameter("fc1.weight"), other["module.fc1.weight"] * 2)
    assert find_garbage(line.location, 0.0)[1] == []


def test_a_trained_version_that_waits_is_not_pushed_aside(line: Line, weights: Path) -> None:
    write_version(line.location, new_card(), {"a": torch.ones(1)})
    with pytest.raises(InputError, match="v0000 has been trained and is about to become the head: raygp update ends"):
        line.adopt(weights)
    assert [version.card.update for version in line.versions()] == ["u1"]


def test_a_version_that_does_not_answer_as_it_was_measured_is_not_the_head(
    line: Line, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(location: Location, card: Card, tensors: dict[str, Tensor]) -> Card:
        name = "value/classifier.weight"
        return write_version(location, card, tensors | {name: -tensors[name]})

    monkeypatch.setattr(adopting, "write_version", spoilt)
    with pytest.raises(InputError, match=r"lenet\.pth: the adopted model does not answer as the model did"):
        line.adopt(weights)
    assert line.refresh().card is None and line.versions() == []


def test_an_update_finishes_an_adoption_that_was_killed_before_the_head_moved(
    line: Line, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(adopting, "promote", kill)
        with pytest.raises(Killed):
            line.adopt(weights)
    told: list[Event] = []
    line.listen(told.append)
    assert [version.card.parent for version in line.update(runner=FakeRunner())] == ["v0000", "v0001"]
    assert "v0000 was adopted and was not promoted yet" in next(e.text for e in told if isinstance(e, Notice))


def test_what_a_kill_left_waiting_answers_a_few_rows_before_an_update_makes_it_the_head(
    line: Line, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(location: Location, card: Card, tensors: dict[str, Tensor]) -> Card:
        name = "value/classifier.weight"
        return write_version(location, card, tensors | {name: tensors[name] * torch.nan})

    with monkeypatch.context() as patched:
        patched.setattr(adopting, "write_version", spoilt)
        patched.setattr("raygp.line.blessing.unfit", kill)
        with pytest.raises(Killed):
            line.adopt(weights)
    assert [version.name for version in line.versions()] == ["v0000"]
    with pytest.raises(InputError, match=r"v0000, which was adopted, gives outputs that are not finite.*adopt again"):
        line.update(runner=FakeRunner())
    assert line.refresh().card is None and line.versions() == []
    assert line.adopt(weights).version.name == "v0000"


def test_a_card_of_format_4_has_no_origin(location: Location) -> None:
    write_version(location, new_card(), {"a": torch.ones(1)})
    content = json.loads(location.read_bytes("versions/v0000/card.json"))
    assert content.pop("origin") is None and content.pop("beside") == [] and content["format"] == 6
    location.write_bytes("versions/v0000/card.json", json.dumps(content | {"format": 4}).encode())
    assert read_card(location, "v0000").origin is None


def test_all_errors_are_for_people(line: Line, tmp_path: Path) -> None:
    for given in ("none.pth", "a/b.safetensors"):
        with pytest.raises(RaygpError, match="there is no such file of weights"):
            line.adopt(tmp_path / given)
