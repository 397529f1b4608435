"""What comes into a drop folder: once each, when it is complete, and bad things hold nothing up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raygp.errors import InputError
from raygp.events import AttemptFailed, DropDone, DropRefused, DropTaken, PausedUntil, Published
from raygp.line import Line
from raygp.store import Location, arrival_names
from raygp.store.watched import Watched
from raygp.watch.drop import DropFolder, arrival_name
from raygp.watch.hands import OwnHands
from raygp.watch.settings import DropSettings
from tests.line.fakes import publish
from tests.watch.rig import Rig, put


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """An empty drop folder."""
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


def rig_of(location: Location, drop: Path, *overrides: str) -> Rig:
    """A rig with this drop folder; everything in it is an image folder."""
    return Rig(location, None, f"watch.drop.folder={drop}", "watch.drop.source=imagefolder", *overrides)


def complete(folder: DropFolder) -> list[str]:
    return [item.name for item in folder.look()[0]]


def test_something_is_complete_once_it_has_not_changed_over_a_look(drop: Path) -> None:
    folder = DropFolder(DropSettings(folder=str(drop)))
    assert complete(folder) == []
    put(drop / "mon", 0, 20)
    assert complete(folder) == []
    put(drop / "mon", 20, 40)
    assert complete(folder) == [], "it has grown"
    (drop / "mon" / "0" / "half.png.part").write_bytes(b"1")
    assert complete(folder) == [], "a download is on its way"
    (drop / "mon" / "0" / "half.png.part").write_bytes(b"12")
    assert complete(folder) == []
    assert complete(folder) == ["mon"]
    (drop / "tue.csv").write_text("a,b\n")
    assert complete(folder) == ["mon"]
    (drop / "tue.csv").write_text("a,b\n1,")
    assert complete(folder) == ["mon"], "half a file is not taken"
    assert complete(folder) == ["mon", "tue.csv"]


def test_a_marker_says_at_once_that_something_is_complete(drop: Path) -> None:
    put(drop / "spark", 0, 10)
    (drop / "spark" / "_SUCCESS").touch()
    put(drop / "other", 0, 10)
    (drop / "week.tar").write_bytes(b"x")
    (drop / "week.tar.done").touch()
    assert complete(DropFolder(DropSettings(folder=str(drop)))) == ["spark", "week.tar"]


def test_hidden_and_temporary_names_and_empty_folders_are_passed_over(drop: Path) -> None:
    for name in (".hidden", "_tmp", "week.tar.part", "Thumbs.db", "~$week.xlsx"):
        (drop / name).write_bytes(b"x")
    (drop / "empty").mkdir()
    put(drop / "mon" / ".cache", 0, 3)
    assert DropFolder(DropSettings(folder=str(drop))).items() == []


def test_a_link_to_a_folder_is_a_folder(drop: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", 0, 10)
    (drop / "week").symlink_to(tmp_path / "elsewhere")
    (item,) = DropFolder(DropSettings(folder=str(drop))).items()
    assert (item.name, item.files) == ("week", len(list((tmp_path / "elsewhere").rglob("*.png"))))


def test_a_link_that_leads_nowhere_hides_nothing(drop: Path) -> None:
    put(drop / "mon", 0, 10)
    for link in (drop / "self", drop / "mon" / "self"):
        link.symlink_to(link)
        link.with_name("broken").symlink_to("/nowhere")
    (item,) = DropFolder(DropSettings(folder=str(drop))).items()
    assert (item.name, item.files) == ("mon", len(list((drop / "mon").rglob("*.png"))))


def test_a_drop_folder_that_is_gone_for_a_while_is_waited_for(location: Location, drop: Path) -> None:
    rig = rig_of(location, drop, "watch.pause_s=10")
    put(drop / "mon", 0, 200)
    away = drop.with_name("away")
    rig.meanwhile[0] = lambda: drop.rename(away)
    rig.meanwhile[2] = lambda: away.rename(drop)
    rig.watch(8)
    assert [event.kind for event in rig.told(PausedUntil)] == ["storage", "storage"]
    assert f"the drop folder {drop} cannot be read" in rig.told(PausedUntil)[0].because
    assert arrival_names(location) == ["mon"] and rig.head == "v0000"


def test_names_in_the_line(drop: Path) -> None:
    assert arrival_name("week 2 (final).tar", ()) == "week-2-final-.tar"
    assert arrival_name("wéek", ["w-ek", "w-ek-2"]) == "w-ek-3"
    assert arrival_name("..", ()) == "dropped"
    with pytest.raises(InputError, match="is no folder: make it"):
        DropFolder(DropSettings(folder=str(drop / "none")))


def test_what_comes_is_ingested_once_and_updated_and_stays_where_it_is(location: Location, drop: Path) -> None:
    rig = rig_of(location, drop)
    put(drop / "mon", 0, 200)
    before = sorted(drop.rglob("*"))
    rig.watch(3)
    assert rig.head == "v0000" and arrival_names(location) == ["mon"]
    assert [event.arrival for event in rig.told(DropDone)] == ["mon"]
    rig.meanwhile[len(rig.slept)] = lambda: put(drop / "tue", 200, 400)
    rig.watch(5)
    assert Line(location).head.card.arrivals == ["mon", "tue"]  # type: ignore[union-attr]
    rig.watch(3)
    assert len(rig.told(DropTaken)) == 2, "no other watcher takes it again"
    assert sorted(file for file in drop.rglob("*") if "tue" not in file.parts) == before


def test_settings_that_do_not_fit_are_no_fault_of_what_comes(
    location: Location, drop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = rig_of(location, drop)
    publish(location, "sun")
    put(drop / "mon", 0, 200)
    broken = [True] * 9

    def check(self: OwnHands) -> None:
        if broken.pop():
            raise InputError("line.yaml: there is no setting 'wacth'")

    monkeypatch.setattr(OwnHands, "check", check)
    with pytest.raises(InputError, match="wacth"):
        rig.once()
    assert rig.notes == Watched(), "nothing is held against sun and mon"
    broken[:] = [False] * 20 + [True] * 8 + [False]  # From the end: at the start they fit.
    rig.watch(12)
    pauses = rig.told(PausedUntil)
    assert {event.kind for event in pauses} == {"input"} and len(pauses) == 8
    assert not rig.told(DropRefused) and not rig.told(AttemptFailed)
    assert Line(location).head.card.arrivals == ["sun", "mon"]  # type: ignore[union-attr]


def test_bad_things_are_named_once_and_hold_nothing_up(location: Location, drop: Path) -> None:
    rig = rig_of(location, drop)
    put(drop / "b-good", 0, 200)
    for number in range(30):
        file = drop / "a-bad" / str(number % 2) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"no image at all")
    rig.watch(4)
    (refused,) = rig.told(DropRefused)
    assert refused.name == "a-bad" and rig.notes.drops["a-bad"].state == "refused"
    assert rig.head == "v0000" and arrival_names(location) == ["b-good"]
    rig.watch(3)
    assert len(rig.told(DropRefused)) == 1
    # It is mended: it is looked at again, under the same name.
    for file in (drop / "a-bad").rglob("*.png"):
        file.unlink()
    put(drop / "a-bad", 200, 400)
    rig.watch(4)
    assert arrival_names(location) == ["a-bad", "b-good"] and rig.head == "v0001"


def test_new_classes_need_a_word(location: Location, drop: Path) -> None:
    rig = rig_of(location, drop)
    put(drop / "mon", 0, 200)
    rig.watch(3)
    put(drop / "tue", 200, 500, "012")
    rig.watch(3)
    (refused,) = rig.told(DropRefused)
    assert "new" in refused.reason and rig.head == "v0000"
    rig.overrides = (*rig.overrides, "watch.drop.new_classes=true")
    rig.watcher().retry()
    rig.watch(3)
    assert Line(location).head.classes == ["0", "1", "2"]  # type: ignore[union-attr]


def test_the_same_content_again_and_other_content_under_the_same_name(location: Location, drop: Path) -> None:
    rig = rig_of(location, drop)
    put(drop / "mon", 0, 200)
    rig.watch(3)
    put(drop / "copy", 0, 200)
    rig.watch(3)
    assert [event.arrival for event in rig.told(DropDone)] == ["mon", ""], "the line has every row of it"
    put(drop / "mon", 200, 400)
    rig.watch(3)
    assert arrival_names(location) == ["mon", "mon-2"]
    new = rig.told(Published)[-1].manifest
    assert new.duplicates.skipped > 0 and new.rows("train") < 100
    os.utime(next((drop / "mon").rglob("*.png")))
    rig.watch(3)
    assert arrival_names(location) == ["mon", "mon-2"], "touched, not changed: nothing new"


def test_cron_takes_what_does_not_change_while_it_waits_or_until_the_next_run(location: Location, drop: Path) -> None:
    rig = rig_of(location, drop)
    put(drop / "mon", 0, 200)
    rig.once()
    assert rig.slept == [60.0] and rig.head == "v0000"
    put(drop / "tue", 200, 300)
    rig.meanwhile[1] = lambda: put(drop / "tue", 300, 400)
    rig.once()
    assert rig.head == "v0000" and rig.notes.drops["tue"].state == "noted"
    rig.once()
    assert rig.head == "v0001" and len(rig.slept) == 2, "nothing is waited for"
    rig.once()
    assert rig.head == "v0001" and len(rig.slept) == 2
