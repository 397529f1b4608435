"""A watcher that is killed at any write, and several of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from raygp.errors import ConflictError, RaygpError
from raygp.events import PausedUntil
from raygp.line import Line
from raygp.store import Location, list_arrivals, list_versions
from raygp.update.job import UpdateJob
from tests.line.fakes import publish
from tests.watch.rig import Rig, put
from tests.watch.test_loop import refuses

WRITES = ("write", "create", "replace", "adopt", "delete")


class Killed(BaseException):
    """As kill -9: nothing that the process would do afterwards is done."""


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int) -> list[str]:
    """The n-th write from now on (counted from 0) and all after it do not take place; the list of writes so far."""
    from raygp.store.local_files import LocalFiles

    done: list[str] = []
    for name in WRITES:
        method = getattr(LocalFiles, name)

        def dying(self: LocalFiles, path: object, *rest: object, method=method, name=name) -> object:  # type: ignore[no-untyped-def]
            if len(done) >= number:
                raise Killed
            done.append(f"{name} {path}")
            return method(self, path, *rest)

        monkeypatch.setattr(LocalFiles, name, dying)
    return done


def outcome(location: Location) -> list[tuple[list[str], str | None]]:
    """What became of the line, without names and times."""
    return [(card.arrivals, card.parent) for card in list_versions(location)]


def prepared(folder: Path) -> tuple[Location, Path]:
    """A line with a version, one arrival that waits and is going to be refused, and one in the drop folder."""
    location, drop = Location(str(folder / "root")), folder / "drop"
    drop.mkdir()
    rig = rig_of(location, drop)
    put(drop / "mon", 0, 200)
    rig.watch(3)
    put(drop / "tue", 200, 300)
    (drop / "tue" / "_SUCCESS").touch()
    publish(location, "wed")
    return location, drop


def rig_of(location: Location, drop: Path) -> Rig:
    return Rig(
        location, refuses("wed"), f"watch.drop.folder={drop}", "watch.drop.source=imagefolder", "watch.refused=aside"
    )


def test_killed_at_any_write_it_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tmp_path / "first"
    first.mkdir()
    prepared(first)
    whole = tmp_path / "whole"
    shutil.copytree(first, whole)
    with monkeypatch.context() as patch:
        writes = kill_at(patch, 1_000_000)
        rig_of(Location(str(whole / "root")), whole / "drop").watch(3)
    wanted = outcome(Location(str(whole / "root")))
    assert [arrivals for arrivals, _ in wanted] == [["mon"], ["mon", "tue"]]
    assert any("watch.json" in write for write in writes) and len(writes) > 15
    for number in range(len(writes)):
        folder = tmp_path / f"kill-{number}"
        shutil.copytree(first, folder)
        location = Location(str(folder / "root"))
        rig = rig_of(location, folder / "drop")
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_at(patch, number)
            rig.watch(3)
        for lease in ("lease.json", "watching.json", "publishing.json"):
            location.delete(lease)  # Of a process that is gone.
        for lock in (folder / "root").rglob(".raygp-lock-*"):
            lock.unlink()
        rig.watch(4)
        where = f"killed at {writes[number]}"
        assert outcome(location) == wanted, where
        assert {manifest.arrival for manifest in list_arrivals(location)} == {"mon", "tue", "wed"}, where
        assert rig.notes.left["wed"].why == "aside" and rig.notes.drops["tue"].state == "done", where
        shutil.rmtree(folder)


def test_two_watchers_do_everything_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygp.store.lease.BEAT_S", 0.1)
    location, drop = prepared(tmp_path)
    one, two = rig_of(location, drop), rig_of(location, drop)
    waited: list[RaygpError | None] = []

    def meanwhile(job: UpdateJob) -> None:
        if not waited:
            waited.append(two.once().problem)

    one.runner._meanwhile = meanwhile
    one.watch(4)
    two.watch(3)
    (problem,) = waited
    assert isinstance(problem, ConflictError) and [event.kind for event in two.told(PausedUntil)] == ["others"]
    assert [arrivals for arrivals, _ in outcome(location)] == [["mon"], ["mon", "tue"]]
    # Both together, and then, as the gate refused them, each by itself.
    assert len(one.runner.jobs) == 3 and two.runner.jobs == []
    assert Line(location).head.name == "v0001"  # type: ignore[union-attr]
