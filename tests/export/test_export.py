"""A version leaves its line: files that run without raygp and say what the version says."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from raygp.cli import main
from raygp.data.sources import open_source
from raygp.errors import InputError, RaygpError
from raygp.export import FORMATS, Exported, packages, programs
from raygp.export.checking import BATCH_SIZES, check_program
from raygp.export.describing import preprocessing_of
from raygp.export.held_out import held_out_rows
from raygp.export.torch_formats import SAFETENSORS
from raygp.export.whole import Subject
from raygp.line import Line, Version
from raygp.tasks import Answer, ImageTask
from tests.export.lines import Tones, untrained
from tests.tables.tables import HOUSES, REGRESSION, houses, write

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra 'export'")
pytest.importorskip("onnxscript", reason="needs the extra 'export'")

SPECS: dict[str, dict[str, Any]] = {
    "lenet-300-100": {},
    "lenet-5": {},
    "resnet18": {"image_size": 32},
    "resnet18-small": {"image_size": 32},
    "timm": {"model": "mobilenetv3_small_050", "image_size": 32},
    "deepspeech2-small": {},
    "deepspeech2": {"mels": 16},
}
FILES = {"onnx": "model.onnx", "pt2": "model.pt2", "safetensors": "model.safetensors", "state-dict": "model.pt"}
EXPORTS = [
    ("lenet-300-100", "onnx"),
    ("lenet-300-100", "pt2"),
    pytest.param("lenet-300-100", "safetensors", marks=pytest.mark.drill),
    ("lenet-300-100", "state-dict"),
    pytest.param("lenet-5", "onnx", marks=pytest.mark.drill),
    ("lenet-5", "safetensors"),
    pytest.param("resnet18", "state-dict", marks=pytest.mark.drill),
    ("resnet18-small", "onnx"),
    pytest.param("resnet18-small", "pt2", marks=pytest.mark.drill),
    ("timm", "onnx"),
    ("timm", "safetensors"),
    ("deepspeech2-small", "onnx"),
    ("deepspeech2-small", "pt2"),
    ("deepspeech2-small", "safetensors"),
    pytest.param("deepspeech2", "state-dict", marks=pytest.mark.drill),
]
"""What takes longest, and proves little beside the others, is left to ``make drill``."""
STANDALONE = {"lenet-300-100", "lenet-5", "resnet18", "timm"}
"""Tasks whose state dicts need no raygp."""


@pytest.fixture(scope="module")
def line_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Line]:
    """A line with a version of a task."""
    made: dict[str, Line] = {}

    def get(name: str) -> Line:
        if name not in made:
            if name == "timm":
                pytest.importorskip("timm", reason="needs the extra 'timm'")
            if "speech" in name:
                pytest.importorskip("torchaudio", reason="needs the extra 'speech'")
            source = Tones() if "speech" in name else None
            folder = tmp_path_factory.mktemp("export") / name
            made[name] = untrained(folder, {"name": name, **SPECS[name]}, source)
        return made[name]

    return get


@pytest.fixture
def lenet(line_of: Callable[[str], Line]) -> Line:
    return line_of("lenet-300-100")


def export(line: Line, out: Path, format: str = "onnx", **options: Any) -> Exported:
    assert line.head is not None
    return line.head.export(out, format, **options)


@pytest.fixture(scope="module")
def export_of(line_of: Callable[[str], Line], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Exported]:
    """An export of a task's line, made once for all tests. It is to be read only."""
    made: dict[tuple[Any, ...], Exported] = {}

    def get(name: str, format: str = "onnx", **options: Any) -> Exported:
        key = (name, format, *sorted(options.items()))
        if key not in made:
            made[key] = export(line_of(name), tmp_path_factory.mktemp("exported") / "out", format, **options)
        return made[key]

    return get


def run_file(path: Path, inputs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """Outputs of an exported file, without any code of raygp."""
    if path.suffix == ".onnx":
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [entry.name for entry in session.get_inputs()]
        found: list[np.ndarray] = session.run(None, dict(zip(names, inputs, strict=True)))
        return found
    outputs = torch.export.load(path).module()(*map(torch.from_numpy, inputs))
    return [output.detach().numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,))]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "format"), EXPORTS)
def test_every_task_leaves_in_its_formats(
    name: str, format: str, line_of: Callable[[str], Line], export_of: Callable[..., Exported]
) -> None:
    line = line_of(name)
    exported = export_of(name, format)
    folder, head = exported.folder, line.head
    assert head is not None and folder.name == "out" and exported.model == folder / FILES[format]
    about = json.loads((folder / "raygp.json").read_text())
    assert about == exported.about
    assert set(about["files"]) == {path.name for path in folder.iterdir()} - {"raygp.json"}
    for file, known in about["files"].items():
        content = (folder / file).read_bytes()
        assert known == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}, file
    assert about["classes"] == head.classes and about["version"] == "v0000" and about["task"] == line.task
    assert ("config.json" in about["files"]) == head.task.labels_are_classes
    if head.task.labels_are_classes:
        config = json.loads((folder / "config.json").read_text())
        assert config["id2label"] == {str(number): label for number, label in enumerate(head.classes)}
        assert config["num_labels"] == len(head.classes) == len(config["label2id"])
    if (name, format) == ("timm", "safetensors"):
        check_timm_loads_it(folder, head)
    assert [entry["manifest_sha256"] for entry in about["lineage"]["arrivals"]] == list(head.card.manifests.values())
    program = (folder / "predict.py").read_text()
    assert len(program.splitlines()) < 40
    needs_raygp = format in ("safetensors", "state-dict") and name not in STANDALONE
    assert ("raygp" in about["needs"]) == needs_raygp == ("from raygp" in program)
    if format in ("safetensors", "state-dict"):
        return
    if format == "onnx":
        assert str(Path.cwd()).encode() not in exported.model.read_bytes(), "no path of this machine goes with it"
        assert exported.model.stat().st_size <= about["model"]["bytes_if_dense"] / 4
    subject = Subject(head.task, head.card, head.model(), [])
    rows = held_out_rows(line.location, head.card, 40).decoded(head.task)
    for size in BATCH_SIZES:
        inputs = subject.batch([rows[(7 * size + i) % len(rows)] for i in range(size)])
        for found, expected in zip(run_file(exported.model, inputs), subject.run(inputs), strict=True):
            assert found.shape == expected.shape and found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, atol=2e-4 * max(1.0, float(np.abs(expected).max())))


def check_timm_loads_it(folder: Path, head: Version) -> None:
    """By the folder's path alone, as timm loads what hubs hold."""
    import timm

    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    values = torch.rand(2, model.default_cfg["input_size"][0], 32, 32)
    with torch.inference_mode():
        assert torch.equal(model(values), head.model().eval()(values))
    assert model.pretrained_cfg["label_names"] == head.classes


def test_an_onnx_file_that_would_not_be_smaller_sparse_is_dense_and_that_is_said(tmp_path: Path) -> None:
    line = untrained(tmp_path / "line", {"name": "lenet-300-100"}, density=0.9)
    told: list[str] = []
    exported = export(line, tmp_path / "out", tell=lambda event: told.append(event.text))
    assert exported.about["model"]["weights"].startswith("dense: ")
    assert [text for text in told if "model.onnx holds every weight: stored as values other than zero" in text]
    assert exported.model.stat().st_size < exported.about["model"]["bytes_if_dense"] + 1_000


def test_a_sparse_onnx_file_is_at_most_a_quarter_of_the_dense_one(
    lenet: Line, export_of: Callable[..., Exported]
) -> None:
    sparse, dense = export_of("lenet-300-100"), export_of("lenet-300-100", dense=True)
    head = lenet.head
    assert head is not None and head.card.density <= 0.1001
    assert sparse.model.stat().st_size <= dense.model.stat().st_size / 4
    assert abs(sparse.about["model"]["bytes_if_dense"] - dense.model.stat().st_size) < 1_000
    subject = Subject(head.task, head.card, head.model(), [])
    inputs = subject.batch(held_out_rows(lenet.location, head.card, 3).decoded(head.task))
    for ours, theirs in zip(run_file(sparse.model, inputs), run_file(dense.model, inputs), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_onnx_runtime_makes_the_weights_dense_once(export_of: Callable[..., Exported], tmp_path: Path) -> None:
    """What it runs has no operator more than the graph of a dense file."""
    kinds = []
    for dense in (False, True):
        model = export_of("lenet-300-100", **({"dense": True} if dense else {})).model
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.optimized_model_filepath = 3, str(tmp_path / f"{dense}.onnx")
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        import onnx

        kinds.append([node.op_type for node in onnx.load(tmp_path / f"{dense}.onnx").graph.node])
    assert kinds[0] == kinds[1] and len(kinds[0]) < 10


PROGRAM_FILES = ("plain.png", "turned.jpg", "clear.png", "wide.png")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Images as people have them: turned by Exif, transparent, not square."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((60, 60), Image.Resampling.BICUBIC)
    smooth.save(folder / "plain.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth.resize((80, 50)).save(folder / "turned.jpg", exif=exif, quality=95)
    clear = smooth.convert("RGBA")
    clear.putalpha(Image.fromarray(rng.integers(0, 2, (60, 60), np.uint8) * 255))
    clear.save(folder / "clear.png")
    smooth.resize((91, 40)).save(folder / "wide.png")
    (folder / "bad.png").write_bytes(b"no image")
    return folder


@pytest.mark.parametrize(("name", "format"), [("lenet-300-100", "onnx"), ("resnet18", "safetensors")])
def test_the_program_runs_in_its_folder_alone(
    name: str,
    format: str,
    line_of: Callable[[str], Line],
    export_of: Callable[..., Exported],
    pictures: Path,
    tmp_path: Path,
) -> None:
    line = line_of(name)
    made = export_of(name, format).folder
    moved = shutil.copytree(made, tmp_path / "elsewhere")
    assert not any(str(made).encode() in file.read_bytes() for file in moved.iterdir()), "nothing leads back"
    files = [*PROGRAM_FILES[:2], "bad.png", *PROGRAM_FILES[2:]]
    done = subprocess.run(
        [sys.executable, f"{moved}/predict.py", *files],
        capture_output=True, text=True, cwd=pictures, env={"PATH": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.startswith("bad.png: ") and "Traceback" not in done.stderr
    lines = [text.split("\t") for text in done.stdout.splitlines()]
    assert [text[0] for text in lines] == list(PROGRAM_FILES)
    assert line.head is not None
    answers = line.head.predict((pictures / file).read_bytes() for file in PROGRAM_FILES)
    for said, answer in zip(lines, answers, strict=True):
        expected = {name: value for name, value in answer.probabilities}
        for part in said[1:]:
            name, share = part.rsplit(" ", 1)
            assert float(share.rstrip("%")) == pytest.approx(100 * expected[name], abs=1.5)
        best = answer.probabilities[0][1] - answer.probabilities[1][1]
        assert said[1].rsplit(" ", 1)[0] == answer.label or best < 0.01


def deep_png(path: Path, colour: int, channels: int) -> None:
    """A PNG of 16 bits a channel, which Pillow cannot write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", 8, 8, 16, colour, 0, 0, 0)
    rows = (b"\0" + bytes(range(16 * channels))) * 8
    content = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def deep_tiff(path: Path) -> None:
    """A TIFF of 8 x 8 pixels of three colours of 16 bits."""
    data = bytes(range(256)) + bytes(range(128))
    tags = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 3, 8 + len(data)), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 8)]
    tags += [(277, 3, 1, 3), (278, 3, 1, 8), (279, 4, 1, len(data))]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(data) + 6)
    path.write_bytes(head + data + struct.pack("<HHH", 16, 16, 16) + struct.pack("<H", len(tags)) + entries + bytes(4))


def test_images_that_pillow_reads_wrongly_are_refused(export_of: Callable[..., Exported], tmp_path: Path) -> None:
    shutil.copytree(export_of("lenet-300-100").folder, tmp_path / "out")
    for name, colour, channels in (("grey", 0, 1), ("rgb", 2, 3), ("greya", 4, 2), ("rgba", 6, 4)):
        deep_png(tmp_path / "out" / f"{name}.png", colour, channels)
    deep_tiff(tmp_path / "out" / "rgb.tif")
    deep = ["grey.png", "rgb.png", "greya.png", "rgba.png", "rgb.tif"]
    for size in ((1, 1), (1, 40)):
        Image.new("L", size).save(tmp_path / "out" / f"{size[1]}.png")
    Image.new("RGB", (2, 2)).save(tmp_path / "out" / "small.tif")
    assert all(Image.open(tmp_path / "out" / file).mode for file in deep)
    done = subprocess.run(
        [sys.executable, "-O", "predict.py", *deep, "1.png", "40.png", "small.tif"],
        capture_output=True, text=True, cwd=tmp_path / "out", env={"PATH": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    reasons = [f"{file}: more than 8 bits a channel: convert it to 8 first" for file in deep]
    assert done.stderr.splitlines() == [*reasons, "1.png: fewer than 2 x 2 pixels", "40.png: fewer than 2 x 2 pixels"]
    assert done.stdout.startswith("small.tif\t") and done.stdout.count("\n") == 1 and done.returncode == 2


def test_speech_is_read_without_raygp(
    line_of: Callable[[str], Line], export_of: Callable[..., Exported], tmp_path: Path
) -> None:
    line = line_of("deepspeech2-small")
    shutil.copytree(export_of("deepspeech2-small").folder, tmp_path / "out")
    samples = [sample.load() for sample in Tones().samples()][:3]
    for number, sample in enumerate(samples):
        (tmp_path / f"{number}.wav").write_bytes(sample)
    done = subprocess.run(
        [sys.executable, "out/predict.py", "0.wav", "1.wav", "2.wav"],
        capture_output=True, text=True, cwd=tmp_path, env={"PATH": "", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert line.head is not None
    expected = [answer.label for answer in line.head.predict(samples)]
    assert [text.split("\t")[1] for text in done.stdout.splitlines()] == expected and any(expected), done.stderr


def said(folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """What an exported program prints of files beside it."""
    return subprocess.run(
        [sys.executable, "predict.py", *files], capture_output=True, text=True, cwd=folder,
        env={"PATH": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.environ.get("PYTHONPATH", "") or os.getcwd()},
    )  # fmt: skip


def rows_of(kind: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """A source of rows or texts, and the task that goes with it."""
    if kind == "text":
        texts = [f"a {('good', 'poor')[n % 2]} story of {n % 7} men and {n} days" for n in range(80)]
        rows = [[text, ("yes", "no")[n % 2]] for n, text in enumerate(texts)]
        path = write(folder / "t.csv", ("text", "label"), rows).partition(":")[2]
        return f"texts:{path}", {"name": "text", "width": 32, "depth": 1, "vocabulary": 300}
    source = write(folder / "h.csv", HOUSES, houses(120, 0))
    if kind == "tabular":
        return source, {"name": "tabular", "label": "city"}
    return source, REGRESSION


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "format", "alone"),
    [
        ("tabular-regression", "onnx", True),
        pytest.param("tabular-regression", "pt2", True, marks=pytest.mark.drill),
        ("tabular-regression", "safetensors", True),
        ("tabular-regression", "state-dict", False),
        ("tabular", "onnx", True),
        ("text", "onnx", True),
        ("text", "safetensors", True),
    ],
)
def test_the_program_answers_rows_and_texts(
    kind: str, format: str, alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself, or through raygp, as where a task of one's own reads samples in its own way."""
    if not alone:
        monkeypatch.setattr(programs, "standalone", lambda *given: None)
    source, spec = rows_of(kind, tmp_path)
    line = untrained(tmp_path / "line", spec, open_source(source), density=0.5)
    head = line.head
    assert head is not None
    export(line, tmp_path / "out", format)
    about = json.loads((tmp_path / "out" / "raygp.json").read_text())
    code = {path.name: path.read_text() for path in (tmp_path / "out").glob("*.py")}
    assert len(code["predict.py"].splitlines()) < 40
    uses_raygp = any(re.search("(from|import) raygp", text) for text in code.values())
    assert ("raygp" in about["needs"]) == uses_raygp == (not alone)
    samples = list(held_out_rows(line.location, head.card, 2).samples)
    for number, sample in enumerate(samples):
        (tmp_path / "out" / f"{number}.txt").write_bytes(sample)
    (tmp_path / "out" / "bad.txt").write_bytes(b"\xff\xfe\x00" if kind == "text" else b'{"age": "old"}')
    done = said(tmp_path / "out", "0.txt", "bad.txt", "1.txt", "gone.txt")
    assert done.returncode == 2, done.stderr
    bad, gone = done.stderr.splitlines()
    assert bad.startswith("bad.txt: ") and gone.startswith("gone.txt: ") and "unpack" not in done.stderr
    if kind != "text":
        assert re.match("bad.txt: column '.*' (is missing|holds 'old')", bad)
        assert "a JSON object of its columns" in (tmp_path / "out" / "predict.py").read_text().splitlines()[0]
    lines = [text.split("\t") for text in done.stdout.splitlines()]
    assert [text[0] for text in lines] == ["0.txt", "1.txt"]
    for (_, first, *_), answer in zip(lines, head.predict(samples), strict=True):
        if kind == "tabular-regression":
            assert answer.value is not None and float(first) == pytest.approx(answer.value, rel=1e-4)
        else:
            name, share = answer.probabilities[0]
            assert first == f"{name} {share:.1%}"
    if format == "onnx":  # Its program is there at once; the others load torch.
        assert said(tmp_path / "out", "0.txt", "1.txt").returncode == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert ("squared deviation of the first arrival's training labels, here " in card) == ("regression" in kind)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[found.label]", "found.wrong", "has no attribute 'wrong'"),
        ("import json", "import json, nothing_like_it", "No module named 'nothing_like_it'"),
        # These load raygp, too, and what is wrong with them is looked at in the next test.
        pytest.param("[found.label]", '["7.5"]', "'7.5' instead of ", marks=pytest.mark.drill),
        pytest.param(
            "sys.exit(unread) if unread else None", "sys.exit(3)", "it ends with status 3", marks=pytest.mark.drill
        ),
    ],
)
def test_a_program_that_does_not_answer_is_found(
    old: str, new: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program itself is run, and what it prints is compared."""
    source, spec = rows_of("tabular-regression", tmp_path)
    line = untrained(tmp_path / "line", spec, open_source(source), density=0.5)
    right = programs.with_raygp
    monkeypatch.setattr(programs, "standalone", lambda *given: None)

    def wrong(*given: Any) -> programs.Program:
        program = right(*given)
        assert old in program.text
        return programs.Program(program.text.replace(old, new), program.needs)

    monkeypatch.setattr(programs, "with_raygp", wrong)
    with pytest.raises(RaygpError, match=f"v0000: predict.py does not give its answers: .*{reason}"):
        export(line, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("label", "code", "problem"),
    [
        ("1.5", 0, ""),
        ("1.50001", 0, ""),
        ("7.5", 0, "'7.5' instead of '1.5'"),
        ("one", 0, "'one' instead of '1.5'"),
        ("1.5", 3, "it ends with status 3 although it answered"),
        ("", 3, "no answer and no reason"),
    ],
)
def test_what_a_program_prints_is_compared(label: str, code: int, problem: str, tmp_path: Path) -> None:
    printed = f"    print(name, {label!r}, sep='\\t')" if label else "    pass"
    lines = ["import sys", "for name in sys.argv[1:]:", printed, f"sys.exit({code})"]
    (tmp_path / "predict.py").write_text("\n".join(lines))
    answers = [Answer("1.5", value=1.5)] * 2
    assert check_program(tmp_path, answers, [b"one", b"two"]) == problem


# -- what is refused --------------------------------------------------------------------------------------------------


class OtherAnswers:
    """The format safetensors, but the file says something else by ``shift`` in the first output."""

    quantizes, library, file = False, "pytorch", "model.safetensors"
    require, write, runtime = SAFETENSORS.require, SAFETENSORS.write, SAFETENSORS.runtime

    def __init__(self, shift: float) -> None:
        self._shift = shift

    def open(self, subject: Subject, path: Path) -> Any:
        run = SAFETENSORS.open(subject, path)

        def shifted(inputs: Any) -> Any:
            (outputs,) = run(inputs)
            outputs = outputs.copy()
            outputs[-1, 0] += self._shift
            return (outputs,)

        return shifted


@pytest.fixture
def registered() -> Iterator[Callable[[Any], None]]:
    yield lambda entry: FORMATS.register("other", entry)
    FORMATS.forget("other")


@pytest.mark.parametrize("shift", [1e-2, 100.0, float("nan")])
def test_a_file_that_says_something_else_is_not_written(
    shift: float, lenet: Line, tmp_path: Path, registered: Callable[[Any], None]
) -> None:
    registered(OtherAnswers(shift))
    with pytest.raises(RaygpError, match=r"exported file of v0000, on 1 held-out row at once.*Nothing was written"):
        export(lenet, tmp_path / "out", "other")
    assert list(tmp_path.iterdir()) == []


def test_a_format_of_ones_own_is_an_entry(lenet: Line, tmp_path: Path, registered: Callable[[Any], None]) -> None:
    registered(OtherAnswers(0.0))
    assert export(lenet, tmp_path / "out", "other").about["model"]["format"] == "other"


def test_a_folder_that_is_taken_is_refused(lenet: Line, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out, reason in ((tmp_path, "is not empty"), (tmp_path / "file", "is a file")):
        with pytest.raises(InputError, match=reason):
            export(lenet, out)
    assert (tmp_path / "file").read_text() == "x"
    (tmp_path / "empty").mkdir()
    export(lenet, tmp_path / "empty", "safetensors")
    assert (tmp_path / "empty" / "README.md").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


@pytest.mark.parametrize("format", ["pt2", "safetensors", "state-dict"])
def test_a_full_disk_is_said(format: str, lenet: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="out cannot be written: No space left on device"):
        export(lenet, tmp_path / "out", format)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_asked_for_is_said(lenet: Line, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown format 'onxn' \(did you mean 'onnx'\?\)"):
        export(lenet, tmp_path / "out", "onxn")
    with pytest.raises(InputError, match="--quantize int8 works with --format onnx, not pt2"):
        export(lenet, tmp_path / "out", "pt2", quantize="int8")
    with pytest.raises(InputError, match="--dense goes with --format onnx; pt2 is dense anyway"):
        export(lenet, tmp_path / "out", "pt2", dense=True)
    assert main(["export", "--root", lenet.root, "--out", ""]) == 2
    with pytest.raises(InputError, match="unknown quantization 'int4'; known is int8"):
        export(lenet, tmp_path / "out", quantize="int4")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_said(lenet: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages.needed.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(
        InputError, match=r"ONNX needs onnxscript, which is not installed: pip install 'raygp\[export\]'"
    ):
        export(lenet, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# -- what the folder says ---------------------------------------------------------------------------------------------


def test_int8_says_what_it_costs(lenet: Line, export_of: Callable[..., Exported], tmp_path: Path) -> None:
    plain = export_of("lenet-300-100").model.stat().st_size
    told: list[Any] = []
    exported = export(lenet, tmp_path / "int8", quantize="int8", tell=told.append)
    found, manifest = exported.about["quantized"], lenet.arrivals()[0]
    count = manifest.rows("val") + manifest.rows("test")
    assert exported.about["check"] is None and found["rows"] == count and found["metric"] == "accuracy"
    assert exported.model.stat().st_size < 0.7 * plain
    (line,) = [event.text for event in told if f"accuracy on {count} held-out rows" in event.text]
    assert f"{found['quantized']:.2%} as int8, {found['version']:.2%} before" in line
    assert f"{found['quantized']:.2%}" in (tmp_path / "int8" / "README.md").read_text()
    head = lenet.head
    assert head is not None
    rows = held_out_rows(lenet.location, head.card, 1000)
    inputs = np.stack(rows.decoded(head.task))
    right = run_file(exported.model, (inputs,))[0].argmax(axis=1)
    share = np.mean([head.classes[i] == label for i, label in zip(right, rows.labels, strict=True)])
    assert found["quantized"] == pytest.approx(share)


def test_the_card_is_one_that_hubs_read(lenet: Line, tmp_path: Path) -> None:
    export(lenet, tmp_path / "out", "safetensors", license="apache-2.0")
    _, front, body = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)
    fields = yaml.safe_load(front)
    assert fields["license"] == "apache-2.0" and fields["pipeline_tag"] == "image-classification"
    assert fields["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.9
    for heading in ("## Use", "## Data", "## Results", "## Cost", "## Limits", "## Origin"):
        assert f"\n{heading}\n" in body
    rows = " | ".join(str(lenet.arrivals()[0].rows(split)) for split in ("train", "val", "test"))
    assert f"| first | digits 0 to 100 | {rows} |" in body and "| first | 10 | 90.00% |" in body


def test_a_task_that_decodes_in_its_own_way_is_not_described_as_another() -> None:
    class Mirrored(ImageTask):
        def decode(self, sample: bytes) -> np.ndarray:
            return super().decode(sample)[..., ::-1]

    from raygp.tasks import make_task

    plain = make_task({"name": "lenet-300-100"})
    assert isinstance(plain, ImageTask) and preprocessing_of(plain)["kind"] == "image"
    own = Mirrored(plain.spec, plain.build, plain.classifier, plain.density_bounds)
    assert preprocessing_of(own)["kind"] == "raygp"


OWN = """
import io
import numpy as np
from torch import nn
from raygp.tasks.base import Images

class Mirrored(Images):
    image_size = 16

    def decode(self, sample):
        return np.ascontiguousarray(super().decode(sample)[..., ::-1])

    def build_model(self, num_classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 60), nn.ReLU(), nn.Linear(60, num_classes))
"""


@pytest.mark.parametrize("format", ["onnx", "safetensors"])
def test_a_task_of_ones_own_goes_with_its_file(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "my_task.py").write_text(OWN)
    line = untrained(tmp_path / "line", None, task=tmp_path / "code" / "my_task.py")  # type: ignore[arg-type]
    exported = export(line, tmp_path / "out", format)
    assert (tmp_path / "out" / "my_task.py").read_text() == OWN and "my_task.py" in exported.about["files"]
    sample = Image.fromarray(np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8))
    content = io.BytesIO()
    sample.save(content, "PNG")
    (tmp_path / "sample.png").write_bytes(content.getvalue())
    done = subprocess.run(
        [sys.executable, "out/predict.py", "sample.png"],
        capture_output=True, text=True, cwd=tmp_path,
        env={"PATH": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.environ.get("PYTHONPATH", "") or os.getcwd()},
    )  # fmt: skip
    assert line.head is not None
    (answer,) = line.head.predict([content.getvalue()])
    name, share = answer.probabilities[0]
    assert done.stdout.split("\t")[1] == f"{name} {share:.1%}", done.stderr


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_says_what_it_does(lenet: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "er"
    assert main(["export", "--root", lenet.root, "--out", str(out), "--version", "v0000"]) == 0
    said = capsys.readouterr().out
    assert "v0000: same answers on 36 held-out rows, in batches of 1, 3 and 32: outputs differ by" in said
    assert f"v0000: {out} holds README.md, config.json, model.onnx, predict.py, raygp.json" in said
    assert (out / "model.onnx").is_file() and out.stat().st_mode & 0o700 == 0o700
    assert main(["export", "--root", lenet.root, "--out", str(out)]) == 2
    assert f"raygp: {out} is not empty" in capsys.readouterr().err
    assert main(["export", "--root", lenet.root, "--out", str(tmp_path / "x"), "--version", "v0009"]) == 2
    assert "has no version v0009 (versions: v0000)" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
