"""One that is told is slow or fails: nobody else notices, but for a Notice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raygp.errors import InputError, RejectedError, StoppedError
from raygp.events import Event, Failed, Notice, PhaseStarted, Promoted, StepsDone
from raygp.store import Location
from raygp.tell import TellSettings, Told, listeners, queue
from raygp.tell.base import NotAgain, NotTold
from tests.tell.story import BEGIN, PROMOTED, REFUSED, Place, inside, wait_until

STEPS = StepsDone(**inside(0, "grow-new"), step=1, steps=2, loss=0.5, examples_per_s=10.0)


class Fake(TellSettings):
    """Settings of a teller that remembers."""

    kind: str = "fake"

    def make(self) -> FakeTeller:
        return FakeTeller.made


class FakeTeller:
    made: FakeTeller

    def __init__(self) -> None:
        self.got: list[str] = []
        self.tries = 0
        self.errors: list[Exception | None] = []
        """Of the tries, one after the other."""
        self.go_on = threading.Event()
        self.go_on.set()
        self.closed = False
        self.thread: threading.Thread | None = None

    def tell(self, told: Told) -> None:
        self.tries += 1
        self.thread = threading.current_thread()
        self.go_on.wait(30)
        if self.errors and (error := self.errors.pop(0)):
            raise error
        self.got.append(told.type)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTeller]:
    monkeypatch.setattr(queue, "FIRST_PAUSE_S", 0.01)
    FakeTeller.made = teller = FakeTeller()
    yield teller
    teller.go_on.set()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(Location(str(tmp_path / "line")))


def test_events_come_in_order_in_another_thread_and_without_progress(fake: FakeTeller, place: Place) -> None:
    with listeners([Fake()], place) as tell:
        for event in (*BEGIN, STEPS, PROMOTED):
            tell(event)
    assert fake.got == [
        "update_started", "phase_started", "epoch_ended", "phase_ended", "phase_started", "epoch_ended", "promoted",
    ]  # fmt: skip
    assert fake.closed and fake.thread not in (None, threading.current_thread())


def test_nobody_starts_a_thread_before_there_is_something_to_tell(fake: FakeTeller, place: Place) -> None:
    with listeners([Fake()], place) as tell:
        tell(STEPS)
    assert (fake.thread, fake.closed) == (None, False)


def test_one_that_hangs_delays_neither_the_update_nor_its_end_beyond_the_limit(fake: FakeTeller, place: Place) -> None:
    notices: list[Event] = []
    fake.go_on.clear()
    begun = time.monotonic()
    with listeners([Fake()], place, notice=notices.append, wait_s=0.2) as tell:
        for _ in range(100):
            tell(PROMOTED)
        assert time.monotonic() - begun < 5  # It would hang for 30 s.
    assert time.monotonic() - begun < 10
    (notice,) = notices
    assert isinstance(notice, Notice) and "fake: it had not come to an end, and 99 more wait" in notice.text


def test_what_fails_is_tried_again_and_then_told_once_until_it_works(fake: FakeTeller, place: Place) -> None:
    notices: list[Event] = []
    fake.errors = [*[NotTold("no room")] * 5, None, OSError("gone")]
    with listeners([Fake(retries=2)], place, notice=notices.append) as tell:
        tell(PROMOTED)  # Three tries, all of which fail.
        tell(REFUSED)  # Two fail, the third works.
        tell(REFUSED)  # One fails, the next works.
        tell(PROMOTED)
        wait_until(lambda: len(fake.got) == 3)
    assert fake.got == ["refused", "refused", "promoted"] and fake.tries == 9
    assert [event.text for event in notices if isinstance(event, Notice)] == [
        "warning: fake: promoted was not told: no room; going on"
    ]


def test_a_second_failure_after_it_worked_is_told_again(fake: FakeTeller, place: Place) -> None:
    notices: list[Event] = []
    with listeners([Fake()], place, notice=notices.append) as tell:
        for error in ("one", "two"):
            fake.errors = [NotTold(error), NotTold("not told, as it fails still")]
            tell(PROMOTED)
            tell(PROMOTED)
            tell(PROMOTED)
            wait_until(lambda: fake.tries % 3 == 0 and fake.got and len(fake.got) * 3 == fake.tries)
            tell(STEPS)
    assert [event.text.split(": ")[3] for event in notices if isinstance(event, Notice)] == [
        "one; going on", "two; going on",
    ]  # fmt: skip


def test_what_would_fail_again_is_not_tried_again(fake: FakeTeller, place: Place) -> None:
    fake.errors = [NotAgain("never")]
    with listeners([Fake(retries=5)], place) as tell:
        tell(PROMOTED)
    assert (fake.tries, fake.got) == (1, [])


def test_a_full_queue_loses_progress_first_and_outcomes_last(
    fake: FakeTeller, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    class All(Fake):
        def wants(self, type_: str) -> bool:
            return True

    monkeypatch.setattr(queue, "CAPACITY", 4)
    notices: list[Event] = []
    fake.go_on.clear()
    with listeners([All()], place, notice=notices.append) as tell:
        tell(REFUSED)
        wait_until(lambda: fake.tries == 1)  # It is at work on this one; four more have room.
        for event in (STEPS, PROMOTED, PhaseStarted(**inside(0, "grow-new")), PROMOTED, PROMOTED, PROMOTED):
            tell(event)
        fake.go_on.set()
    assert fake.got == ["refused", *["promoted"] * 4]
    said = [event.text for event in notices if isinstance(event, Notice)]
    assert said == ["warning: fake: it is too slow for 4 events: some are left out; going on"]


def test_an_error_is_told_as_a_failure_but_neither_a_refusal_nor_a_stop(place: Place) -> None:
    got: list[Event] = []

    class Keeps(Fake):
        def make(self) -> FakeTeller:
            teller = FakeTeller()
            teller.tell = lambda told: got.append(told.event)  # type: ignore[method-assign]
            return teller

    for error in (RejectedError("lost"), StoppedError("stop"), KeyboardInterrupt()):
        with pytest.raises(type(error)), listeners([Keeps()], place, doing="raygp update"):
            raise error
    assert got == []
    for error in (InputError("no such\n  file"), ZeroDivisionError("by zero")):
        with pytest.raises(type(error)), listeners([Keeps()], place, doing="raygp update"):
            raise error
    assert got == [
        Failed(doing="raygp update", error="no such file", exit_code=2),
        Failed(doing="raygp update", error="by zero (ZeroDivisionError)", exit_code=1),
    ]


def test_one_that_cannot_work_is_left_out_and_the_rest_goes_on(fake: FakeTeller, place: Place) -> None:
    class Lacks(Fake):
        def check(self) -> None:
            raise InputError("there is no secret in X")

    notices: list[Event] = []
    with listeners([Lacks(), Fake()], place, notice=notices.append) as tell:
        assert notices == [Notice(text="warning: fake is not told: there is no secret in X")]
        tell(PROMOTED)
    assert fake.got == ["promoted"] and isinstance(PROMOTED, Promoted)
