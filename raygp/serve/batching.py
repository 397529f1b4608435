"""Requests that come at the same time share a pass through the model."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raygp.serve.limits import Limits, full
from raygp.serve.messages import Refused
from raygp.serve.served import Sample, Served

if TYPE_CHECKING:
    from raygp.tasks import Answer


@dataclass(frozen=True)
class Answered:
    """Answers to the samples of one request, all of one version."""

    version: str
    classes: list[str]
    """The version's, by id."""
    answers: list[Answer]


@dataclass(frozen=True)
class _Waiting:
    samples: Sequence[Sample]
    future: Future[Answered]


class Batcher:
    """One thread that answers. It takes whatever waits, up to :attr:`Limits.max_batch` samples, and never waits for
    more: alone, a request is answered at once; under load, batches fill by themselves."""

    def __init__(self, current: Callable[[], Served | None], limits: Limits) -> None:
        """Start the thread.

        Args:
            current: the version that answers now; asked once for each batch.
            limits: of batches and of the queue.
        """
        self._current, self._limits = current, limits
        self._queue: deque[_Waiting] = deque()
        self._samples = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="raygp-answers", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether somebody answers."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Samples that wait for their turn."""
        return self._samples

    def submit(self, samples: Sequence[Sample]) -> Future[Answered]:
        """Queue the samples of a request.

        Raises:
            Refused: 503: too much waits already, or the replica ends.
        """
        future: Future[Answered] = Future()
        with self._changed:
            if self._closed:
                raise full("this replica ends")
            if self._queue and self._samples + len(samples) > self._limits.max_waiting:
                raise full(f"{self._samples} samples wait in this replica already")
            self._queue.append(_Waiting(samples, future))
            self._samples += len(samples)
            self._changed.notify()
        return future

    def close(self, patience_s: float = 10.0) -> None:
        """Answer what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(patience_s)

    def _work(self) -> None:
        while batch := self._next():
            self._answer(batch)

    def _next(self) -> list[_Waiting]:
        """What is answered next; empty at the end."""
        batch: list[_Waiting] = []
        with self._changed:
            while not batch:
                while not self._queue and not self._closed:
                    self._changed.wait()
                if not self._queue:
                    break
                batch = self._take()
        return batch

    def _take(self) -> list[_Waiting]:
        """As many requests as fit into a batch, at least one. None is divided."""
        batch: list[_Waiting] = []
        room = self._limits.max_batch
        while self._queue and (room == self._limits.max_batch or len(self._queue[0].samples) <= room):
            first = self._queue.popleft()
            self._samples -= len(first.samples)
            room -= len(first.samples)
            # A client that has gone needs no answer.
            if first.future.set_running_or_notify_cancel():
                batch.append(first)
        return batch

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        served = self._current()
        if served is None:
            for waiting in batch:
                waiting.future.set_exception(Refused(503, "no version is loaded yet", Retry_After="1"))
            return
        samples = [sample for waiting in batch for sample in waiting.samples]
        try:
            answers = iter(served.answers(samples) if samples else ())
        except Exception as error:  # Models raise what they like: the thread goes on.
            self._apart(served, batch, error)
            return
        for waiting in batch:
            waiting.future.set_result(_answered(served, [next(answers) for _ in waiting.samples]))

    def _apart(self, served: Served, batch: Sequence[_Waiting], error: Exception) -> None:
        """What one request's samples did to the model must not be the others' loss: each is tried alone."""
        for waiting in batch:
            try:
                if len(batch) == 1:
                    raise error
                waiting.future.set_result(_answered(served, served.answers(waiting.samples)))
            except Exception as found:
                problem = f"{served.version} could not answer: {type(found).__name__}: {found}"
                waiting.future.set_exception(Refused(500, problem))


def _answered(served: Served, answers: list[Answer]) -> Answered:
    # The version itself is not part of it: whoever keeps an answer would keep a model in memory.
    return Answered(served.version, served.predictor.classes, answers)
