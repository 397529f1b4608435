"""Ingest and update in another process.

Why: torch and Ray take a gigabyte of memory, and stay once they are loaded; an update that runs out of memory, or a
library that crashes, takes its process with it. So a watcher that lives for months holds neither, and outlives both.
The other process lives as long as there is something to do. It is told what to do on its standard input, and tells
what happens through a pipe of its own, so that the watcher's listeners hear of it as if it were done here. When the
watcher is gone, its input ends, and it stops as at SIGTERM: after its next checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO, Any

from raygp.errors import RaygpError
from raygp.events import Listener, unheard
from raygp.watch.hands import Hands, Intake
from raygp.watch.wire import error_of, error_to_line, event_of, event_to_line

_PATIENCE_S = 600.0
"""How long a stopped update may take to its next checkpoint."""


class OtherHands:
    """A process of its own ingests and updates, started when there is something to do.

    Args:
        module: what it runs (``python -m``): it makes the hands and calls :func:`serve`.
        opening: what that needs to know, as plain data.
    """

    def __init__(self, module: str, opening: dict[str, Any]) -> None:
        self._module, self._opening = module, opening
        self._process: subprocess.Popen[str] | None = None
        self._events: IO[str] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return self._process.pid if self._process else None

    def check(self) -> None:
        """As :meth:`raygp.watch.hands.Hands.check`.

        Raises:
            RaygpError: also where the process ended without a word.
        """
        self._ask({"do": "check"}, unheard)

    def ingest(self, intake: Intake, tell: Listener) -> list[str]:
        """As :meth:`raygp.watch.hands.Hands.ingest`.

        Raises:
            RaygpError: also where the process ended without a word.
        """
        return self._ask({"do": "ingest", "source": intake.source, "arrival": intake.arrival}, tell)

    def update(self, arrivals: Sequence[str], tell: Listener) -> list[str]:
        """As :meth:`raygp.watch.hands.Hands.update`.

        Raises:
            RaygpError: also where the process ended without a word.
        """
        return self._ask({"do": "update", "arrivals": list(arrivals)}, tell)

    def rest(self) -> None:
        """End the process."""
        process, events = self._process, self._events
        self._process = self._events = None
        if process is None:
            return
        with contextlib.suppress(OSError):
            self._input(process).close()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
            if events is not None:
                events.close()

    def _ask(self, request: dict[str, Any], tell: Listener) -> list[str]:
        process = self._started()
        try:
            self._send(request)
            return self._answer(tell)
        except RaygpError:
            raise
        except BaseException:
            # Asked to end: so is the update, which stores a checkpoint first. Asked again: at once.
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                with contextlib.suppress(RaygpError):
                    self._answer(tell)
            finally:
                self._drop()
            raise

    def _started(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._drop()
        reading, writing = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, str(writing)],
                stdin=subprocess.PIPE,
                pass_fds=[writing],
                text=True,
                # Ctrl-C in a terminal is for the watcher, who asks this one to end.
                start_new_session=True,
            )
        except OSError as error:
            os.close(reading)
            raise RaygpError(f"no process could be started for the update: {error.strerror}") from error
        finally:
            os.close(writing)
        self._events = os.fdopen(reading)
        self._send(self._opening)
        return self._process

    def _send(self, content: dict[str, Any]) -> None:
        assert self._process is not None
        stream = self._input(self._process)
        with contextlib.suppress(BrokenPipeError):  # It has ended: its answer says so.
            stream.write(json.dumps(content) + "\n")
            stream.flush()

    def _answer(self, tell: Listener) -> list[str]:
        """What the request came to; tells what happens until then."""
        assert self._process is not None and self._events is not None
        for line in self._events:
            content = json.loads(line)
            if "event" in content:
                tell(event_of(content))
            elif "error" in content:
                raise error_of(content)
            else:
                return list(content["done"])
        code = self._process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._drop()
        raise RaygpError(f"the process that updates for this watcher ended without a word ({how})")

    def _drop(self) -> None:
        """Let go of the process, whatever state it is in."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        with contextlib.suppress(Exception):
            self.rest()

    @staticmethod
    def _input(process: subprocess.Popen[str]) -> IO[str]:
        assert process.stdin is not None
        return process.stdin


def opening() -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """In the other process: what it needs to know, and then one request after the other, until the watcher is done with
    it. When the watcher goes away in the middle of a request, this process gets a SIGTERM."""
    first = json.loads(sys.stdin.readline() or "null")
    if first is None:
        raise SystemExit(0)
    return first, _Requests()


class _Requests:
    """Requests from standard input. A thread reads them, to notice at any time that the watcher is gone."""

    def __init__(self) -> None:
        self._ready = threading.Semaphore(0)
        self._waiting: list[str] = []
        self._busy = False
        threading.Thread(target=self._read, name="raygp-requests", daemon=True).start()

    def __iter__(self) -> _Requests:
        return self

    def __next__(self) -> dict[str, Any]:
        self._busy = False
        self._ready.acquire()
        line = self._waiting.pop(0)
        if not line:
            raise StopIteration
        self._busy = True
        content: dict[str, Any] = json.loads(line)
        return content

    def _read(self) -> None:
        while True:
            line = sys.stdin.readline()
            if not line and self._busy:
                os.kill(os.getpid(), signal.SIGTERM)
            self._waiting.append(line)
            self._ready.release()
            if not line:
                return


def serve(requests: Iterator[dict[str, Any]], hands: Hands, descriptor: int) -> None:
    """In the other process: do what is asked, and tell what happens.

    Args:
        requests: from :func:`opening`.
        hands: do it.
        descriptor: of the pipe for events.
    """

    def put(line: str) -> None:
        left = memoryview(f"{line}\n".encode())
        with contextlib.suppress(BrokenPipeError):  # The watcher is gone; what is begun ends as it should.
            while left:
                left = left[os.write(descriptor, left) :]

    for request in requests:
        try:
            done = _do(request, hands, lambda event: put(event_to_line(event)))
        except RaygpError as error:
            put(error_to_line(error))
        else:
            put(json.dumps({"done": done}))


def _do(request: dict[str, Any], hands: Hands, tell: Listener) -> list[str]:
    if request["do"] == "check":
        hands.check()
        return []
    if request["do"] == "ingest":
        return hands.ingest(Intake(request["source"], request["arrival"]), tell)
    return hands.update(request["arrivals"], tell)
