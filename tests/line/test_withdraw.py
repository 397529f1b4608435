"""Taking an arrival out of a line: what is refused, what is left, and what happens when it is cut off."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from raygp.cli import main
from raygp.data.ingest import ingest
from raygp.errors import ConflictError, InputError, RaygpError, RejectedError
from raygp.events import Event, Withdrawn
from raygp.line import Line
from raygp.line.update import update_line
from raygp.store import (
    Location,
    create_line,
    find_garbage,
    find_manifest,
    line_lease,
    list_arrivals,
    publishing_lease,
    remove_garbage,
    verify_arrival,
    write_version,
)
from raygp.store.documents import encode
from raygp.store.withdrawal import WITHDRAWN_FILE
from raygp.update.gate import Verdict
from raygp.update.job import UpdateJob
from tests.conftest import UseServer
from tests.data.test_admission import rows
from tests.data.test_duplicates import SETTINGS, TASK, Pictures, check_places
from tests.formats.archives import unpack
from tests.line.fakes import FakeRunner
from tests.store.helpers import MakeCard, publish


@pytest.fixture(params=["local", "memory", "moto"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "local":
        return Location(str(tmp_path / "root"))
    if request.param == "memory":
        return Location(f"memory://{os.urandom(8).hex()}/root")
    use_server: UseServer = request.getfixturevalue("use_server")
    return Location(f"s3://{use_server(request.getfixturevalue('moto'))}/line")


def weeks(location: Location, *names: str) -> Line:
    """A line without a version; each arrival has rows of its own, and one that cannot be used."""
    for number, name in enumerate(names):
        source = rows({("cat", None): 10, ("dog", None): 10}, 1000 * number).and_of(("cat", b"no image", None))
        ingest(location, TASK, source, replace(SETTINGS, arrivals=[name], max_bad_share=0.2))
    return Line(location)


def told(line: Line) -> list[Event]:
    events: list[Event] = []
    line.listen(events.append)
    return events


def files(location: Location) -> set[str]:
    return {file.path for file in location.walk() if "lock" not in file.path}


def message(action: Callable[[], object], kind: type[RaygpError] = InputError) -> str:
    with pytest.raises(kind) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- what it does -----------------------------------------------------------------------------------------------------


def test_nothing_is_left_of_it_and_nothing_else_changes(root: Location) -> None:
    line = weeks(root, "mon")
    before = files(root)
    source = rows({("cat", None): 30}, 5000).and_of(("cat", b"no image", None))
    (manifest,) = ingest(root, None, source, replace(SETTINGS, arrivals=["wed"], max_bad_share=0.2))
    assert manifest.quarantined == 1 and len(manifest.files) > 3 and files(root) > before
    events = told(line)
    done = line.withdraw("wed")
    assert (done.manifest, done.left, done.short) == (manifest, 1, ())
    assert events == [Withdrawn(manifest=manifest, left=1)]
    assert files(root) == before
    assert [manifest.arrival for manifest in line.pending] == ["mon"]
    assert message(lambda: line.withdraw("wed")) == f"{root.root} has no arrival 'wed' (arrivals: mon)"


def test_what_it_held_may_come_again_anywhere(location: Location) -> None:
    line = weeks(location, "mon")
    source = rows({("cat", None): 30, ("dog", None): 30}, 3000)
    (first,) = line.ingest(source, replace(SETTINGS, arrivals=["tue"]))
    line.withdraw("tue")
    held = Pictures(*((label, number, "val") for label, number, _ in source.rows))
    (again,) = line.ingest(held, replace(SETTINGS, arrivals=["tue"]))
    assert again.duplicates.skipped == 0 and again.rows("val") == 60 and first.rows("train") > 0
    check_places(location)


def test_the_only_arrival_leaves_a_line_that_takes_a_first_one(location: Location) -> None:
    line = weeks(location, "mon")
    assert line.withdraw("mon").left == 0
    assert line.exists and line.pending == () and line.location.list("arrivals") == []
    assert message(lambda: line.ingest(rows({("owl", None): 9}))).endswith("later ones may hold one alone")
    (manifest,) = line.ingest(rows({("owl", None): 9, ("elk", None): 9}))
    assert (manifest.arrival, set(manifest.labels)) == ("arrival-000", {"owl", "elk"})
    line.update(runner=FakeRunner())
    assert line.head is not None and line.head.classes == ["elk", "owl"]


def test_arrivals_with_an_index_of_their_own_making_go_with_it(tmp_path: Path) -> None:
    """Earlier versions published without one; it was made later, and lies elsewhere."""
    location = unpack("line", tmp_path)
    before = set(location.list())
    publish(location, "by-hand")
    ingest(location, None, Pictures(*((str(n % 10), n, None) for n in range(60))), SETTINGS)
    assert any(name.startswith("by-hand-") for name in location.list("samples"))
    Line(location).withdraw("by-hand")
    assert not any(name.startswith("by-hand-") for name in location.list("samples"))
    assert not location.exists("arrivals/by-hand") and before <= set(location.list())


def test_later_arrivals_that_lack_rows_are_named(location: Location) -> None:
    line = weeks(location, "mon")
    extra = rows({("cat", None): 10, ("dog", None): 10}, 5000)
    line.ingest(extra, replace(SETTINGS, arrivals=["tue"]))
    line.ingest(extra.and_of(("cat", 7000, None)), replace(SETTINGS, arrivals=["wed"]))
    line.ingest(rows({("cat", None): 10}, 8000), replace(SETTINGS, arrivals=["thu"]))
    assert line.withdraw("tue").short == ("wed",)
    (again,) = line.ingest(extra.and_of(("cat", 7000, None)), replace(SETTINGS, arrivals=["fri"]))
    assert again.duplicates.trained == 1 and sum(shard.rows for shard in again.shards) == 20
    check_places(location)


def test_a_refusal_of_the_gate_goes_with_it(location: Location) -> None:
    line = weeks(location, "mon", "tue")
    with pytest.raises(RejectedError):
        line.update(runner=FakeRunner(lambda job: Verdict(job.version < "v0001", "rejected: worse")))
    assert len(location.list("updates")) == 1
    line.withdraw("tue")
    assert location.list("updates") == [] and line.update(runner=FakeRunner()) == []


# -- what is refused --------------------------------------------------------------------------------------------------


def test_names_that_are_none(location: Location, tmp_path: Path) -> None:
    line = weeks(location, "mon", "tue")
    for name in ("wed", "", "..", "mon/parts", "../mon", "mon\n", "MON"):
        assert message(lambda name=name: line.withdraw(name)) == (  # type: ignore[misc]
            f"{location.root} has no arrival {name!r} (arrivals: mon, tue)"
        )
    create_line(Location(str(tmp_path / "other")), TASK)
    empty = Line(str(tmp_path / "other"))
    assert message(lambda: empty.withdraw("mon")) == f"{empty.root} has no arrival 'mon' (arrivals: none)"
    assert message(lambda: Line(str(tmp_path / "none")).withdraw("mon")).startswith(f"{tmp_path}/none does not exist")
    many = Line(str(tmp_path / "many"))
    create_line(many.location, TASK)
    for number in range(23):
        publish(many.location, f"a{number:02d}")
    assert message(lambda: many.withdraw("x")).endswith("a18, a19 and 3 more)")


def test_what_a_version_has_seen_stays(location: Location) -> None:
    line = weeks(location, "mon", "tue", "wed")
    line.update(runner=FakeRunner())
    gc = f"raygp gc --root {location.root} --older-than 0s"
    assert message(lambda: line.withdraw("mon")) == (
        "arrival 'mon' is in v0000 and 2 more, and what a version has seen stays: begin another line without it"
    )
    assert message(lambda: line.withdraw("tue")) == (
        "arrival 'tue' is in v0001 and 1 more, and what a version has seen stays: raygp rollback v0000 --root "
        f"{location.root} goes back before it; after {gc} it can be withdrawn"
    )
    line.roll_back("v0001")
    assert message(lambda: line.withdraw("wed")) == (
        f"arrival 'wed' is in v0002, and what a version has seen stays: {gc} deletes what is not in the head's "
        "history; then it can be withdrawn"
    )
    line.collect_garbage(-10)
    assert line.withdraw("wed").left == 2
    line.roll_back("v0000")
    line.collect_garbage(-10)
    assert line.withdraw("tue").left == 1


def test_a_version_that_was_never_promoted_has_seen_it_too(location: Location, make_card: MakeCard) -> None:
    create_line(location, TASK)
    publish(location, "mon")
    card = make_card(arrivals=["mon"], arrival="mon", manifests={"mon": "0"})
    write_version(location, card, {"a": torch.ones(2)})
    assert message(lambda: Line(location).withdraw("mon")).startswith("arrival 'mon' is in v0000, and ")


def test_not_while_an_update_of_it_is_half_done(location: Location) -> None:
    line = weeks(location, "mon", "tue", "wed")

    def fail(job: UpdateJob) -> None:
        location.write_bytes(f"{job.folder}/checkpoint_0/state.json", b"{}")
        raise RaygpError("no")

    with pytest.raises(RaygpError):
        line.update(runner=FakeRunner(meanwhile=fail))
    (folder,) = location.list("updates")
    assert message(lambda: line.withdraw("mon")) == (
        f"arrival 'mon' cannot be withdrawn while update {folder} is half done: raygp update goes on with it, raygp gc "
        f"--root {location.root} --older-than 0s drops it"
    )
    line.withdraw("wed")  # Another one's update does not matter.
    line.collect_garbage(-10)
    line.withdraw("mon")
    assert [manifest.arrival for manifest in line.pending] == ["tue"]


def test_held_out_rows_that_a_half_done_update_counts_stay(location: Location) -> None:
    line = weeks(location, "mon")
    line.ingest(rows({("cat", "val"): 5}, 5000), replace(SETTINGS, arrivals=["val"]))
    line.ingest(rows({("cat", None): 9}, 6000), replace(SETTINGS, arrivals=["tue"]))
    location.write_bytes("updates/v0001-tue-00000000/checkpoint_0/state.json", b"{}")
    assert "v0001-tue-00000000 is half done" in message(lambda: line.withdraw("val"))
    location.delete("updates/v0001-tue-00000000", recursive=True)
    line.withdraw("val")


@pytest.mark.parametrize("claim", ["raygp update", "raygp gc"])
def test_not_while_somebody_is_at_work(location: Location, claim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygp.store.lease.BEAT_S", 0.05)
    line = weeks(location, "mon")
    with line_lease(location, claim):
        assert f"{claim} is at work on this line" in message(lambda: line.withdraw("mon"), ConflictError)
    monkeypatch.setattr("raygp.store.lease._PUBLISHING_S", 0.0)
    with publishing_lease(location):
        assert "raygp ingest is at work on this line" in message(lambda: line.withdraw("mon"), ConflictError)
    assert verify_arrival(location, "mon").problems == [] and not location.exists("lease.json")


NEEDED: list[tuple[str, list[dict[Any, int]], str]] = [
    (
        "its validation rows",
        [{("cat", None): 9, ("dog", None): 9}, {("cat", "train"): 5, ("dog", "train"): 5}],
        "without it, arrival a1 has no validation rows, and no arrival before it has any",
    ),
    (
        "its second class",
        [{("cat", None): 9, ("dog", None): 9}, {("cat", None): 9}],
        "without it, arrival a1 holds only one class ('cat'); at least two are needed",
    ),
    (
        "its class, which another holds out",
        [{("cat", None): 9, ("fox", None): 9}, {("cat", None): 9, ("dog", None): 5}, {("fox", "test"): 3}],
        "without it, arrival a2: class 'fox' has no usable training sample",
    ),
    (
        "its training rows",
        [{("cat", None): 9, ("dog", None): 9}, {("cat", "val"): 9}],
        "without it, arrival a1 has no training rows, and no arrival before it has any",
    ),
]


@pytest.mark.parametrize(("shapes", "reason"), [case[1:] for case in NEEDED], ids=[case[0] for case in NEEDED])
def test_not_before_a_later_one_that_needs(location: Location, shapes: list[dict[Any, int]], reason: str) -> None:
    settings = replace(SETTINGS, new_classes=True)
    for number, shape in enumerate(shapes):
        shares = {"val_share": 0.0, "test_share": 0.0} if number and "validation rows" in reason else {}
        ingest(location, TASK, rows(shape, 1000 * number), replace(settings, arrivals=[f"a{number}"], **shares))
    line, last = Line(location), f"a{len(shapes) - 1}"
    assert message(lambda: line.withdraw("a0")) == (
        f"arrival 'a0' cannot be withdrawn before {last}: {reason}: withdraw {last} first"
    )
    line.withdraw(last)
    line.withdraw("a0")


def test_a_line_that_an_earlier_version_left_without_validation_rows_is_mended(location: Location) -> None:
    """Its first arrival is of no use to any update, and those after it wait for that one."""
    from raygp.store import ArrivalWriter

    create_line(location, {"name": "lenet-300-100", "image_size": 28})
    with ArrivalWriter(location, "w1", "of raygp 0.1") as writer:
        for number in range(6):
            writer.add("train", b"%d" % number, "cat" if number % 2 else "dog", str(number))
        writer.publish()
    line, runner = Line(location), FakeRunner()
    ingest(location, None, rows({("cat", None): 9, ("dog", None): 9}, 1000), replace(SETTINGS, arrivals=["w2"]))
    assert message(lambda: line.update(runner=runner)) == (
        "arrival w1: no validation rows in it or before it, so nothing could be judged: raygp withdraw w1 takes it "
        "out; then ingest its source again, with --val-share above 0"
    )
    assert runner.sessions == 0, "nothing is started for it"
    line.withdraw("w1")
    assert [version.card.arrival for version in line.update(runner=runner)] == ["w2"]


# -- others at the same time ------------------------------------------------------------------------------------------


def test_an_update_that_had_read_it_before_does_not_fold_it_in(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = weeks(location, "mon", "tue")
    real = line_lease

    def withdrawn_first(location: Location, what: str, *rest: str) -> Any:
        monkeypatch.setattr("raygp.line.update.line_lease", real)
        Line(location).withdraw("tue")
        return real(location, what, *rest)

    monkeypatch.setattr("raygp.line.update.line_lease", withdrawn_first)
    runner = FakeRunner()
    promoted = update_line(location, line.settings(), runner, lambda event: None)
    assert [card.arrival for card in promoted] == ["mon"] and len(runner.jobs) == 1


@pytest.mark.parametrize("again", [False, True])
def test_an_ingest_that_counted_on_it_begins_anew(location: Location, again: bool) -> None:
    """It skips what the other has, and knows its classes: neither holds when it is gone, or another of its name."""
    line = weeks(location, "mon")
    fox = replace(SETTINGS, arrivals=["fox"], new_classes=True)
    line.ingest(rows({("fox", None): 20}, 5000), fox)
    source = rows({("fox", None): 1, ("cat", None): 20}, 5010)

    def meanwhile(jobs: Any, watch: Any) -> Any:
        if find_manifest(location, "fox") and not seen:
            seen.append(1)
            Line(location).withdraw("fox")
            if again:
                Line(location).ingest(rows({("fox", None): 20}, 6000), fox)
        return ((place, job.do(watch)) for place, job in enumerate(jobs))

    seen: list[int] = []
    tue = replace(SETTINGS, arrivals=["tue"])
    assert message(lambda: line.ingest(source, tue, run=meanwhile), RaygpError) == (
        "arrival fox was withdrawn while this ingest ran: run the same command again"
    )
    assert find_manifest(location, "tue") is None
    if not again:
        assert "outside the line's vocabulary" in message(lambda: line.ingest(source, tue))
    line.ingest(source, replace(tue, new_classes=True))
    # Parts that were written before are of no use where other rows are new now.
    remove_garbage(location, *find_garbage(location, -10))
    check_places(location)


def test_arrivals_in_the_head_are_not_read_again_to_see_that_they_are_there(location: Location) -> None:
    from raygp.store import withdrawn_since

    line = weeks(location, "mon", "tue")
    line.update(runner=FakeRunner())
    publish(location, "wed")
    manifests = list_arrivals(location)
    reads: list[str] = []
    real = Location.read_if_exists
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Location, "read_if_exists", lambda self, path: (reads.append(path), real(self, path))[1])
        assert withdrawn_since(location, manifests) == []
    assert [path for path in reads if path.endswith("manifest.json")] == ["arrivals/wed/manifest.json"]
    location.write_bytes("versions/v0001/card.json", b"{")
    assert withdrawn_since(location, manifests) == [], "a damaged head is no reason to refuse an ingest"
    location.delete("arrivals/tue/manifest.json")
    assert withdrawn_since(location, manifests) == ["tue"]


def test_an_unfinished_ingest_of_the_name_is_left_alone(location: Location) -> None:
    line = weeks(location, "mon")
    source = rows({("cat", None): 40, ("dog", None): 40}, 5000)
    tue = replace(SETTINGS, arrivals=["tue"])

    def killed(jobs: Any, watch: Any) -> Any:
        yield 0, jobs[0].do(watch)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        line.ingest(source, tue, run=killed)
    before = files(location)
    assert message(lambda: line.withdraw("tue")) == (
        f"{location.root}: arrival 'tue' is not published: an ingest is at work on it or was interrupted. The same "
        "ingest again goes on with it, raygp gc deletes it"
    )
    assert files(location) == before
    line.ingest(source, tue)


def test_records_of_its_parts_go_so_that_it_is_not_published_from_them(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ingest was killed between the manifest and the last step; another one of the name has begun elsewhere."""
    line = weeks(location, "mon")
    tue = replace(SETTINGS, arrivals=["tue"])
    with monkeypatch.context() as patch:
        patch.setattr("raygp.data.parts.ArrivalMaking.forget", lambda making: None)
        line.ingest(rows({("cat", None): 40}, 5000), tue)
    assert location.list("arrivals/tue/parts")
    other = "arrivals/tue/parts/0123456789abcdef-00000.json"
    location.write_bytes(other, location.read_bytes(f"arrivals/tue/parts/{location.list('arrivals/tue/parts')[0]}"))
    line.withdraw("tue")
    assert {path for path in files(location) if path.startswith("arrivals/tue")} == {other}


# -- killed in between ------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the end of the process."""


CHANGES = {name: getattr(Location, name) for name in ("write_bytes", "delete")}


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> bool:
    """Whether the action is killed before its ``step``-th change of what is below arrivals, samples or updates."""
    done = 0
    with monkeypatch.context() as patch:
        for name, real in CHANGES.items():

            def counted(self: Location, path: str, *rest: Any, real: Any = real, **more: Any) -> Any:
                nonlocal done
                if path.startswith(("arrivals/", "samples/", "updates/")):
                    done += 1
                    if done == step:
                        raise Killed
                return real(self, path, *rest, **more)

            patch.setattr(Location, name, counted)
        try:
            action()
        except Killed:
            return True
    return False


@pytest.mark.parametrize("then", ["again", "gc", "ingest and again", "ingest and gc"])
def test_wherever_it_is_killed_nobody_sees_half_of_it(
    tmp_path: Path, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Location(str(tmp_path / "line"))
    weeks(whole, "mon")
    before = files(whole)
    ingest(whole, None, rows({("cat", None): 20}, 5000), replace(SETTINGS, arrivals=["tue"], part_rows=5))
    whole.write_bytes("updates/v0000-tue-00000000/rejected.json", b"{}")
    step, outcomes = 0, set[str]()
    while True:
        step += 1
        location = Location(str(shutil.copytree(tmp_path / "line", tmp_path / f"line-{step}")))
        line = Line(location)
        if not killed_at(step, monkeypatch, lambda line=line: line.withdraw("tue")):  # type: ignore[misc]
            break
        published = [manifest.arrival for manifest in list_arrivals(location)]
        outcomes.add(" ".join(published))
        if "tue" in published:
            extra = [p for p in verify_arrival(location, "tue").problems if WITHDRAWN_FILE not in p]
            assert extra == [], "as long as it is published, it is whole"
        if "ingest" in then and "tue" not in published:
            (other,) = ingest(location, None, rows({("dog", None): 9}, 9000), replace(SETTINGS, arrivals=["tue"]))
            assert other.rows("train") == 7
        if "gc" in then:
            remove_garbage(location, *find_garbage(location, -10))
            for arrival in list_arrivals(location):
                assert verify_arrival(location, arrival.arrival).problems == []
        if find_manifest(location, "tue") or then == "again":
            try:
                line.withdraw("tue")
            except InputError as error:
                # All but a refusal was gone, which goes when the head moves on.
                assert "has no arrival 'tue'" in str(error) and then == "again"
        left = {path for path in files(location) if not path.startswith("updates/")}
        assert left == before, step
    assert step > 8 and outcomes == {"mon tue", "mon"}


def test_a_newer_arrival_of_the_name_is_not_touched_by_what_an_earlier_one_left(location: Location) -> None:
    line = weeks(location, "mon")
    tue = replace(SETTINGS, arrivals=["tue"], max_bad_share=0.2)
    (gone,) = line.ingest(rows({("cat", None): 20}, 5000).and_of(("cat", b"no image", None)), tue)
    data = encode(gone)
    line.withdraw("tue")
    location.write_bytes(f"arrivals/tue/{WITHDRAWN_FILE}", data)  # As if it had been killed at its end.
    location.write_bytes(f"arrivals/tue/{gone.shards[0].file}", b"left")
    (new,) = line.ingest(rows({("dog", None): 20}, 6000).and_of(("cat", b"none", None)), tue)
    from raygp.store import finish_removal

    assert finish_removal(location, "tue") == gone
    assert verify_arrival(location, "tue").problems == [] and find_manifest(location, "tue") == new


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_says_in_one_line_what_is_gone(location: Location, capsys: pytest.CaptureFixture[str]) -> None:
    line = weeks(location, "mon")
    line.ingest(rows({("cat", None): 30, ("dog", None): 30}, 5000), replace(SETTINGS, arrivals=["tue"]))
    assert main(["withdraw", "tue", "--root", location.root]) == 0
    assert capsys.readouterr() == ("withdrawn tue: 43 train, 8 val, 9 test (pictures); 1 arrival left\n", "")
    assert main(["withdraw", "tue", "--root", location.root]) == 2
    assert capsys.readouterr() == ("", f"raygp: {location.root} has no arrival 'tue' (arrivals: mon)\n")
    assert main(["withdraw", "mon", "--root", location.root, "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert {key: found[key] for key in ("withdrawn", "train", "val", "test", "left", "short")} == {
        "withdrawn": "mon", "train": 14, "val": 3, "test": 3, "left": 0, "short": [],
    }  # fmt: skip
    assert err.startswith("withdrawn mon: ") and err.endswith("; no arrival left\n") and found["files"] > 3


def test_the_command_names_later_arrivals_that_lack_rows(
    location: Location, capsys: pytest.CaptureFixture[str]
) -> None:
    line = weeks(location, "mon")
    extra = rows({("cat", None): 10}, 5000)
    line.ingest(extra, replace(SETTINGS, arrivals=["tue"]))
    line.ingest(extra.and_of(("cat", 7000, None)), replace(SETTINGS, arrivals=["wed"]))
    assert main(["withdraw", "tue", "--root", location.root]) == 0
    assert capsys.readouterr().out == (
        "withdrawn tue: 7 train, 1 val, 2 test (pictures); 2 arrivals left. Published without rows that the line had "
        "then: wed; ingest their sources again to have them\n"
    )
