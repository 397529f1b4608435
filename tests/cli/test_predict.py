"""``raygp predict``: files, folders, tables, tars and standard input, answered as they come."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_wine

import raygp
from raygp.cli import main
from raygp.cli.answers import AnswerLines
from raygp.inference.inputs import Inputs
from raygp.line import Line
from raygp.settings import load_settings
from raygp.tasks import Answer, make_task
from tests.digits import FewDigits

HELD_OUT = list(FewDigits(300, 330).samples())


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """A line with one version of 300 digits."""
    line = raygp.open(str(tmp_path_factory.mktemp("predict") / "line"))
    line.ingest(FewDigits(0, 300), task={"name": "lenet-300-100"})
    line.update(load_settings("lenet-300-100", overrides=["synthesis.epochs=6"]))
    return line


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A folder of held-out digits by class, with what lies beside samples."""
    for row, sample in enumerate(HELD_OUT):
        path = tmp_path / "new" / sample.label / f"{row:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample.load())
    (tmp_path / "new/notes.txt").write_text("no digit")
    (tmp_path / "new/.hidden.png").write_bytes(HELD_OUT[0].load())
    return tmp_path / "new"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def predicted(
    line: Line, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[list[dict[str, object]], str]:
    """What comes as JSON, and standard error."""
    assert main(["predict", "--root", line.root, "--json", *arguments]) == code
    out, err = capsys.readouterr()
    return [json.loads(row) for row in out.splitlines()], err


def test_a_folder_is_answered_as_the_version_answers(
    line: Line, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, err = predicted(line, capsys, "new", "--top", "3")
    assert line.head is not None and len(rows) == 30
    files = sorted(digits.glob("*/*.png"))
    assert [row["file"] for row in rows] == [f"new/{file.parent.name}/{file.name}" for file in files]
    expected = list(line.head.predict(files))
    assert [row["label"] for row in rows] == [answer.label for answer in expected]
    for row, answer in zip(rows, expected, strict=True):
        assert row["version"] == "v0000" and row["probabilities"] == dict(answer.probabilities[:3])
    right = sum(row["label"] == file.parent.name for row, file in zip(rows, files, strict=True))
    assert right > 20
    assert err.splitlines()[0].startswith("v0000: 30 answered")
    assert "passed over: files that are no images: 1, such as new/notes.txt" in err
    assert "passed over: hidden files and folders: 1, such as .hidden.png" in err


def test_a_bad_file_is_named_and_the_rest_goes_on(
    line: Line, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (digits / "bad.png").write_bytes(b"no image")
    Image.new("L", (1, 1)).save(digits / "dot.png")
    good = next(digits.glob("3/*.png")).as_posix()
    rows, err = predicted(line, capsys, "new/bad.png", "new/dot.png", "gone.png", good, code=2)
    assert [row.get("error", "") for row in rows] == [
        "not an image in a known format",
        "image of 1 x 1 pixels: at least 2 x 2 are needed",
        "it does not exist",
        "",
    ]
    assert rows[3]["file"] == good and "label" in rows[3]
    assert err.endswith(
        "raygp: predict: 3 of 4 could not be read, such as new/bad.png: not an image in a known format\n"
    )


def test_a_folder_without_samples_is_said(
    line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/readme.md").touch()
    _, err = predicted(line, capsys, "empty", code=2)
    assert err.endswith(
        "raygp: predict: empty: it holds no images (files that are no images: 1, such as empty/readme.md)\n"
    )


def test_patterns_tables_and_tars(line: Line, digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(digits.glob("*/*.png"))[:4]
    # The labels are of no use to anybody, and nobody looks at them.
    table = pa.table({"image": [file.read_bytes() for file in files] + [None], "label": [["a"]] * 5})
    pq.write_table(table, "rows.parquet")
    with tarfile.open("some.tar.gz", "w:gz") as tar:
        for file in files:
            tar.add(file, f"in/{file.name}")
        tar.add(digits / "notes.txt", "in/notes.txt")
    rows, err = predicted(line, capsys, f"new/{files[0].parent.name}/*.png", "rows.parquet", "some.tar.gz", code=2)
    names = [str(row["file"]) for row in rows]
    here = sorted(files[0].parent.glob("*.png"))
    assert names[: len(here)] == [f"new/{file.parent.name}/{file.name}" for file in here]
    assert names[-9:-4] == [f"rows.parquet#{row:06d}" for row in range(5)]
    assert names[-4:] == [f"some.tar.gz/in/{file.name}" for file in files]
    assert [row["label"] for row in rows[-9:-5]] == [row["label"] for row in rows[-4:]]
    assert rows[-5]["error"] == "there is nothing in column image"
    assert "passed over: members that are no samples: 1, such as some.tar.gz/in/notes.txt" in err


def test_images_of_idx_files(line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = [Image.open(io.BytesIO(sample.load())).convert("L").tobytes() for sample in HELD_OUT[:3]]
    head = bytes([0, 0, 8, 3]) + b"".join(number.to_bytes(4, "big") for number in (3, 28, 28))
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(head + b"".join(pixels))
    rows, _ = predicted(line, capsys, "t10k-images-idx3-ubyte")
    assert line.head is not None
    assert [row["label"] for row in rows] == [a.label for a in line.head.predict(s.load for s in HELD_OUT[:3])]
    assert rows[2]["file"] == "t10k-images-idx3-ubyte#000002"


def test_rows_of_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wine = load_wine()
    heading, *rows = [",".join([*map(str, wine.feature_names), "class"]).replace("/", "_")] + [
        ",".join(map(str, [*cells, target])) for cells, target in zip(wine.data, wine.target, strict=True)
    ]
    (tmp_path / "wine.csv").write_text("\n".join([heading, *rows[::2]]))
    line = raygp.open(str(tmp_path / "line"))
    line.ingest("wine.csv", task={"name": "tabular"})
    line.update(load_settings(line.task, overrides=["synthesis.epochs=8"]))
    (tmp_path / "new").mkdir()
    # The labels are not there, and the columns stand in another order.
    cells = [row.rpartition(",")[0].split(",") for row in (heading, *rows[1::2])]
    (tmp_path / "new/week2.csv").write_text("\n".join(",".join(reversed(row)) for row in cells))
    (tmp_path / "new/picture.png").touch()
    answers, err = predicted(line, capsys, "new")
    assert [row["file"] for row in answers[:2]] == ["new/week2.csv#000002", "new/week2.csv#000003"]
    right = [row["label"] == str(target) for row, target in zip(answers, wine.target[1::2], strict=True)]
    assert sum(right) / len(right) > 0.8
    assert "passed over: files that are no tables: 1, such as new/picture.png" in err


def test_what_is_turned_or_transparent_is_answered_as_training_saw_it(line: Line, tmp_path: Path) -> None:
    upright = Image.open(io.BytesIO(HELD_OUT[0].load())).convert("L")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    clear = Image.new("LA", upright.size, (0, 0))
    clear.putalpha(Image.eval(upright, lambda value: 255 if value > 127 else 0))
    clear.save(tmp_path / "clear.png")
    assert line.head is not None
    plain, turned, transparent, as_bytes = line.head.predict(
        [HELD_OUT[0].load, tmp_path / "turned.png", str(tmp_path / "clear.png"), (tmp_path / "clear.png").read_bytes()]
    )
    assert turned == plain and transparent == as_bytes and not transparent.problem
    assert transparent != plain, "transparent pixels are white"


def test_standard_input(line: Line, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(HELD_OUT[0].load())))
    (row,), _ = predicted(line, capsys, "-")
    assert line.head is not None and row["file"] == "-"
    assert row["label"] == next(line.head.predict([HELD_OUT[0].load()])).label


def test_lines_for_people(line: Line, digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (digits / "bad.png").write_bytes(b"")
    one = next(digits.glob("7/*.png")).as_posix()
    assert main(["predict", "--root", line.root, one, "new/bad.png", "--top", "2", "--version", "v0000"]) == 2
    heading, answer, bad = capsys.readouterr().out.splitlines()
    assert heading.split() == ["file", "class", "%", "next"]
    name, label, probability, other, second = answer.split()
    assert (name, label) == (one, "7") and float(probability) > float(second) and other != label
    assert bad.split(maxsplit=1) == ["new/bad.png", "not read: empty file"]
    assert answer.index("7  ") == heading.index("class")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--version", "v0009"], "has no version v0009 (versions: v0000)"),
        (["--top", "0"], "--top must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_asked(
    options: list[str], message: str, line: Line, digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "--root", line.root, "new", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_line_without_a_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    young = raygp.open(str(tmp_path / "young"))
    young.ingest(FewDigits(0, 30), task={"name": "lenet-300-100"})
    assert main(["predict", "--root", young.root, "x.png"]) == 2
    assert capsys.readouterr().err.endswith("has no version yet: raygp update makes the first\n")


def test_samples_are_found_as_they_are_asked_for(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a folder of a million files is answered from its first batch on, and is never held in memory."""
    task = make_task({"name": "lenet-300-100"})
    first = iter(Inputs(task, ["new", "gone"]))
    assert next(first).key == "new/0/00.png" or next(first).key.startswith("new/0/")
    for path in digits.glob("9/*.png"):
        path.unlink()  # What has not been come to yet is not there any more.
    assert not any(sample.key.startswith("new/9/") for sample in first)


def test_no_more_than_two_batches_are_read_ahead(line: Line) -> None:
    asked = 0

    def samples() -> Iterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield HELD_OUT[0].load()

    assert line.head is not None
    answers = line.head.predict(samples())
    next(answers)
    assert asked <= 24, "the first batches are small"
    for _ in range(500):
        next(answers)
    assert asked <= 501 + 2 * 64
    answers.close()  # type: ignore[attr-defined]  # A generator.


WORDS = tuple((f"class {letter}", 0.2) for letter in "abcde")


def test_lines_fit_the_terminal() -> None:
    names = ["photos/2024/holiday in the mountains/IMG_20240101_1234.jpg", "写真/一枚目の写真.jpg"]
    lines = AnswerLines(names, ["x" * 50, "class a"], 80, 5)
    answers = [Answer("class a", WORDS), Answer("x" * 50, (("x" * 50, 1.0), *WORDS))]
    made = [lines.heading(answers[0]), *(lines.line(name, a) for name in names for a in answers)]
    from rich.cells import cell_len

    assert all(cell_len(line) <= 80 for line in made)
    assert made[1].startswith("...") and "IMG_20240101_1234.jpg" in made[1], "files of a folder differ at the end"
    assert made[1].endswith(", ...") or "..." in made[1]
    assert "photos/2024/holiday" in AnswerLines(names, ["a"], None, 5).line(names[0], answers[0])


def test_lines_of_transcripts_and_numbers() -> None:
    lines = AnswerLines(["a.wav"], [], 80, 5)
    text = "GO " * 50
    assert lines.heading(Answer("GO")).split() == ["file", "text"]
    assert lines.line("a.wav", Answer(text)).endswith(text), "nothing is left out of a transcript"
    assert lines.heading(Answer("1.5", value=1.5)).split() == ["file", "value"]
    assert lines.line("row 1", Answer("1.5", value=1.5)).split() == ["row", "1", "1.5"]


def test_an_answer_as_json() -> None:
    assert Answer("", problem="no").plain(3) == {"error": "no"}
    assert Answer("1.5", value=1.5).plain(3) == {"label": "1.5", "value": 1.5}
    assert Answer("GO").plain(3) == {"label": "GO"}
    assert Answer("class a", WORDS).plain(2) == {"label": "class a", "probabilities": dict(WORDS[:2])}
