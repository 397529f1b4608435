"""How ``predict.py`` reads files without raygp, by kind of preprocessing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType

from raygp import __version__
from raygp.tasks import plaintext, tabular_cells
from raygp.tasks.preprocessing import DescribedByFiles
from raygp.tasks.protocol import Task


@dataclass(frozen=True)
class Reader:
    """How ``predict.py`` reads a file."""

    needs: tuple[str, ...]
    imports: tuple[str, ...]
    lines: tuple[str, ...]
    """A function ``decode`` and what it needs."""
    what: str
    """What the files are."""
    answer: tuple[str, ...] = ()
    """The body of the function ``answer``, which gives the parts of a line; CALL stands for the runtime's call. Empty:
    :data:`CLASS_ANSWER` or :data:`NUMBER_ANSWER`."""
    files: Callable[[Task], Mapping[str, str]] = lambda task: {}
    """The content of files that it needs beside it, by name."""


CLASS_ANSWER = (
    "    logits = CALL[0].astype(np.float64)",
    "    p = np.exp(logits - np.logaddexp.reduce(logits))",
    """    return [f"{ABOUT['classes'][i]} {p[i]:.1%}" for i in np.argsort(-p, kind="stable")[:5]]""",
)
"""The most probable classes."""
NUMBER_ANSWER = (
    "    number = CALL.astype(np.float64).reshape(())",
    """    return [f"{number * ABOUT['labels']['deviation'] + ABOUT['labels']['mean']:.10g}"]""",
)
"""A number, in the unit of the labels."""


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


def copied(**modules: ModuleType) -> dict[str, str]:
    """Modules of raygp as they are, by the names of files."""
    note = f"# A part of raygp {__version__} as it is; licence: Apache-2.0.\n"
    return {f"{name}.py": note + inspect.getsource(module) for name, module in modules.items()}


def _files_of_texts(task: Task) -> Mapping[str, str]:
    files = task.preprocessing_files() if isinstance(task, DescribedByFiles) else {}
    return {**files, **copied(plaintext=plaintext)}


_TEXT = Reader(
    needs=("numpy", "tokenizers"),
    imports=("import numpy as np", "from plaintext import text_of", "from tokenizers import Tokenizer"),
    lines=(
        'TOKENS = Tokenizer.from_file(str(Path(__file__).with_name("tokenizer.json")))',
        "TOKENS.no_truncation()",
        "TOKENS.no_padding()",
        "",
        "def decode(file):",
        '    content, length = Path(file).read_bytes(), ABOUT["preprocessing"]["length"]',
        '    if content[:2] in (b"\\xff\\xfe", b"\\xfe\\xff"):',
        '        content = content.decode("utf-16").encode()',
        "    ids = TOKENS.encode(text_of(content)).ids[:length]",
        "    if not ids:",
        '        raise ValueError("the tokenizer finds no token in it")',
        "    return np.pad(np.array(ids, np.int64) + 1, (0, length - len(ids)))",
    ),
    what="text files, each of one text",
    files=_files_of_texts,
)

_ROW = Reader(
    needs=("numpy",),
    imports=("import numpy as np", "from cells import row_values", "from types import SimpleNamespace"),
    lines=(
        'COLUMNS = [SimpleNamespace(**column) for column in ABOUT["preprocessing"]["columns"]]',
        "for column in COLUMNS:",
        "    column.places = {name: place for place, name in enumerate(column.categories)}",
        "",
        "",
        "def decode(file):",
        "    return np.array(row_values(Path(file).read_bytes(), COLUMNS), np.float32)",
    ),
    what="files, each of one row: a JSON object of its columns by name",
    files=lambda task: copied(cells=tabular_cells),
)

READERS: Mapping[str, Reader] = {"image": _IMAGE, "speech": _SPEECH, "text": _TEXT, "row": _ROW}
"""By kind of preprocessing (:class:`raygp.tasks.preprocessing.Described`)."""
