"""Where the code of a model is, for formats that hold parameters alone."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from raygp.export.describing import preprocessing_of
from raygp.export.programs import Runtime
from raygp.export.whole import Subject

_NORMALISED = "MODEL((torch.from_numpy(INPUTS) / 255 - MEAN) / STD).detach().numpy()"
_STATISTICS = 'MEAN, STD = (torch.tensor(ABOUT["preprocessing"][name])[:, None, None] for name in ("mean", "std"))'


@dataclass(frozen=True)
class Rebuilding:
    """How a model is made whose parameters are loaded after that."""

    what: str
    """In words: "torchvision.models.resnet18(num_classes=10)"."""
    needs: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    """They set ``MODEL``. Empty: raygp makes it."""

    def runtime(self, needs: Sequence[str], imports: Sequence[str], load: str) -> Runtime:
        """The runtime of a format.

        Args:
            needs: packages of the format.
            imports: of the format.
            load: the line that loads parameters into ``MODEL``.
        """
        if not self.lines:
            return Runtime(
                needs=(*needs, "raygp"),
                imports=(*imports, "from raygp.inference import Predictor"),
                load=(
                    'MODEL = TASK.build_model(len(ABOUT["classes"]))',
                    load,
                    'PREDICTOR = Predictor(TASK, MODEL, ABOUT["classes"])',
                ),
                call="next(PREDICTOR.answers([INPUTS]))",
                only="raygp",
            )
        return Runtime(
            needs=tuple(dict.fromkeys((*needs, *self.needs))),
            imports=tuple(dict.fromkeys((*imports, "import torch", *self.imports))),
            load=(*self.lines, load, "MODEL.eval()", _STATISTICS),
            call=_NORMALISED,
            only="image",
        )


def rebuilding(subject: Subject) -> Rebuilding:
    """How the model of a version is made, from the library that has it where one has."""
    spec = subject.task.spec.model_dump()
    # Only of images is it known here how their inputs are normalised.
    if preprocessing_of(subject.task)["kind"] != "image":
        return Rebuilding(f"raygp.tasks.make_task(ABOUT['task']).build_model({len(subject.card.classes)})")
    name, classes, channels = spec["name"], len(subject.card.classes), spec.get("channels")
    if name == "resnet18" and channels == 3:
        made = f"resnet18(num_classes={classes})"
        return Rebuilding(
            f"torchvision.models.{made}",
            ("torchvision",),
            ("from torchvision.models import resnet18",),
            (f"MODEL = {made}",),
        )
    if layers := _sequential(subject.model):
        text = f"MODEL = nn.Sequential(OrderedDict({layers}))"
        return Rebuilding(
            "the torch.nn.Sequential that predict.py makes",
            (),
            ("from collections import OrderedDict", "from torch import nn"),
            tuple(textwrap.wrap(text, 110, subsequent_indent="    ", break_long_words=False)),
        )
    return Rebuilding(f"raygp.tasks.make_task(ABOUT['task']).build_model({classes}), raygp's own {name}")


def _sequential(model: nn.Module) -> str:
    """Arguments that make a flat torch.nn.Sequential again, ``fc1=nn.Linear(...), ...``; empty for other models."""
    layers = dict(model.named_children())
    plain = all(
        module.__module__.startswith("torch.nn.modules.") and not list(module.children()) for module in layers.values()
    )
    if type(model) is not nn.Sequential or not plain or not all(name.isidentifier() for name in layers):
        return ""
    return ", ".join(f"{name}=nn.{module!r}" for name, module in layers.items())
