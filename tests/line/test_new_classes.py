"""An arrival of classes that the parent has never seen, on real digits: what the gate makes of it, and what is kept."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

import raygp
from raygp.cli import main
from raygp.cli.printer import Printer
from raygp.data.ingest_settings import IngestSettings
from raygp.errors import RejectedError
from raygp.events import CheckpointStored, Event, Promoted, Refused
from raygp.line import Line
from raygp.line.summary import SUMMARY
from raygp.settings import RunSettings, load_settings
from tests.digits import FewDigits

LENET = "lenet-300-100"
FORGETS = ("plan=hardest", "ladder=false")


class Killed(BaseException):
    """Stands for the end of the process."""


def settings(*overrides: str) -> RunSettings:
    return load_settings(LENET, overrides=["synthesis.epochs=20", *overrides])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line that knows digits 0 to 4; 5 to 9 wait."""
    root = tmp_path_factory.mktemp("made") / "line"
    line = raygp.open(str(root))
    line.ingest(FewDigits(0, 1797, "01234"), IngestSettings(["low"]), task={"name": LENET})
    line.update(settings())
    line.ingest(FewDigits(0, 1797, "56789"), IngestSettings(["high"], new_classes=True))
    return root


@pytest.fixture
def line(made: Path, tmp_path: Path) -> Line:
    return Line(str(shutil.copytree(made, tmp_path / "line")))


def test_a_candidate_that_forgot_is_refused_and_says_what_it_lost(line: Line) -> None:
    seen: list[Event] = []
    out = io.StringIO()
    printer = Printer(Console(file=out, width=80), line.location)
    line.listen(lambda event: (seen.append(event), printer(event)))
    with pytest.raises(RejectedError) as caught:
        line.update(settings(*FORGETS))
    [refused] = [event for event in seen if isinstance(event, Refused)]
    record = refused.record
    assert record is not None and record.known is not None and record.new is not None
    assert record.known.parent_accuracy is not None
    # The parent knows nothing of half of the rows: over all of them it looks worse than what was refused.
    assert record.parent_val_accuracy is not None and record.parent_val_accuracy < record.val_accuracy
    assert record.known.accuracy < record.known.parent_accuracy
    assert (record.by_class["3"].new_rows, record.by_class["5"].new_rows) == (0, record.by_class["5"].rows)
    assert sum(part.rows or 0 for part in record.by_class.values()) == record.val_rows
    assert record.by_arrival["low"].rows == record.known.rows and record.by_arrival["high"].rows == record.new.rows
    message = str(caught.value)
    assert "on 115 rows of known classes" in message and "on 114 rows of new classes, guessing" in message
    assert "new rows gave 16 steps" in message and "v0000 stays the head. Try more plan.epochs" in message
    lines = [row.rstrip() for row in out.getvalue().splitlines()]
    assert any(row.startswith(" class 3") and row.count(".") == 4 for row in lines)
    assert any(row.startswith(" class 5") and row.endswith("new") for row in lines)
    table = lines[[row.startswith(" validation rows of") for row in lines].index(True) :]
    assert len(table) >= 14 and max(map(len, table)) <= 80


def test_the_default_plan_learns_new_classes_and_keeps_the_old(line: Line) -> None:
    [version] = line.update(settings())
    card = version.card
    assert card.known is not None and card.new is not None
    assert card.known.accuracy > 0.93 and card.new.accuracy > 0.9
    assert min(part.accuracy for part in card.by_class.values()) > 0.7
    # Its first rung was enough, and the card says what was fitted.
    [rung] = card.rungs
    assert rung.promoted and rung.changes["batch_size"] < 128 and rung.changes["epochs"] > 3


def test_a_candidate_that_kept_what_it_knew_is_promoted_and_shown(
    line: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    [version] = line.update(settings())
    card = version.card
    assert card.known is not None and card.new is not None and card.val_rows == 229
    assert set(card.by_class) == set("0123456789") and set(card.by_arrival) == {"low", "high"}
    assert card.accuracy_by_arrival["low"] == card.by_arrival["low"].accuracy == card.known.accuracy
    [first, second] = json.loads(line.location.read_bytes(SUMMARY))["versions"]
    assert second["by_class"]["7"] == card.by_class["7"].model_dump() and second["val_rows"] == 229
    assert first["by_class"]["3"]["parent_accuracy"] is None and "5" not in first["by_class"]
    assert second["known"]["parent_accuracy"] == card.known.parent_accuracy

    def shown(*command: str) -> str:
        capsys.readouterr()
        assert main([*command, "--root", line.root]) == 0
        return capsys.readouterr().out

    table = shown("show")
    places = [table.index(text) for text in ("parent %", " arrival low ", " arrival high ", " class 0 ", " class 9 ")]
    assert places == sorted(places)
    versions = shown("versions")
    assert "known %" in versions and "those of classes that the parent knows" in versions and "229" in versions
    among = card.known.among_known
    assert among is not None and among >= card.known.accuracy and card.by_class["3"].among_known is not None
    assert card.by_class["7"].among_known is None and card.new.among_known is None
    known = f"of known classes {card.known.accuracy:.2%} on 115 rows ({among:.2%} among these alone), parent"
    assert known in shown("status")
    assert "worst: class " in shown("status")
    assert "on 229 rows, known classes" in shown("versions", "--graph")
    for command in ("status", "show"):
        assert json.loads(shown(command, "--json"))["by_class"]["7"] == card.by_class["7"].model_dump()


@pytest.mark.parametrize("plan", [FORGETS, ()], ids=["refused", "promoted"])
def test_the_verdict_is_the_same_after_a_kill(line: Line, made: Path, tmp_path: Path, plan: tuple[str, ...]) -> None:
    wanted = settings(*plan)
    ends = []
    for number, root in enumerate((line.root, str(shutil.copytree(made, tmp_path / "other")))):
        seen: list[Event] = []
        this = Line(root)

        def tell(event: Event, seen: list[Event] = seen, kills: bool = number == 1) -> None:
            seen.append(event)
            if kills and sum(isinstance(found, CheckpointStored) for found in seen) == 3:
                raise Killed

        this.listen(tell)
        if number == 1:
            with pytest.raises(Killed):
                this.update(wanted)
            this = Line(root)
            this.listen(seen.append)
        try:
            this.update(wanted)
        except RejectedError as refusal:
            seen.append(Refused(version="", arrival="", reason=str(refusal), head=None))
        ends.append([event for event in seen if isinstance(event, Promoted | Refused)])
    (whole, *said), (resumed, *said_again) = ends
    assert whole.reason == resumed.reason and said == said_again
    records = [event.card if isinstance(event, Promoted) else event.record for event in (whole, resumed)]
    parts = [(found.by_class, found.by_arrival, found.known, found.new, found.val_noise) for found in records]
    assert parts[0] == parts[1]
