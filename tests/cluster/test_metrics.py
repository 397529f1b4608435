"""The metrics of an update follow its events alone."""

from typing import Any

import pytest

from raygp.cluster import metrics
from raygp.cluster.metrics import UpdateMetrics
from raygp.events import EpochEnded, Notice, PhaseEnded, PhaseStarted, StepsDone
from raygp.record import CostLedger, EpochRecord, PhaseRecord

Shown = dict[tuple[str, ...], float]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What the endpoint would show now, by name and layer."""
    values: Shown = {}

    class Gauge:
        def __init__(self, name: str, **options: object) -> None:
            self.name = name

        def set(self, value: float, tags: dict[str, str]) -> None:
            assert tags.pop("update") == "u1"
            values[(self.name.removeprefix("raygp_"), *tags.values())] = value

    monkeypatch.setattr(metrics, "Gauge", Gauge)
    return values


def place(phase: int = 0, epoch: int = 1) -> dict[str, Any]:
    return {
        "phase": phase, "phases": 2, "kind": "grow-new", "round": 0, "epoch": epoch, "epochs": 2, "density": 0.25,
    }  # fmt: skip


def epoch(grown: int, pruned: int, **at: int) -> EpochEnded:
    record = EpochRecord(
        round=0, loss=0.5, val_accuracy=0.75, densities={"fc": 0.125}, grown=grown, pruned=pruned, examples=1, seconds=1
    )
    return EpochEnded(**place(**at), record=record, ledger=CostLedger())


def test_steps_epochs_and_phases_set_what_they_say(shown: Shown) -> None:
    tell = UpdateMetrics("u1")
    tell(Notice(text="nothing to measure"))
    assert shown == {}
    tell(StepsDone(**place(epoch=0), step=1, steps=9, loss=0.5, examples_per_s=80.0))
    assert shown == {
        ("phase",): 1.0, ("epoch",): 0.0, ("density",): 0.25, ("loss",): 0.5, ("examples_per_second",): 80.0
    }  # fmt: skip
    tell(epoch(10, 0))
    assert shown[("validation_accuracy",)] == 0.75 and shown[("layer_density", "fc")] == 0.125
    assert (shown[("grown_connections",)], shown[("pruned_connections",)]) == (10.0, 0.0)


def test_counts_add_up_over_phases_and_a_restored_round_does_not_count(shown: Shown) -> None:
    tell = UpdateMetrics("u1")
    tell(epoch(10, 0))
    tell(PhaseEnded(**place(), record=PhaseRecord(kind="grow-new", grown=10)))
    tell(epoch(0, 4, phase=1))
    assert (shown[("grown_connections",)], shown[("pruned_connections",)]) == (10.0, 4.0)
    tell(PhaseEnded(**place(phase=1), record=PhaseRecord(kind="prune-recoverable", pruned=0, restored=4)))
    assert (shown[("grown_connections",)], shown[("pruned_connections",)]) == (10.0, 0.0)


def test_an_update_goes_on_from_its_counts(shown: Shown) -> None:
    done = [PhaseRecord(kind="grow-new", grown=10), PhaseRecord(kind="prune-permanent", pruned=3)]
    UpdateMetrics("u1", done, inside_phase=True)(PhaseStarted(**place(phase=1)))
    assert (shown[("grown_connections",)], shown[("pruned_connections",)]) == (10.0, 3.0)
    tell = UpdateMetrics("u1", done, inside_phase=True)
    tell(epoch(0, 2, phase=1))
    assert shown[("pruned_connections",)] == 5.0
    tell(PhaseEnded(**place(phase=1), record=PhaseRecord(kind="prune-permanent", pruned=5)))
    assert (shown[("grown_connections",)], shown[("pruned_connections",)]) == (10.0, 5.0)
