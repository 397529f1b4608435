"""``predict.py``: a short program that answers files with the exported folder alone.

It is put together from a reader, which turns a file into a decoded sample as the task does, and a runtime, which loads
and runs the model's file. raygp itself reads what no reader here can read, and the program says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raygp.data.sources.kind import medium_of
from raygp.export.readers import CLASS_ANSWER, NUMBER_ANSWER, READERS
from raygp.store import Card
from raygp.tasks.protocol import Task


@dataclass(frozen=True)
class Runtime:
    """How ``predict.py`` loads a model and calls it."""

    needs: tuple[str, ...]
    """Packages, as pip calls them."""
    imports: tuple[str, ...]
    """Lines."""
    load: tuple[str, ...]
    """Lines that set ``MODEL``; the file lies beside ``__file__``, and ``ABOUT`` is what raygp.json says."""
    call: str
    """An expression: the outputs as an array. INPUTS stands for the inputs, an array; LENGTHS for their lengths."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The content of files beside it that hold code of the model, by name."""
    only: str = ""
    """The one kind of preprocessing that it goes with; empty: with any. ``raygp``: it wants the task in ``TASK``, and
    gives an answer itself, from the file's bytes in place of INPUTS."""


@dataclass(frozen=True)
class Program:
    """A ``predict.py``."""

    text: str
    needs: tuple[str, ...]
    """Packages, as pip calls them."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The content of files beside it, by name."""


def standalone(card: Card, runtime: Runtime, task: Task, preprocessing: Mapping[str, Any]) -> Program | None:
    """The program that needs no raygp; None if there is none for this kind of preprocessing and runtime.

    Args:
        card: of the version.
        runtime: that of the format.
        task: of the version.
        preprocessing: what is known of it (:func:`raygp.export.describing.preprocessing_of`).
    """
    reader = READERS.get(preprocessing["kind"])
    if reader is None or runtime.only not in ("", preprocessing["kind"]):
        return None
    inputs = "inputs" if "LENGTHS" in runtime.call else "decode(file)[None]"
    call = runtime.call.replace("INPUTS", inputs).replace("LENGTHS", _LENGTHS)
    first = ("    inputs = decode(file)[None]",) if inputs == "inputs" else ()
    answers = reader.answer or (CLASS_ANSWER if task.labels_are_classes else NUMBER_ANSWER)
    answer = (*first, *(line.replace("CALL", call) for line in answers))
    needs = tuple(dict.fromkeys((*reader.needs, *runtime.needs)))
    about = f"What {card.version} says of {reader.what}: python predict.py FILE ..."
    imports = (*reader.imports, *runtime.imports)
    files = {**runtime.files, **reader.files(task)}
    return Program(_text(about, needs, imports, runtime.load, (*reader.lines, ""), answer), needs, files)


def with_raygp(card: Card, runtime: Runtime, task: Task, code: str = "") -> Program:
    """The program that has raygp read files and outputs.

    Args:
        card: of the version.
        runtime: that of the format.
        task: of the version.
        code: name of the file in the folder that holds a task of one's own; empty: the task is one of raygp's or of a
            package.
    """
    imports: tuple[str, ...] = ("from raygp.tasks import make_task", *runtime.imports)
    load, content = 'TASK = make_task(ABOUT["task"])', "Path(file).read_bytes()"
    if code:
        imports = (*imports, "from raygp.tasks.own import read_code")
        load = f'TASK = make_task(ABOUT["task"], read_code(Path(__file__).with_name("{code}"))[0])'
    medium = medium_of(task)
    if medium == "text":  # In whatever encoding it is, as ``raygp predict`` reads it.
        imports, content = (*imports, "from raygp.data.sources.texts import TextFile"), "TextFile(file)()"
    answer = [f"    content = {content}"]
    if runtime.only == "raygp":
        answer += [
            f"    found = {runtime.call.replace('INPUTS', 'content')}",
            "    if found.problem:",
            "        raise ValueError(found.problem)",
        ]
    else:
        imports = ("import numpy as np", "import torch", *imports)
        outputs = "torch.from_numpy(outputs)"
        if task.sequences:
            imports = (*imports, "from raygp.tasks import Padded")
            outputs = f"Padded({outputs}, torch.tensor([outputs.shape[1]]))"
        answer += [
            *(["    TASK.refuse(content)"] if hasattr(task, "refuse") else []),
            "    inputs = TASK.decode(content)[None]",
            f"    outputs = {runtime.call.replace('INPUTS', 'inputs').replace('LENGTHS', _LENGTHS)}",
            f'    found = TASK.answers({outputs}, ABOUT["classes"])[0]',
        ]
    answer.append('    return [f"{name} {p:.1%}" for name, p in found.probabilities[:5]] or [found.label]')
    needs = tuple(dict.fromkeys((*runtime.needs, "raygp")))
    one = _ONE.get(medium or "", "sample")
    about = f"What {card.version} says of files, each of one {one}: python predict.py FILE ..."
    text = _text(about, needs, imports, (load, *runtime.load), (), answer)
    return Program(text, needs, runtime.files)


_ONE = {"row": "row, a JSON object of its columns by name", "text": "text", "image": "image", "audio": "recording"}
"""What a file holds, by what a task's samples are."""


def _text(
    about: str,
    needs: Sequence[str],
    imports: Sequence[str],
    load: Sequence[str],
    decode: Sequence[str],
    answer: Sequence[str],
) -> str:
    used = {line for line in imports if "np" not in line or any("np." in other for other in (*decode, *answer))}
    lines = [
        f'"""{about} Needs: pip install {" ".join(needs)}"""',
        *sorted({"import json", "import sys", "from pathlib import Path", *used}, key=_import_key),
        "",
        'ABOUT = json.loads(Path(__file__).with_name("raygp.json").read_text(encoding="utf-8"))',
        *load,
        "",
        *decode,
        "def answer(file):",
        *answer,
        "",
        "unread = 0",
        'for path in sys.argv[1:] if __name__ == "__main__" else ():',
        "    try:",
        '        print(path, *answer(path), sep="\\t")',
        "    except Exception as error:",
        "        unread = 2",
        '        print(f"{path}: {error}", file=sys.stderr)',
        "sys.exit(unread) if unread else None",
    ]
    return "\n".join(lines) + "\n"


_LENGTHS = "np.array([inputs.shape[1]])"


def _import_key(line: str) -> tuple[bool, str]:
    """``import x`` before ``from x import y``, as people sort them."""
    return line.startswith("from"), line.split()[1]
