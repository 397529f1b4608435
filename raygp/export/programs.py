"""``predict.py``: a short program that answers files with the exported folder alone.

It is put together from a reader, which turns a file into a decoded sample as the task does, and a runtime, which loads
and runs the model's file. raygp itself reads what no reader here can read, and the program says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygp.data.sources.kind import medium_of
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
    code: str = ""
    """The content of a ``model.py`` beside it, which makes the model; empty: there is none."""
    only: str = ""
    """The one kind of preprocessing that it goes with; empty: with any. ``raygp``: it wants the task in ``TASK``, and
    gives an answer itself, from the file's bytes in place of INPUTS."""


@dataclass(frozen=True)
class Reader:
    """How ``predict.py`` reads a file."""

    needs: tuple[str, ...]
    imports: tuple[str, ...]
    lines: tuple[str, ...]
    """A function ``decode`` and what it needs."""
    answer: tuple[str, ...]
    """The body of the function ``answer``, which gives the parts of a line; CALL stands for the runtime's call."""
    what: str
    """What the files are."""


_IMAGE = Reader(
    needs=("numpy", "pillow"),
    imports=("import numpy as np", "from PIL import Image, ImageOps"),
    lines=(
        "def decode(file):",
        '    want, image = ABOUT["preprocessing"], Image.open(file)',
        # Pillow opens PNGs of 16 bits and two channels or more, and TIFFs of three, as if they had 8.
        '    deep = image.mode[0] in "IF" or max(getattr(image, "tag_v2", {}).get(258, [8])) > 8 or ";16B" in '
        "str(image.tile)",
        "    if deep or min(image.size) < 2:",
        '        raise ValueError("more than 8 bits a channel: convert it to 8 first" if deep else "fewer than 2 x 2 '
        'pixels")',
        '    image.draft("L" if want["channels"] == 1 else "RGB", image.size)',
        "    image = ImageOps.exif_transpose(image)",
        "    if image.has_transparency_data:",
        '        image = Image.alpha_composite(Image.new("RGBA", image.size, want["background"]), '
        'image.convert("RGBA"))',
        "    x, y, side = max(0, image.width - image.height) // 2, max(0, image.height - image.width) // 2, "
        "min(image.size)",
        '    image = image.convert("L" if want["channels"] == 1 else "RGB").crop((x, y, x + side, y + side))',
        '    return np.atleast_3d(np.array(image.resize((want["width"], want["height"]), Image.BILINEAR)))'
        ".transpose(2, 0, 1)",
    ),
    answer=(
        "    logits = CALL[0].astype(np.float64)",
        "    p = np.exp(logits - np.logaddexp.reduce(logits))",
        """    return [f"{ABOUT['classes'][i]} {p[i]:.1%}" for i in np.argsort(-p, kind="stable")[:5]]""",
    ),
    what="image files",
)

_SPEECH = Reader(
    needs=("numpy", "soundfile"),
    imports=("import numpy as np", "import soundfile"),
    lines=(
        "def decode(file):",
        '    values, rate = soundfile.read(file, dtype="float32", always_2d=True)',
        "    if rate != 16000:",
        '        raise ValueError(f"{rate} Hz: convert it first, ffmpeg -i IN -ar 16000 OUT.wav")',
        '    wave = np.pad(values.mean(axis=1), 200, mode="reflect")',
        "    frames = np.lib.stride_tricks.sliding_window_view(wave, 400)[::160]",
        "    power = np.abs(np.fft.rfft(frames * np.hanning(401)[:-1])) ** 2",
        '    mels = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), ABOUT["preprocessing"]["mels"] + 2)',
        "    points, at = 700 * (10 ** (mels / 2595) - 1), np.linspace(0, 8000, 201)[:, None]",
        "    rise, fall = (at - points[:-2]) / np.diff(points)[:-1], (points[2:] - at) / np.diff(points)[1:]",
        "    log = np.log(power @ np.maximum(0, np.minimum(rise, fall)) + 1e-6)",
        "    return ((log - log.mean(axis=0)) / (log.std(axis=0, ddof=1) + 1e-5)).astype(np.float16)",
    ),
    answer=(
        "    path = CALL[0].argmax(axis=-1)",
        '    return ["".join(ABOUT["classes"][i - 1] for i, last in zip(path, [0, *path]) if i and i != last)]',
    ),
    what="sound files of 16 kHz",
)

READERS: Mapping[str, Reader] = {"image": _IMAGE, "speech": _SPEECH}
"""By kind of preprocessing (:class:`raygp.tasks.preprocessing.Described`)."""


@dataclass(frozen=True)
class Program:
    """A ``predict.py``."""

    text: str
    needs: tuple[str, ...]
    """Packages, as pip calls them."""


def standalone(card: Card, runtime: Runtime, preprocessing: Mapping[str, Any]) -> Program | None:
    """The program that needs no raygp; None if there is none for this kind of preprocessing and runtime."""
    reader = READERS.get(preprocessing["kind"])
    if reader is None or runtime.only not in ("", preprocessing["kind"]):
        return None
    inputs = "inputs" if "LENGTHS" in runtime.call else "decode(file)[None]"
    call = runtime.call.replace("INPUTS", inputs).replace("LENGTHS", _LENGTHS)
    first = ("    inputs = decode(file)[None]",) if inputs == "inputs" else ()
    answer = (*first, *(line.replace("CALL", call) for line in reader.answer))
    needs = tuple(dict.fromkeys((*reader.needs, *runtime.needs)))
    about = f"What {card.version} says of {reader.what}: python predict.py FILE ..."
    imports = (*reader.imports, *runtime.imports)
    return Program(_text(about, needs, imports, runtime.load, (*reader.lines, ""), answer), needs)


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
    return Program(_text(about, needs, imports, (load, *runtime.load), (), answer), needs)


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
