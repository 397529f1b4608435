"""Where the code of a model is, for formats that hold parameters alone."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from torch import nn

from raygp.export.describing import preprocessing_of
from raygp.export.programs import Runtime
from raygp.export.readers import copied
from raygp.export.whole import Subject
from raygp.tasks import row_features, transformer

_OF_TORCH = ("from collections import OrderedDict", "", "import torch", "from torch import nn")

_TEMPLATE = '''"""The model whose parameters lie beside this file, and what it takes. Needs: pip install {needs}"""
{imports}


def make_model(state):
    """The model with the parameters of a state dict, ready to answer."""
    model = {made}
    model.load_state_dict(state)
    return model.eval()

{prepare}'''
_PIXELS = '''
def prepare(pixels):
    """The model's input from an array of pixels: uint8, N x channels x height x width."""
    mean, std = (torch.tensor(values)[:, None, None] for values in ({mean}, {std}))
    return (torch.from_numpy(pixels) / 255 - mean) / std
'''
_AS_IT_IS = '''
def prepare(array):
    """The model's input from an array: {what}."""
    return torch.from_numpy(array)
'''
_INPUTS = {
    "text": "ids of tokens, int64, N x length, as raygp.json says",
    "row": "values of rows, float32, N x values, as raygp.json says",
}


@dataclass(frozen=True)
class Rebuilding:
    """How a model is made whose parameters are loaded after that."""

    what: str
    """In words: "torchvision.models.resnet18(num_classes=10)"."""
    needs: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    """The content of ``model.py``, and of what it needs beside it. Empty: raygp makes the model."""
    kind: str = "image"
    """Of preprocessing that it goes with."""

    def runtime(self, needs: Sequence[str], imports: Sequence[str], load: str) -> Runtime:
        """The runtime of a format.

        Args:
            needs: packages of the format.
            imports: of the format.
            load: an expression that gives the state dict.
        """
        if not self.files:
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
            files=self.files,
            only=self.kind,
        )


@dataclass(frozen=True)
class _Made:
    """An expression that makes a model."""

    expression: str
    imports: tuple[str, ...] = _OF_TORCH
    needs: tuple[str, ...] = ()
    """Packages besides torch."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Modules that it needs beside it, by name."""


def rebuilding(subject: Subject) -> Rebuilding:
    """How the model of a version is made, from the library that has it where one has."""
    spec, preprocessing = subject.task.spec.model_dump(), preprocessing_of(subject.task)
    kind, made = preprocessing["kind"], _made(subject)
    # What becomes of a decoded sample is known here of these alone.
    if made is None or kind not in ("image", *_INPUTS):
        name = f"raygp's {spec['name']}" if spec["name"] != "own" else f"{spec['file']}"
        return Rebuilding(f"{name}, which predict.py has raygp make")
    if kind == "image":
        prepare = _PIXELS.format(mean=preprocessing["mean"], std=preprocessing["std"])
    else:
        prepare = _AS_IT_IS.format(what=_INPUTS[kind])
    code = _TEMPLATE.format(
        needs=" ".join(("torch", *made.needs)),
        imports="\n".join(made.imports),
        made="\n    ".join(textwrap.wrap(made.expression, 104, subsequent_indent="    ", break_long_words=False)),
        prepare=prepare,
    )
    files = {"model.py": code, **made.files}
    return Rebuilding("the model that model.py makes", ("torch", *made.needs), files, kind)


def _made(subject: Subject) -> _Made | None:
    """How a model is made; None if nothing here knows."""
    spec, model, classes = subject.task.spec.model_dump(), subject.model, len(subject.card.classes)
    if spec["name"] == "resnet18" and spec["channels"] == 3:
        return _of_library("torchvision", f"torchvision.models.resnet18(num_classes={classes})")
    # The fields of raygp.tasks.libraries.task.LibrarySpec.
    given = "".join(f", {key}={value!r}" for key, value in spec.get("arguments", {}).items())
    if spec["name"] == "torchvision" and spec["channels"] == 3:
        made = f"torchvision.models.get_model({spec['model']!r}, num_classes={classes}{given})"
        return _of_library("torchvision", made)
    if spec["name"] == "timm":
        channels = f"num_classes={classes}, in_chans={spec['channels']}"
        return _of_library("timm", f"timm.create_model({spec['model']!r}, {channels}{given})")
    if type(model) is transformer.TextTransformer:
        beside = ("import torch", "from transformer import TextTransformer")
        return _Made(f"TextTransformer({_arguments(model)})", beside, files=copied(transformer=transformer))
    layers = _sequential(model)
    if not layers:
        return None
    expression = f"nn.Sequential(OrderedDict({layers}))"
    if any(type(layer) is row_features.RowFeatures for layer in model.children()):
        imports = (*_OF_TORCH, "from row_features import RowFeatures")
        return _Made(expression, imports, files=copied(row_features=row_features))
    return _Made(expression)


def _of_library(name: str, expression: str) -> _Made:
    return _Made(expression, ("import torch", f"import {name}"), (name,))


def _arguments(model: transformer.TextTransformer) -> str:
    length, width = model.positions.shape
    block = model.blocks[0]
    assert isinstance(block, transformer.Block)
    tokens = model.embedding.num_embeddings - 1
    return f"{tokens}, {length}, {width}, {len(model.blocks)}, {block.heads}, {model.classifier.out_features}"


def _sequential(model: nn.Module) -> str:
    """Arguments that make a flat torch.nn.Sequential again, ``fc1=nn.Linear(...), ...``; empty for other models."""
    layers = {name: _layer(module) for name, module in model.named_children()}
    if type(model) is not nn.Sequential or not all(layers.values()) or not all(map(str.isidentifier, layers)):
        return ""
    return ", ".join(f"{name}={made}" for name, made in layers.items())


def _layer(module: nn.Module) -> str:
    """An expression that makes a layer; empty if it is none of torch's."""
    if type(module) is row_features.RowFeatures:
        places = [cast(nn.Embedding, embedding).num_embeddings for embedding in module.embeddings]
        return f"RowFeatures({module.plain}, {places})"
    of_torch = module.__module__.startswith("torch.nn.modules.") and not list(module.children())
    return f"nn.{module!r}" if of_torch else ""
