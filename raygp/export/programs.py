"""``predict.py``: a short program that answers files with the exported folder alone.

It is put together from a reader, which turns a file into a decoded sample as the task does, and a runtime, which loads
and runs the model's file. raygp itself reads what no reader here can read, and the program says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygp.store import Card


@dataclass(frozen=True)
class Runtime:
    """How ``predict.py`` loads a model and calls it."""

    needs: tuple[str, ...]
    """Packages, as pip calls them."""
    imports: tuple[str, ...]
    """Lines."""
    load: tuple[str, ...]
    """Lines that set ``MODEL``; ``HERE`` is the folder, ``ABOUT`` what raygp.json says."""
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
    """The body of the function ``answer``; CALL stands for the runtime's call."""
    show: str
    """What is printed of an answer: arguments of ``print``."""
    what: str
    """What the files are."""


_IMAGE = Reader(
    needs=("numpy", "pillow"),
    imports=("import numpy as np", "from PIL import Image, ImageOps"),
    lines=(
        "def decode(file):",
        '    want, image = ABOUT["preprocessing"], Image.open(file)',
        '    assert image.mode[0] not in "IF", "more than 8 bits a channel: convert it to 8 first"',
        '    image.draft("L" if want["channels"] == 1 else "RGB", image.size)',
        "    image = ImageOps.exif_transpose(image)",
        "    if image.has_transparency_data:",
        '        ground = Image.new("RGBA", image.size, want["background"])',
        '        image = Image.alpha_composite(ground, image.convert("RGBA"))',
        '    image = image.convert("L" if want["channels"] == 1 else "RGB")',
        "    left, top = max(0, image.width - image.height) // 2, max(0, image.height - image.width) // 2",
        "    image = image.crop((left, top, left + min(image.size), top + min(image.size)))",
        '    image = image.resize((want["width"], want["height"]), Image.BILINEAR)',
        "    return np.atleast_3d(np.array(image)).transpose(2, 0, 1)",
    ),
    answer=(
        "    logits = CALL[0].astype(np.float64)",
        "    p = np.exp(logits - np.logaddexp.reduce(logits))",
        '    return [(ABOUT["classes"][i], float(p[i])) for i in np.argsort(-p, kind="stable")]',
    ),
    show='*(f"{name} {p:.1%}" for name, p in answer(path)[:5])',
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
        '    said = [ABOUT["classes"][i - 1] for i, last in zip(path, [0, *path]) if i and i != last]',
        '    return "".join(said)',
    ),
    show="answer(path)",
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
    return Program(_text(about, needs, imports, runtime.load, (*reader.lines, ""), answer, reader.show), needs)


def with_raygp(card: Card, runtime: Runtime, sequences: bool, code: str = "") -> Program:
    """The program that has raygp read files and outputs.

    Args:
        card: of the version.
        runtime: that of the format.
        sequences: whether the task is one of sequences.
        code: name of the file in the folder that holds a task of one's own; empty: the task is one of raygp's or of a
            package.
    """
    imports: tuple[str, ...] = ("from raygp.tasks import make_task", *runtime.imports)
    task = 'TASK = make_task(ABOUT["task"])'
    if code:
        imports = (*imports, "from raygp.tasks.own import read_code")
        task = f'TASK = make_task(ABOUT["task"], read_code(HERE / "{code}")[0])'
    if runtime.only == "raygp":
        answer = [f"    found = {runtime.call.replace('INPUTS', 'Path(file).read_bytes()')}"]
    else:
        imports = ("import numpy as np", "import torch", *imports)
        outputs = "torch.from_numpy(outputs)"
        if sequences:
            imports = (*imports, "from raygp.tasks import Padded")
            outputs = f"Padded({outputs}, torch.tensor([outputs.shape[1]]))"
        answer = [
            "    inputs = TASK.decode(Path(file).read_bytes())[None]",
            f"    outputs = {runtime.call.replace('INPUTS', 'inputs').replace('LENGTHS', _LENGTHS)}",
            f'    found = TASK.answers({outputs}, ABOUT["classes"])[0]',
        ]
    answer.append("    return list(found.probabilities) or found.problem or found.label")
    show = '*(f"{name} {p:.1%}" for name, p in answer(path)[:5])' if not sequences else "answer(path)"
    needs = tuple(dict.fromkeys((*runtime.needs, "raygp")))
    about = f"What {card.version} says of files, each of one sample: python predict.py FILE ..."
    return Program(_text(about, needs, imports, (task, *runtime.load), (), answer, show), needs)


def _text(
    about: str,
    needs: Sequence[str],
    imports: Sequence[str],
    load: Sequence[str],
    decode: Sequence[str],
    answer: Sequence[str],
    show: str,
) -> str:
    lines = [
        f'"""{about} Needs: pip install {" ".join(needs)}"""',
        "import json",
        "import sys",
        "from pathlib import Path",
        "",
        *sorted(
            {line for line in imports if "np" not in line or any("np." in other for other in (*decode, *answer))},
            key=_import_key,
        ),
        "",
        "HERE = Path(__file__).parent",
        'ABOUT = json.loads((HERE / "raygp.json").read_text(encoding="utf-8"))',
        *load,
        "",
        *decode,
        "def answer(file):",
        *answer,
        "",
        'for path in sys.argv[1:] if __name__ == "__main__" else ():',
        "    try:",
        f'        print(path, {show}, sep="\\t")',
        "    except Exception as error:",
        '        print(f"{path}: {error}", file=sys.stderr)',
    ]
    return "\n".join(lines) + "\n"


_LENGTHS = "np.array([inputs.shape[1]])"


def _import_key(line: str) -> tuple[bool, str]:
    """``import x`` before ``from x import y``, as people sort them."""
    return line.startswith("from"), line.split()[1]
