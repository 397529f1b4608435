"""Classifiers of model libraries by their name there: ``timm:mobilenetv3_small_050``, ``torchvision:resnet50``.

No file has to be written. What raygp has to know of a model (input size, normalisation, output layer, what stays dense,
which plans suit it) is looked up when a line is made and written into the task's spec, from which alone workers rebuild
the model. Importing this package loads neither torch nor a library.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from raygp.errors import InputError
from raygp.tasks.kind import TASKS
from raygp.tasks.making import OWN

__all__ = ["LIBRARIES", "named_model", "title_of"]

LIBRARIES: tuple[str, ...] = ("timm", "torchvision")
"""Libraries whose classifiers are known by name: each is a task."""


def named_model(text: str) -> dict[str, Any]:
    """The task that a model's name stands for: ``timm:resnet50d`` is task ``timm`` with that model, ``resnet18`` the
    task of that name.

    Raises:
        InputError: no library or task is called that; whether the library has the model is not looked up.
    """
    library, colon, model = text.partition(":")
    if not colon:
        if text in LIBRARIES:
            raise InputError(f"--model {text}: which one? Write {text}:NAME, such as {_EXAMPLES[text]}")
        if text not in TASKS:
            forms = " or ".join(f"{name}:NAME" for name in LIBRARIES)
            raise InputError(
                f"--model: no model is called '{text}'{TASKS.suggestion(text)}; known are "
                f"{', '.join(name for name in TASKS if name not in LIBRARIES)}, or of a library: {forms}"
            )
        return {"name": text}
    if library not in LIBRARIES:
        close = difflib.get_close_matches(library, LIBRARIES, n=1)
        hint = f" (did you mean '{close[0]}:{model}'?)" if close else ""
        raise InputError(f"--model {text}: no library is called '{library}'{hint}; known are {', '.join(LIBRARIES)}")
    if not model:
        raise InputError(f"--model {text}: which one? Such as {_EXAMPLES[library]}")
    return {"name": library, "model": model}


def title_of(task: Mapping[str, Any]) -> str:
    """What people call a task, from its spec: its name, and its model if it is of a library; of one's own, its class
    and file."""
    if task["name"] == OWN:
        return f"{task['class']} of {task['file']}"
    return f"{task['name']}:{task['model']}" if task["name"] in LIBRARIES else str(task["name"])


_EXAMPLES = {"timm": "timm:mobilenetv3_small_050", "torchvision": "torchvision:resnet50"}
