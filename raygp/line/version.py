"""One version of a model line: its card, and its model when that is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from raygp.errors import InputError
from raygp.events import Listener, unheard
from raygp.store import Card, Location, open_line

if TYPE_CHECKING:
    from torch import nn

    from raygp.export import Exported
    from raygp.inference import Predictor, Sample
    from raygp.tasks import Answer, Task
    from raygp.tasks.own import TaskCode


class Version:
    """A version of a line. Its card is read; weights and torch are loaded when the model is first used.

    Args:
        location: root of the line.
        card: what is known of the version.
        code: of a task of one's own; None: see :func:`raygp.tasks.make_task`.
    """

    def __init__(self, location: Location, card: Card, code: TaskCode | None = None) -> None:
        self.location, self.card, self.code = location, card, code

    def __repr__(self) -> str:
        return f"Version({self.name!r})"

    @property
    def name(self) -> str:
        """Such as ``v0003``."""
        return self.card.version

    @property
    def classes(self) -> list[str]:
        """The vocabulary, by id: classes, or the symbols of texts."""
        return self.card.classes

    @property
    def metrics(self) -> dict[str, float]:
        """What was measured of it, as fractions: ``val`` (what the gate judged by), and each metric on the test split
        (``test accuracy``, say) where there is one."""
        found = {"val": self.card.val_accuracy}
        return found | {f"test {name}": value for name, value in self.card.test_metrics.items()}

    @cached_property
    def task(self) -> Task:
        """The line's task.

        Raises:
            InputError: it is one's own, and its code was neither given nor found in the current folder.
        """
        from raygp.tasks import make_task

        task = self.card.task
        if self.code is not None and self.code.sha256 != task.get("sha256"):
            # The code was changed since, and that was confirmed: the line's task makes the older versions, too.
            task = open_line(self.location).task
        return make_task(task, self.code)

    def model(self) -> nn.Module:
        """A plain module on the CPU, in evaluation mode, zero where a connection is dormant; a new one at each call.

        Raises:
            InputError: the version's file is missing or damaged.
        """
        from raygp.inference import load_model

        return load_model(self.location, self.card, self.task)

    @cached_property
    def predictor(self) -> Predictor:
        """What answers samples with this version's model. Raises as :meth:`model`."""
        from raygp.inference import Predictor

        return Predictor(self.task, self.model(), self.classes)

    def predict(self, samples: Iterable[Sample]) -> Iterator[Answer]:
        """An answer to each sample, in order, batch by batch::

            for answer in line.head.predict(Path("new").glob("*.jpg")):
                print(answer.label, answer.probabilities[:3])

        A sample is the content of an image file (or of a recording, ...) or the path of one, which is read when its
        turn has come. One that cannot be read gets an answer that says why; the rest goes on.

        Raises as :meth:`model`.
        """
        if isinstance(samples, (str, bytes, PathLike)):
            raise InputError("predict takes a list of samples: give [sample] for a single one")
        return self.predictor.answers(samples)

    def export(
        self,
        out: str | Path,
        format: str = "onnx",
        *,
        quantize: str | None = None,
        dense: bool = False,
        license: str = "unknown",
        tell: Listener = unheard,
    ) -> Exported:
        """Write this version as files that run without raygp: the model, ``raygp.json``, a model card, ``predict.py``.

        The files are checked on rows that the line holds out; nothing is written if they do not give this version's
        answers. See :func:`raygp.export.export_version`.

        Args:
            out: the folder to make. It may exist if it is empty.
            format: ``onnx``, ``pt2``, ``safetensors``, ``state-dict``, or what a package adds.
            quantize: ``"int8"``: weights and activations of 8 bits, for ONNX.
            dense: ONNX: store every weight, also where most are zero.
            license: for the model card, such as ``"apache-2.0"``.
            tell: is told of the steps, as :class:`raygp.events.Notice`.

        Raises:
            InputError: the folder is not empty, the format is unknown or cannot hold this model, or a package is
                missing (``pip install 'raygp[export]'``).
            RaygpError: the written file does not give this version's answers.
        """
        from raygp.export import ExportRequest, export_version

        request = ExportRequest(Path(out), format, quantize, dense, license)
        return export_version(self.location, self.card, self.predictor, request, tell)
