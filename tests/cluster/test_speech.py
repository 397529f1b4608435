"""Speech through Ray: ragged rows in Ray Data, an update with two workers, a new character."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from rich.console import Console

from drills.line import report, update
from raygp.cluster.pipeline import collect, materialise
from raygp.data.catalog import Catalog, build_catalog
from raygp.data.ingest import IngestSettings, ingest
from raygp.data.ragged import Ragged
from raygp.data.reading import read_examples
from raygp.data.sources.source import SourceSample
from raygp.data.sources.tones import TonesSource
from raygp.line.in_process import InProcessRunner
from raygp.settings import load_settings
from raygp.sparse import Masks, unpack_model
from raygp.store import Location, list_arrivals, list_versions, read_tensors
from raygp.tasks import make_task

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

SPEC = {"name": "deepspeech2-small", "mels": 16}
TASK = make_task(SPEC)


class FewTones:
    """Utterances ``start`` to ``stop`` of the 400 that use none of some letters."""

    def __init__(self, start: int, stop: int, without: str = "") -> None:
        self.name = f"tones {start} to {stop}"
        samples = list(TonesSource().samples())[start:stop]
        self._samples = [sample for sample in samples if not set(sample.label) & set(without)]

    def samples(self) -> Iterator[SourceSample]:
        return iter(self._samples)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> tuple[Location, str]:
    """Two versions, the first made without Ray; the second arrival brings a letter."""
    location = Location(str(tmp_path_factory.mktemp("speech") / "root"))
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False)
    common = ["seed=1", "gate_tolerance=1.0", "plan.epochs=1", "synthesis.epochs=2", "synthesis.batch_size=8"]
    ingest(location, SPEC, FewTones(0, 150, without="J"), IngestSettings(["one"], [1.0], 0.2, 0.2))
    update(console, location, load_settings(SPEC["name"], None, common), runner=InProcessRunner())
    ingest(location, None, FewTones(150, 200), IngestSettings(["two"], [1.0], 0.2, 0.2, new_classes=True))
    update(console, location, load_settings(SPEC["name"], None, common))
    report(console, location)
    return location, out.getvalue()


@pytest.fixture(scope="module")
def catalog(line: tuple[Location, str]) -> Catalog:
    first, second = list_arrivals(line[0])
    return build_catalog(line[0], [first], [second], list_versions(line[0])[1].classes)


def rows_of_shards(catalog: Catalog, split: str) -> list[tuple[np.ndarray, np.ndarray]]:
    refs = catalog.train if split == "train" else catalog.held_out[split]  # type: ignore[index]
    parts = [part for ref in refs for part in read_examples(catalog, ref, TASK)]
    return [row for part in parts for row in zip(part["inputs"], part["targets"], strict=True)]


def test_materialised_rows_are_those_of_the_shards(catalog: Catalog) -> None:
    iterators = {split: dataset.iterator() for split, dataset in materialise(catalog, TASK).items()}
    data = collect(catalog, iterators, ragged=True)
    for split, examples in (("train", data.train), ("val", data.held_out["val"])):
        truth = rows_of_shards(catalog, split)
        assert len(examples) == len(truth) > 20
        for number, (inputs, targets) in enumerate(truth):
            index = torch.tensor([number])
            assert np.array_equal(examples.inputs[index].values[0].numpy(), inputs)
            assert np.array_equal(examples.targets[index].values[0].numpy(), targets)


def test_characters_keep_their_ids_when_an_arrival_brings_one(line: tuple[Location, str]) -> None:
    first, second = list_versions(line[0])
    assert first.classes == list(" ABCDEFGHI")
    assert second.classes == [*first.classes, "J"]
    for card in (first, second):
        assert card.active_connections == round(card.plan["density"] * card.total_connections)
    assert second.phases[0].grown > 0 and second.phases[-1].pruned > 0


def test_error_rates_are_those_of_the_stored_version(line: tuple[Location, str], catalog: Catalog) -> None:
    """The card's were measured by two workers, these by one process without Ray."""
    location, output = line
    card = list_versions(location)[1]
    assert card.test_accuracy == card.test_metrics["word accuracy"]
    model = TASK.build_model(len(card.classes))
    unpack_model(read_tensors(location, card), model, Masks(model, TASK.dense))
    model.eval()
    inputs, targets = (Ragged.of(rows) for rows in zip(*rows_of_shards(catalog, "test"), strict=True))
    everything = torch.arange(len(inputs))
    with torch.no_grad():
        scores = TASK.score(model(TASK.prepare(inputs[everything], None)), targets[everything])
    points, weights = scores.sum(dim=0).T
    found = dict(zip(TASK.metrics, (points / weights).tolist(), strict=True))
    assert found == pytest.approx(card.test_metrics, abs=1e-6)
    cer = f"{100 * (1 - card.test_metrics['character accuracy']):.2f}"
    assert "WER %" in output and "CER %" in output and cer in output
