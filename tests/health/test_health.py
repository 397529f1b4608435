"""A line's health: computed from its documents, exposed for Prometheus."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import raygp
from raygp.cli import main
from raygp.errors import InputError, RaygpError
from raygp.health import METRICS, HealthReader, exposition, serving_metrics
from raygp.record import CostLedger
from raygp.store import Location, Refusal, create_line, promote, write_refusal, write_version
from raygp.store.watched import Spent, WatchNotes
from tests.conftest import LEDGER, line_of_two_versions, new_card
from tests.store.helpers import publish

NOW = datetime.now(UTC)


def ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat(timespec="microseconds")


@pytest.fixture
def line(location: Location) -> Any:
    """Three versions, of which one is older than a week; one refused update of this week, and one of before."""
    import torch

    create_line(location, {"name": "lenet-300-100"})
    head, manifests = None, {}
    for number, name in enumerate(["mon", "tue", "wed"]):
        manifests[name] = publish(location, name).digest
        ledger = {key: 3600.0 * (number + 1) for key in LEDGER}
        card = new_card(
            f"v{number:04d}", f"v{number - 1:04d}" if number else None, f"u{number}", arrivals=list(manifests),
            arrival=name, manifests=dict(manifests), ledger=ledger, created=ago(8 - 3 * number),
        )  # fmt: skip
        head = promote(location, write_version(location, card, {"a": torch.ones(2)}), head)
    publish(location, "thu")
    for folder, examples, days in (("v0003-thu-0123abcd", 500.0, 1), ("v0003-thu-99990000", 7000.0, 20)):
        ledger = CostLedger(examples=examples, worker_seconds=1800.0)
        write_refusal(
            location, f"updates/{folder}", Refusal(reason='lost "3" points\nof all', val_accuracy=0.5, ledger=ledger)
        )
        at = (NOW - timedelta(days=days)).timestamp()
        os.utime(location.local_path(f"updates/{folder}/rejected.json"), (at, at))
    return raygp.open(location.root)


def test_it_says_what_the_documents_say(line: Any) -> None:
    health = HealthReader(line).read()
    assert (health.version, health.versions, health.seen, health.waiting) == ("v0002", 3, 3, 1)
    assert health.rows_waiting == line.pending[0].rows("train") > 0
    assert health.val_accuracy == 0.9 and health.density == 0.25
    assert health.head_since == pytest.approx(datetime.now(UTC).timestamp(), abs=300)
    # v0001, v0002 and the refusal of yesterday; v0000 and the older refusal were before this week.
    assert health.examples_week == 2 * 3600 + 3 * 3600 + 500
    assert health.worker_hours_week == pytest.approx(2 + 3 + 0.5)
    assert health.refusals_week == 1
    refusal = health.last_refusal
    assert refusal is not None and (refusal.version, refusal.arrival) == ("v0003", "thu")
    assert refusal.at == pytest.approx((NOW - timedelta(days=1)).timestamp(), abs=1)


def test_what_watchers_noted_counts_once(line: Any) -> None:
    before = HealthReader(line).read().examples_week
    spent = {
        # It was refused: that stands in the line.
        "v0003-thu-0123abcd": Spent(at=ago(1), examples=500, worker_seconds=1800),
        "v0003-fri-4567abcd": Spent(at=ago(1), examples=40, worker_seconds=1),
        "v0001-tue-89abcdef": Spent(at=ago(9), examples=1e6, worker_seconds=1),
    }
    WatchNotes(line.location).change(lambda notes: notes.model_copy(update={"spent": spent}))
    assert HealthReader(line).read().examples_week == before + 40


def test_an_empty_line_has_no_head(location: Location) -> None:
    create_line(location, {"name": "lenet-300-100"})
    health = HealthReader(raygp.open(location.root)).read()
    assert (health.version, health.head_since, health.last_refusal, health.examples_week) == (None, None, None, 0)
    text = exposition(health).decode()
    assert "raygp_line_versions{" in text and "raygp_line_head_timestamp_seconds{" not in text


def test_looking_again_reads_no_card_twice_and_may_read_nothing(line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [NOW.timestamp()]
    reader = HealthReader(line, clock=lambda: now[0])
    first = reader.read()
    read: list[str] = []
    original = Location.read_if_exists
    monkeypatch.setattr(Location, "read_if_exists", lambda self, path: (read.append(path), original(self, path))[1])
    now[0] += 10
    assert reader.read(max_age_s=30) is first and read == []
    again = reader.read(max_age_s=5)
    # Where the line stands is read anew; versions and refusals are known.
    assert again.at == now[0] and set(read) <= {
        "line.json", "head.json", "watch.json", "versions/v0002/card.json", "arrivals/thu/manifest.json",
    }  # fmt: skip


def test_the_text_is_prometheus_and_names_every_metric(line: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--root", line.root, "--metrics"]) == 0
    families = {family.name: family for family in text_string_to_metric_families(capsys.readouterr().out)}
    assert set(families) == set(METRICS)
    for name, family in families.items():
        for sample in family.samples:
            assert set(sample.labels) == {"line", *METRICS[name][1]} and sample.labels["line"] == line.root
    (refused,) = families["raygp_line_last_refusal_timestamp_seconds"].samples
    assert refused.labels["reason"] == 'lost "3" points\nof all'
    assert families["raygp_line_arrivals_waiting"].samples[0].value == 1.0


def test_it_is_served_on_this_machine(line: Any) -> None:
    reader = HealthReader(line)
    with serving_metrics(lambda: exposition(reader.read()), 0) as port:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            assert b"raygp_line_versions{" in answer.read() and answer.headers["Content-Type"].startswith("text/plain")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/other", timeout=30)
        for wrong, why in ((port, "choose another port"), (65536, "ports are 0 to 65535"), (-1, "ports are 0 to")):
            with pytest.raises(InputError, match=why), serving_metrics(lambda: b"", wrong):
                raise AssertionError("nothing is served there")

    def fails() -> bytes:
        raise RaygpError("storage failed")

    with serving_metrics(fails, 0) as port, pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30)


def test_a_line_that_is_none_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--root", str(tmp_path), "--metrics"]) == 2
    assert capsys.readouterr().out == ""
    line_of_two_versions(Location(str(tmp_path / "a")))
    assert main(["status", "--root", str(tmp_path / "a"), "--metrics"]) == 0
