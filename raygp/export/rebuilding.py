"""Where the code of a model is, for formats that hold parameters alone."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from raygp.export.describing import preprocessing_of
from raygp.export.programs import Runtime
from raygp.export.whole import Subject

_TEMPLATE = '''"""The model whose parameters lie beside this file, and what it takes. Needs: pip install {needs}"""
{imports}


def make_model(state):
    """The model with the parameters of a state dict, ready to answer."""
    model = {made}
    model.load_state_dict(state)
    return model.eval()


def prepare(pixels):
    """The model's input from an array of pixels: uint8, N x channels x height x width."""
    mean, std = (torch.tensor(values)[:, None, None] for values in ({mean}, {std}))
    return (torch.from_numpy(pixels) / 255 - mean) / std
'''


@dataclass(frozen=True)
class Rebuilding:
    """How a model is made whose parameters are loaded after that."""

    what: str
    """In words: "torchvision.models.resnet18(num_classes=10)"."""
    needs: tuple[str, ...] = ()
    code: str = ""
    """The content of ``model.py``. Empty: raygp makes it."""

    def runtime(self, needs: Sequence[str], imports: Sequence[str], load: str) -> Runtime:
        """The runtime of a format.

        Args:
            needs: packages of the format.
            imports: of the format.
            load: an expression that gives the state dict.
        """
        if not self.code:
            return Runtime(
                needs=(*needs, "raygp"),
                imports=(*imports, "from raygp.inference import Predictor"),
                load=(
                    'MODEL = TASK.build_model(len(ABOUT["classes"]))',
                    f"MODEL.load_state_dict({load})",
                    'PREDICTOR = Predictor(TASK, MODEL, ABOUT["classes"])',
                ),
                call="next(PREDICTOR.answers([INPUTS]))",
                only="raygp",
            )
        return Runtime(
            needs=tuple(dict.fromkeys((*needs, *self.needs))),
            imports=tuple(dict.fromkeys((*imports, "from model import make_model, prepare"))),
            load=(f"MODEL = make_model({load})",),
            call="MODEL(prepare(INPUTS)).detach().numpy()",
            code=self.code,
            only="image",
        )


def rebuilding(subject: Subject) -> Rebuilding:
    """How the model of a version is made, from the library that has it where one has."""
    spec, classes = subject.task.spec.model_dump(), len(subject.card.classes)
    preprocessing = preprocessing_of(subject.task)
    made, needs = _made(spec, subject.model, classes)
    # Only of images is it known here how their inputs are normalised.
    if not made or preprocessing["kind"] != "image":
        name = f"raygp's {spec['name']}" if spec["name"] != "own" else f"{spec['file']}"
        return Rebuilding(f"{name}, which predict.py has raygp make")
    library: tuple[str, ...] = ("from collections import OrderedDict", "", "import torch", "from torch import nn")
    if needs:
        library = ("import torch", f"import {needs[0]}")
    code = _TEMPLATE.format(
        needs=" ".join(("torch", *needs)),
        imports="\n".join(library),
        made="\n    ".join(textwrap.wrap(made, 104, subsequent_indent="    ", break_long_words=False)),
        mean=preprocessing["mean"],
        std=preprocessing["std"],
    )
    return Rebuilding("the model that model.py makes", ("torch", *needs), code)


def _made(spec: Mapping[str, Any], model: nn.Module, classes: int) -> tuple[str, tuple[str, ...]]:
    """An expression that makes a model, and the package that it takes besides torch; empty if there is none."""
    if spec["name"] == "resnet18" and spec["channels"] == 3:
        return f"torchvision.models.resnet18(num_classes={classes})", ("torchvision",)
    # The fields of raygp.tasks.libraries.task.LibrarySpec.
    given = "".join(f", {key}={value!r}" for key, value in spec.get("arguments", {}).items())
    if spec["name"] == "torchvision" and spec["channels"] == 3:
        return f"torchvision.models.get_model({spec['model']!r}, num_classes={classes}{given})", ("torchvision",)
    if spec["name"] == "timm":
        channels = f"num_classes={classes}, in_chans={spec['channels']}"
        return f"timm.create_model({spec['model']!r}, {channels}{given})", ("timm",)
    layers = _sequential(model)
    return (f"nn.Sequential(OrderedDict({layers}))" if layers else ""), ()


def _sequential(model: nn.Module) -> str:
    """Arguments that make a flat torch.nn.Sequential again, ``fc1=nn.Linear(...), ...``; empty for other models."""
    layers = dict(model.named_children())
    plain = all(
        module.__module__.startswith("torch.nn.modules.") and not list(module.children()) for module in layers.values()
    )
    if type(model) is not nn.Sequential or not plain or not all(name.isidentifier() for name in layers):
        return ""
    return ", ".join(f"{name}=nn.{module!r}" for name, module in layers.items())
