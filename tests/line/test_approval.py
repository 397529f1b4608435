"""A candidate that passed the gate and waits until a person approves or rejects it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raygp.cli import main
from raygp.cli.printer import Printer
from raygp.cli.running import make_console
from raygp.errors import ConflictError, InputError, RejectedError
from raygp.events import Approved, AwaitsApproval, Event, Promoted, Rejected, unheard
from raygp.line import Line, update
from raygp.search.outcome import SweepOutcome
from raygp.settings import RunSettings, load_settings
from raygp.store import (
    Location,
    create_line,
    find_garbage,
    line_lease,
    read_approval,
    read_head,
    read_refusal,
    remove_garbage,
)
from raygp.store.backends import Files
from raygp.update.job import UpdateJob
from tests.conftest import UseServer
from tests.line.fakes import FakeRunner, publish

TASK = {"name": "lenet-300-100"}
AUTO = load_settings("lenet-300-100", overrides=["on_drift=off"])
APPROVE = load_settings("lenet-300-100", overrides=["on_drift=off", "promote=approve"])


class Killed(BaseException):
    """Stands for the end of the process."""


def make(location: Location) -> Line:
    """A line with a version of mon, and two arrivals that wait."""
    line = Line(location)
    create_line(location, TASK)
    publish(location, "mon")
    line.update(AUTO, runner=FakeRunner())
    for arrival in ("tue", "wed"):
        publish(location, arrival)
    return line


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return make(Location(str(tmp_path / "line")))


@pytest.fixture
def waiting(line: Line) -> Line:
    """The same, whose v0001 waits."""
    assert line.update(APPROVE, runner=FakeRunner()) == []
    return line


def told(line: Line) -> list[Event]:
    events: list[Event] = []
    line.listen(events.append)
    return events


def update_with(line: Line, settings: RunSettings = APPROVE) -> tuple[FakeRunner, list[str]]:
    """What an update runs, and the versions that it promotes."""
    runner = FakeRunner()
    return runner, [version.name for version in line.update(settings, runner=runner)]


# -- it waits ---------------------------------------------------------------------------------------------------------


def test_a_candidate_that_passed_waits_and_nothing_else_is_begun(line: Line) -> None:
    events, runner = told(line), FakeRunner()
    assert line.update(APPROVE, runner=runner) == []
    assert [job.version for job in runner.jobs] == ["v0001"], "the arrival after it has no update yet"
    last = events[-1]
    assert isinstance(last, AwaitsApproval) and last.is_new and last.card.version == "v0001"
    assert last.reason == "as good as its parent"
    found = line.waiting
    assert found is not None and (found.version, found.parent, found.card) == ("v0001", "v0000", last.card)
    assert found.since == last.since and line.head is not None and line.head.name == "v0000"
    assert [manifest.arrival for manifest in line.pending] == ["tue", "wed"] and line.unfinished() == []
    events.clear()
    for settings in (APPROVE, AUTO):
        runner, promoted = update_with(line, settings)
        assert runner.sessions == 0 and promoted == [], "whatever the settings say"
    assert len(events) == 2 and isinstance(events[0], AwaitsApproval) and not events[0].is_new


def test_a_first_version_waits_too(tmp_path: Path) -> None:
    line = Line(str(tmp_path / "line"))
    create_line(line.location, TASK)
    publish(line.location, "mon")
    assert update_with(line)[1] == [] and line.head is None
    assert line.waiting is not None and line.waiting.parent is None
    assert line.approve("v0000").before is None
    assert line.head is not None and line.head.name == "v0000" and line.waiting is None


def test_without_the_setting_a_line_has_the_same_files(line: Line, waiting: Line, tmp_path: Path) -> None:
    other = make(Location(str(tmp_path / "other")))
    assert update_with(other, AUTO)[1] == ["v0001", "v0002"]
    assert not other.location.exists("waiting.json")
    assert "approved.json" not in other.location.list("versions/v0001")


def test_settings_of_approval_name_no_other_update(line: Line) -> None:
    asked, plain = FakeRunner(), FakeRunner()
    copy = Line(shutil.copytree(line.root, f"{line.root}-plain"))
    line.update(APPROVE, runner=asked)
    copy.update(AUTO, runner=plain)
    assert asked.jobs[0].update_id == plain.jobs[0].update_id
    with pytest.raises(InputError, match="promote: "):
        load_settings("lenet-300-100", overrides=["promote=perhaps"])


# -- the answer -------------------------------------------------------------------------------------------------------


def test_approved_it_is_the_head_and_the_next_arrival_has_its_turn(waiting: Line) -> None:
    events = told(waiting)
    done = waiting.approve("v0001", by="anna")
    assert (done.version, done.before, done.moved) == ("v0001", "v0000", True)
    approved, promoted = events
    assert isinstance(approved, Approved) and (approved.version, approved.by) == ("v0001", "anna")
    assert isinstance(promoted, Promoted) and promoted.card.version == "v0001"
    assert waiting.waiting is None and waiting.location.list("updates") == []
    assert waiting.head is not None and waiting.head.name == "v0001"
    kept = read_approval(waiting.location, "v0001")
    assert kept is not None and kept.by == "anna" and kept.at >= kept.since
    assert not waiting.approve("v0001").moved, "once more does nothing"
    assert update_with(waiting)[1] == [] and waiting.waiting is not None and waiting.waiting.version == "v0002"
    summary = json.loads(waiting.location.read_bytes("reports/summary.json"))
    assert [version["version"] for version in summary["versions"]] == ["v0000", "v0001", "v0002"]


def test_rejected_it_counts_as_refused(waiting: Line) -> None:
    events = told(waiting)
    card = waiting.reject("v0001", because="confuses 7 and 9", by="anna")
    (event,) = events
    assert isinstance(event, Rejected) and (event.card, event.head, event.by) == (card, "v0000", "anna")
    assert waiting.waiting is None and waiting.location.list("versions") == ["v0000"]
    refusal = read_refusal(waiting.location, f"updates/{card.update}")
    assert refusal is not None and refusal.reason == "rejected by anna: confuses 7 and 9"
    assert refusal.val_accuracy == card.val_accuracy and refusal.ledger == card.ledger
    assert waiting.location.list(f"updates/{card.update}") == ["rejected.json"]
    with pytest.raises(RejectedError, match="tue was tried with this plan before: rejected by anna: confuses 7 and 9"):
        update_with(waiting)
    other = waiting.settings(None, "plan.alpha=0.123", "on_drift=off")
    assert update_with(waiting, other)[1] == ["v0001", "v0002"]
    summary = json.loads(waiting.location.read_bytes("reports/summary.json"))
    assert [version["version"] for version in summary["versions"]] == ["v0000", "v0001", "v0002"]


@pytest.mark.usefixtures("quick_lease")
@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_only_what_waits_is_answered(waiting: Line, verb: str) -> None:
    answer: Callable[[str], object] = getattr(waiting, verb)
    with pytest.raises(InputError, match=rf"v0007 does not wait for approval, v0001 does: raygp {verb} v0001"):
        answer("v0007")
    with pytest.raises(InputError, match="'seven' is no version"):
        answer("seven")
    with line_lease(waiting.location, "raygp gc"), pytest.raises(ConflictError, match="is at work on this line"):
        answer("v0001")
    answer("v0001")
    with pytest.raises(InputError, match="v0002 does not wait for approval: raygp status says what does"):
        answer("v0002")


def test_nothing_waits(line: Line) -> None:
    assert line.waiting is None
    with pytest.raises(InputError, match="no version waits for approval"):
        line.approve()


class Swept(FakeRunner):
    """Its sweeps come to a plan with another alpha, and leave what TensorBoard reads."""

    sweeps = True

    def sweep(self, job: UpdateJob, *others: Any) -> SweepOutcome:
        job.location.write_bytes(f"{job.folder}/tune/t1/events.out.tfevents.1", b"curve")
        won = replace(job, plan=job.plan.model_copy(update={"alpha": 0.321}), sweep="")
        return SweepOutcome(won, self.update(won, *others[:1], unheard), {"trials": []})


CURVE = "reports/v0001-sweep/t1/events.out.tfevents.1"


def test_an_approval_of_a_sweep_that_was_killed_is_ended_by_the_same_again(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.update(APPROVE, runner=Swept(), sweep=True)
    with monkeypatch.context() as patch:
        patch.setattr("raygp.search.outcome.keep_events", killed)
        with pytest.raises(Killed):
            line.approve("v0001")
    assert line.head is not None and line.head.name == "v0001" and not line.location.exists(CURVE)
    assert not line.approve("v0001").moved
    assert line.location.read_bytes(CURVE) == b"curve" and line.location.list("updates") == []
    assert not line.location.exists("waiting.json")


def test_a_sweep_that_was_killed_before_its_winner_could_not_be_loaded_is_refused_itself(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("raygp.line.update.bless", killed)
        with pytest.raises(Killed):
            line.update(AUTO, runner=Swept(), sweep=True)
    with monkeypatch.context() as patch:
        patch.setattr("raygp.line.blessing.unfit", lambda *arguments: "cannot be loaded")
        with pytest.raises(RejectedError, match="cannot be loaded"):
            line.update(AUTO, runner=Swept(), sweep=True)
    runner = Swept()
    with pytest.raises(RejectedError, match="tried with this plan before"):
        line.update(AUTO, runner=runner, sweep=True)
    assert runner.jobs == []


def killed(*arguments: Any) -> None:
    """In the place of something that is not come to."""
    raise Killed


# -- what else may happen meanwhile -----------------------------------------------------------------------------------


def test_garbage_is_nothing_of_it(waiting: Line) -> None:
    before = {file.path for file in waiting.location.walk()}
    waiting.collect_garbage(-10)
    after = {file.path for file in waiting.location.walk()}
    assert {path for path in before - after if path.startswith(("versions/", "updates/"))} == set()
    waiting.approve()
    waiting.collect_garbage(-10)
    assert read_approval(waiting.location, "v0001") is not None


def test_after_a_rollback_it_waits_no_more_until_its_parent_is_the_head_again(waiting: Line) -> None:
    waiting.approve()
    update_with(waiting)
    assert waiting.waiting is not None and waiting.waiting.version == "v0002"
    with pytest.raises(InputError, match="v0002 waits for approval: raygp approve v0002 --root"):
        waiting.roll_back("v0002")
    done = waiting.roll_back("v0000")
    assert done.waited == "v0002" and waiting.waiting is None
    with pytest.raises(InputError, match="v0002 does not wait"):
        waiting.approve("v0002")
    back = waiting.roll_back("v0001")
    assert back.waited is None and waiting.waiting is not None and waiting.waiting.version == "v0002"
    waiting.collect_garbage(-10)
    assert waiting.approve("v0002").moved and waiting.pending == ()


def test_after_a_rollback_another_may_wait(waiting: Line) -> None:
    waiting.approve()
    update_with(waiting)
    waiting.roll_back("v0000")
    runner, _ = update_with(waiting)
    assert [job.version for job in runner.jobs] == ["v0003"]
    assert waiting.waiting is not None and waiting.waiting.version == "v0003"
    waiting.reject("v0003")
    waiting.roll_back("v0001")
    assert waiting.waiting is None, "there is one mark: the newest"


def test_arrivals_of_it_are_not_withdrawn(waiting: Line) -> None:
    with pytest.raises(InputError, match=r"arrival 'tue' is in v0001, .*: raygp reject v0001 --root .* drops it"):
        waiting.withdraw("tue")
    waiting.withdraw("wed")
    waiting.reject("v0001")
    waiting.withdraw("tue")
    assert waiting.pending == ()


# -- killed in between ------------------------------------------------------------------------------------------------


def killed_before(step: int, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> bool:
    """Whether the action is killed before its ``step``-th change in storage; nothing that comes after is written."""
    done = 0
    with monkeypatch.context() as patch:
        for name in ("write_bytes", "create", "replace", "delete"):
            real = getattr(Location, name)

            def counted(self: Location, path: str, *rest: Any, real: Any = real, **more: Any) -> Any:
                nonlocal done
                if path != "lease.json":  # Whoever is dead has no claim that others would wait for.
                    done += 1
                    if done >= step:
                        raise Killed
                return real(self, path, *rest, **more)

            patch.setattr(Location, name, counted)
        try:
            action()
        except Killed:
            return True
    return False


def state_of(line: Line) -> str:
    """One of: nothing, waiting, promoted, refused."""
    location, head = line.location, read_head(line.location)
    card = location.exists("versions/v0001/card.json")
    if head is not None and head.version == "v0001":
        assert line.waiting is None and card
        return "promoted"
    if line.waiting is not None:
        assert card and line.waiting.version == "v0001"
        return "waiting"
    refused = any(location.exists(f"updates/{name}/rejected.json") for name in location.list("updates"))
    assert not (refused and card)
    return "refused" if refused else "written" if card else "nothing"


def copies(line: Line) -> Callable[[int], Line]:
    def copy(step: int) -> Line:
        return Line(Location(str(shutil.copytree(line.root, f"{line.root}-{step}"))))

    return copy


def every_kill(line: Line, monkeypatch: pytest.MonkeyPatch, action: Callable[[Line], object]) -> list[tuple[str, Line]]:
    """The line as it is after a kill before each change, and what it has come to; the last one is not killed."""
    found, step, copy = list[tuple[str, Line]](), 0, copies(line)
    while True:
        step += 1
        one = copy(step)
        killed = killed_before(step, monkeypatch, lambda one=one: action(one))  # type: ignore[misc]
        found.append((state_of(one), one))
        if not killed:
            return found


def test_an_update_killed_before_any_write_waits_in_the_end(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    found = every_kill(line, monkeypatch, lambda one: one.update(APPROVE, runner=FakeRunner()))
    assert [state for state, _ in found][-1] == "waiting" and len(found) > 4
    assert {state for state, _ in found} == {"nothing", "written", "waiting"}
    for state, one in found:
        runner, promoted = update_with(one)
        assert promoted == [] and len(runner.jobs) == (state == "nothing"), state
        assert state_of(one) == "waiting"
        assert one.approve("v0001").moved and state_of(one) == "promoted"
        assert one.location.exists("versions/v0001/card.json")


@pytest.mark.parametrize("then", ["again", "update", "gc"])
def test_an_approval_killed_before_any_write_is_none_or_whole(
    waiting: Line, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    found = every_kill(waiting, monkeypatch, lambda one: one.approve("v0001", by="anna"))
    states = [state for state, _ in found]
    assert states == sorted(states, reverse=True) and set(states) == {"waiting", "promoted"} and len(found) > 3
    for state, one in found:
        if then == "gc":
            remove_garbage(one.location, *find_garbage(one.location, -10))
        if then == "update":
            _, promoted = update_with(one, AUTO)
            assert promoted == (["v0002"] if state == "promoted" else [])
            assert one.unfinished() == []
            continue
        assert one.approve("v0001").moved == (state == "waiting")
        assert state_of(one) == "promoted" and not one.location.exists("waiting.json")


@pytest.mark.parametrize("then", ["again", "update", "gc"])
def test_a_rejection_killed_before_any_write_is_none_or_whole(
    waiting: Line, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    found = every_kill(waiting, monkeypatch, lambda one: one.reject("v0001", because="no"))
    states = [state for state, _ in found]
    assert states == sorted(states, reverse=True) and set(states) == {"waiting", "refused"} and len(found) > 3
    for state, one in found:
        if then == "gc":
            remove_garbage(one.location, *find_garbage(one.location, -10))
        if then == "update" and state == "refused":
            with pytest.raises(RejectedError, match="rejected by a person: no"):
                update_with(one)
            assert one.unfinished() == []
        elif state == "waiting":
            one.reject("v0001", because="no")
        assert state_of(one) == "refused" and one.location.list("versions") in (["v0000"], ["v0000", "v0001"])


def test_one_written_before_the_kill_is_promoted_where_nobody_is_asked(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ever: the mark is what makes it wait, and the settings decide whether it gets one."""

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(update, "await_approval", kill)
        line.update(APPROVE, runner=FakeRunner())
    assert state_of(line) == "written"
    assert update_with(line, AUTO)[1] == ["v0002"] and state_of(line) != "waiting"


def test_on_object_storage(use_server: UseServer, moto: str) -> None:
    line = make(Location(f"s3://{use_server(moto)}/line"))
    update_with(line)
    assert line.waiting is not None and line.waiting.version == "v0001"
    assert line.approve("v0001").moved
    update_with(line)
    line.reject("v0002", because="no")
    assert line.waiting is None and line.head is not None and line.head.name == "v0001"


def test_looking_costs_one_request_where_nothing_waits(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    kind = type(line.location._files)
    for name in ("read_if_exists", "read", "list", "size", "exists"):
        real = getattr(kind, name, None)
        if real is not None:

            def noted(self: Files, path: str, *rest: Any, real: Any = real) -> Any:
                asked.append(path)
                return real(self, path, *rest)

            monkeypatch.setattr(kind, name, noted)
    assert line.waiting is None and asked == ["waiting.json"]


# -- the commands -----------------------------------------------------------------------------------------------------


def test_what_waits_is_shown_with_how_to_answer(waiting: Line, capsys: pytest.CaptureFixture[str]) -> None:
    root = waiting.root
    how = f"v0001 waits for approval: raygp approve v0001 --root {root}, or raygp reject v0001 --root {root} --because "
    for command in (["status"], ["versions"], ["show", "v0001"]):
        assert main([*command, "--root", root]) == 0
        assert how in capsys.readouterr().out
    assert main(["versions", "--graph", "--root", root]) == 0
    assert "(waits for approval: raygp approve v0001)" in capsys.readouterr().out
    assert main(["status", "--json", "--root", root]) == 0
    found = json.loads(capsys.readouterr().out)["waiting"]
    assert (found["version"], found["parent"], found["arrivals"]) == ("v0001", "v0000", ["tue"])
    assert main(["versions", "--json", "--root", root]) == 0
    assert [version["waiting"] for version in json.loads(capsys.readouterr().out)] == [False, True]


def test_the_update_says_it_and_ends_well(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    line.listen(Printer(make_console(), line.location))
    line.update(APPROVE, runner=FakeRunner())
    out = capsys.readouterr().out
    assert "v0001: passed the gate, validation 90.00%" in out and "v0001 waits for approval: raygp approve" in out
    assert main(["update", "--root", line.root, "on_drift=off"]) == 0
    assert capsys.readouterr().out.startswith("v0001 waits for approval: raygp approve v0001 --root ")
    assert main(["update", "--json", "--root", line.root, "on_drift=off"]) == 0
    assert json.loads(capsys.readouterr().out)["waiting"] == "v0001"


def test_the_commands_answer(waiting: Line, capsys: pytest.CaptureFixture[str]) -> None:
    root = waiting.root
    assert main(["reject", "v0007", "--root", root]) == 2
    assert "v0007 does not wait for approval, v0001 does: raygp reject v0001" in capsys.readouterr().err
    assert main(["approve", "--by", "anna", "--root", root]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "v0001: approved by anna"
    assert main(["approve", "v0001", "--root", root]) == 0
    assert capsys.readouterr().out == "v0001 is the head already: nothing to do\n"
    assert main(["show", "--root", root]) == 0
    assert "approved by anna (" in capsys.readouterr().out
    assert main(["approve", "--root", root]) == 2
    assert "no version waits for approval: raygp status says what does" in capsys.readouterr().err
    update_with(waiting)
    assert main(["reject", "v0002", "--because", "too slow", "--by", "bo", "--json", "--root", root]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"rejected": "v0002", "head": "v0001", "because": "too slow"}
    assert err == "v0002: rejected by bo: too slow; v0001 stays the head\n"


def test_a_rollback_says_what_does_not_wait_any_more(waiting: Line, capsys: pytest.CaptureFixture[str]) -> None:
    waiting.approve()
    update_with(waiting)
    assert main(["rollback", "v0000", "--root", waiting.root]) == 0
    assert "v0002 was made from v0001 and does not wait for approval any more" in capsys.readouterr().out
