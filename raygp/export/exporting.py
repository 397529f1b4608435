"""From a version to a folder of files: everything is written beside, checked, and put in place at the end."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygp.errors import InputError, RaygpError
from raygp.events import Listener, Notice, unheard
from raygp.export.formats import FORMATS, ModelFormat
from raygp.export.request import Exported, ExportRequest
from raygp.record import measured
from raygp.tasks.traits import metric_name

if TYPE_CHECKING:
    from raygp.export.checking import Check
    from raygp.export.held_out import Rows
    from raygp.export.programs import Program
    from raygp.export.whole import Subject
    from raygp.inference import Predictor
    from raygp.store import Card, Location
    from raygp.tasks import Answer

ABOUT, CARD, PROGRAM, CONFIG = "raygp.json", "README.md", "predict.py", "config.json"
_CALIBRATION_ROWS = 128
_MEASURED_ROWS = 1_000
"""Held-out rows on which the accuracy of a quantized model is measured, at most."""


def export_version(
    location: Location, card: Card, predictor: Predictor, request: ExportRequest, tell: Listener = unheard
) -> Exported:
    """Write a version's model, ``raygp.json``, ``README.md`` and ``predict.py`` into a folder.

    The model's file is run on rows that the line holds out, in batches of 1, 3 and 32, and must give the version's
    answers; so must ``predict.py``, with raygp's own decoding where its own is not the same. Else nothing is written.

    Args:
        location: root of the line.
        card: of the version.
        predictor: of the version.
        request: the folder, the format and the rest.
        tell: is told of the steps, as notices.

    Raises:
        InputError: the format is unknown or cannot hold this model, a package is missing, or the folder cannot be used.
        RaygpError: the exported file does not give the version's answers.
    """
    form = FORMATS.get(request.format)
    if request.quantize and not form.quantizes:
        able = ", ".join(name for name in FORMATS if FORMATS.get(name).quantizes)
        raise InputError(f"--quantize {request.quantize} works with --format {able}, not {request.format}")
    form.require()
    say = _Say(card.version, tell)
    with _folder(request.out) as folder:
        about = _Export(location, card, predictor, request, form, folder, say).run()
    say(f"{request.out} holds {', '.join((*about['files'], ABOUT))}")
    return Exported(request.out, card.version, about)


class _Say:
    """Tells a listener of steps."""

    def __init__(self, version: str, tell: Listener) -> None:
        self._version, self._tell = version, tell

    def __call__(self, text: str) -> None:
        self._tell(Notice(text=f"{self._version}: {text}"))


class _Export:
    """One export into a folder that is there and empty."""

    def __init__(
        self,
        location: Location,
        card: Card,
        predictor: Predictor,
        request: ExportRequest,
        form: ModelFormat,
        folder: Path,
        say: _Say,
    ) -> None:
        self._location, self._card, self._predictor = location, card, predictor
        self._request, self._form, self._folder, self._say = request, form, folder, say
        self._task = predictor.task

    def run(self) -> dict[str, Any]:
        """Write and check everything; returns what ``raygp.json`` says."""
        from raygp.export.checking import ROWS
        from raygp.export.describing import describe, files_of
        from raygp.export.held_out import held_out_rows
        from raygp.export.hub import hub_config
        from raygp.export.model_card import model_card
        from raygp.export.whole import Subject
        from raygp.store import find_manifests

        rows = held_out_rows(self._location, self._card, _MEASURED_ROWS if self._request.quantize else ROWS)
        decoded = rows.decoded(self._task)
        subject = Subject(self._task, self._card, self._predictor.model, self._examples() or decoded)
        facts = self._write(subject)
        check, quantized = self._check(subject, rows, decoded)
        manifests = find_manifests(self._location, self._card.arrivals)
        about = describe(self._location, subject, manifests, self._request, {"file": self._form.file, **facts})
        about |= {"check": check.plain() if check else None, "quantized": quantized, "files": {}}
        self._store(about)
        program = self._program(subject, about, rows)
        if config := hub_config(subject, about["preprocessing"]):
            self._put_json(CONFIG, config)
        about["needs"] = list(program.needs)
        about["files"] = files_of(self._folder)
        (self._folder / CARD).write_text(model_card(about, program.needs, self._form.library), encoding="utf-8")
        about["files"] = files_of(self._folder)
        self._store(about)
        return about

    def _examples(self) -> list[Any]:
        """Samples that quantization takes its ranges from; empty where nothing is quantized."""
        from raygp.export.held_out import training_rows

        if not self._request.quantize:
            return []
        return training_rows(self._location, self._card, _CALIBRATION_ROWS).decoded(self._task)

    def _write(self, subject: Subject) -> dict[str, Any]:
        self._say(f"writing {self._form.file}")
        path = self._folder / self._form.file
        facts = self._form.write(subject, path, self._request)
        if not self._request.dense and str(facts.get("weights")).startswith("dense: "):
            self._say(f"{self._form.file} holds every weight: {facts['weights'].removeprefix('dense: ')}")
        size, dense = path.stat().st_size, facts.get("bytes_if_dense")
        beside = f" ({size / dense:.0%} of the {_size(dense)} that it takes dense)" if dense and size < dense else ""
        self._say(f"{self._form.file} has {_size(size)}{beside}")
        return facts

    def _check(self, subject: Subject, rows: Rows, decoded: list[Any]) -> tuple[Check | None, dict[str, Any] | None]:
        """Run the file: the comparison, or for int8 the accuracies."""
        from raygp.export.checking import BATCH_SIZES, accuracy, check_file

        run = self._form.open(subject, self._folder / self._form.file)
        check = check_file(subject, run, decoded, exact=not self._request.quantize)
        if not self._request.quantize:
            sizes = ", ".join(map(str, BATCH_SIZES[:-1])) + f" and {BATCH_SIZES[-1]}"
            self._say(
                f"same answers on {check.rows} held-out rows, in batches of {sizes}: outputs differ by "
                f"{check.largest:.1e} at most"
            )
            return check, None
        found: dict[str, Any] = {
            "kind": self._request.quantize,
            "metric": self._task.metrics[0],
            "rows": len(rows),
            "quantized": accuracy(subject, run, rows, decoded),
            "version": accuracy(subject, subject.run, rows, decoded),
        }
        ours, before = (measured(found[whose], metric_name(self._task)) for whose in ("quantized", "version"))
        self._say(f"{found['metric']} on {len(rows):,} held-out rows: {ours} as {found['kind']}, {before} before")
        return None, found

    def _program(self, subject: Subject, about: dict[str, Any], rows: Rows) -> Program:
        """Write the ``predict.py`` that gives the right answers and needs least."""
        from raygp.export.checking import check_program
        from raygp.export.programs import standalone, with_raygp

        runtime, whom = self._form.runtime(subject), "the quantized model" if self._request.quantize else "the version"
        answers, scale = self._answers(subject, rows), getattr(self._task, "scale", (0.0, 1.0))
        program = standalone(self._card, runtime, self._task, about["preprocessing"])
        if program is not None:
            self._put(program)
            problem = check_program(self._folder, answers, rows.samples, scale)
            if not problem:
                self._say(f"{PROGRAM} answers as {whom}; it needs {', '.join(program.needs)}")
                return program
            for name in program.files:
                (self._folder / name).unlink()
            self._say(f"{PROGRAM} leaves the reading of files to raygp, for without it {problem}")
        program = with_raygp(self._card, runtime, self._task, self._own_code())
        self._put(program)
        problem = check_program(self._folder, answers, rows.samples, scale)
        if problem:
            wrong = f"{PROGRAM} does not give its answers: {problem}"
            raise RaygpError(f"{self._card.version}: {wrong}. Nothing was written")
        self._say(f"{PROGRAM} answers as {whom}; it needs {', '.join(program.needs)}")
        return program

    def _answers(self, subject: Subject, rows: Rows) -> list[Answer]:
        """What ``predict.py`` has to say: the version's answers, or those of the file where int8 has changed them."""
        samples = rows.samples[:_PROGRAM_ROWS]
        if not self._request.quantize:
            return list(self._predictor.answers(samples))
        from raygp.export.checking import file_answers

        return file_answers(subject, self._form.open(subject, self._folder / self._form.file), samples)

    def _own_code(self) -> str:
        """Name of the file of a task of one's own, once it lies in the folder; empty where there is none."""
        code = getattr(self._task, "code", None)
        if code is None or not code.is_file:
            return ""
        # As it was read: its SHA-256 is part of the task.
        (self._folder / code.file).write_text(code.text, encoding="utf-8", newline="")
        return str(code.file)

    def _put(self, program: Program) -> None:
        for name, content in {**program.files, PROGRAM: program.text}.items():
            (self._folder / name).write_text(content, encoding="utf-8")

    def _store(self, about: dict[str, Any]) -> None:
        self._put_json(ABOUT, about)

    def _put_json(self, name: str, content: dict[str, Any]) -> None:
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (self._folder / name).write_text(text, encoding="utf-8")


_PROGRAM_ROWS = 36


def _size(count: float) -> str:
    return f"{count / 1e6:,.2f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """A new folder beside ``out`` that takes its place at the end of the block, and is gone if the block fails."""
    out = out.absolute()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise _unwritable(out, error) from error
    try:
        try:
            yield folder
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise _unwritable(out, error) from error
        folder.chmod(0o777 & ~_umask())
        try:
            folder.rename(out)
        except OSError as error:
            raise InputError(f"{out} was taken meanwhile: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unwritable(out: Path, error: OSError) -> InputError:
    return InputError(f"{out} cannot be written: {error.strerror or error}")


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""What a disk says that takes no more; other errors have to do with what is read."""


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
