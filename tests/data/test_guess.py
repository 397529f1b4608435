"""A path alone is enough where its kind of source is plain."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

import raygp
from raygp.cli import main
from raygp.data.sources import LIKELY, SOURCES, UNLIKELY, SourceKind, guess_source
from raygp.data.sources.kind import medium_of
from raygp.errors import InputError
from raygp.events import Event, Notice
from raygp.tasks import base
from tests.digits import FewDigits

MODEL = ["--task", "lenet-300-100"]


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def tar(folder: Path, name: str, *members: str, mode: str = "w") -> None:
    write(folder / "inside", *members)
    with tarfile.open(folder / name, mode) as archive:  # type: ignore[call-overload]  # Its modes are literals.
        for member in members:
            archive.add(folder / "inside" / member, member)


def photos(folder: Path) -> Path:
    """Folders of real digits by class."""
    for row, sample in enumerate(FewDigits(0, 40).samples()):
        path = folder / "photos" / sample.label / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample.load())
    return folder / "photos"


@pytest.mark.parametrize(
    ("files", "path", "form"),
    [
        (["photos/cat/1.jpg"], "photos/", "imagefolder:photos/"),
        (["photos/train/cat/1.JPG", "photos/labels.csv"], "photos", "imagefolder:photos"),
        (["speech/train.tsv", "speech/clips/1.mp3"], "speech", "audio:speech"),
        (["speech/transcripts.csv", "speech/a/1.wav"], "./speech", "audio:./speech"),
        (["tables/data/0.parquet"], "tables", "parquet:tables"),
        (["a.parquet"], "a.parquet", "parquet:a.parquet"),
        (["tars/train-0.tar"], "tars", "webdataset:tars"),
        (["mnist/raw/train-images-idx3-ubyte.gz"], "mnist", "idx:mnist"),
        (["corpus/an4/etc/an4_test.fileids"], "corpus", "an4:corpus"),
        (["an4.tar.gz"], "an4.tar.gz", "an4:an4.tar.gz"),
    ],
)
def test_a_plain_kind(files: list[str], path: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, *files)
    monkeypatch.chdir(tmp_path)
    assert guess_source(path) == form


@pytest.mark.parametrize(
    ("files", "medium", "form"),
    [
        (["x.csv"], "row", "table:x.csv"),
        (["x.csv"], "text", "texts:x.csv"),
        (["x.parquet"], "row", "table:x.parquet"),
        (["x.parquet"], "image", "parquet:x.parquet"),
        (["x/a.csv", "x/b.csv"], "row", "table:x"),
        (["x/cat/1.jpg", "x/train.csv"], "row", "table:x"),
        (["x/cat/1.jpg", "x/train.csv"], "image", "imagefolder:x"),
        (["x/pos/1.txt", "x/neg/2.txt"], "text", "texts:x"),
        (["x/cat/1.jpg"], "audio", "imagefolder:x"),
    ],
)
def test_what_the_lines_samples_are_decides(
    files: list[str], medium: str | None, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, *files)
    monkeypatch.chdir(tmp_path)
    assert guess_source(files[0].partition("/")[0], medium) == form


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_is_told_by_its_first_members(mode: str, tmp_path: Path) -> None:
    tar(tmp_path, "classes.tar", "./cat/1.jpg", "./cat/.DS_Store", "./dog/2.jpg", "./readme.txt", mode=mode)
    tar(tmp_path, "keys.tar", "train/1.jpg", "train/1.cls", "train/2.jpg", "train/2.cls", mode=mode)
    assert guess_source(f"{tmp_path}/classes.tar") == f"imagefolder:{tmp_path}/classes.tar"
    assert guess_source(f"{tmp_path}/keys.tar") == f"webdataset:{tmp_path}/keys.tar"


@pytest.mark.parametrize(
    ("files", "path", "message"),
    [
        (
            ["x/cat/1.jpg", "x/0.parquet"],
            "x",
            "x may be read in more than one way: say which with --source imagefolder:x or parquet:x",
        ),
        (["x.csv"], "x.csv", "may be read in more than one way: say which with --source table:x.csv or texts:x.csv"),
        (["x.tar"], "x.tar", "x.tar may be read in more than one way: say which with --source imagefolder:x.tar or "),
        (["x.zip"], "x.zip", "x.zip is an archive that is not read: unpack it, and give the folder"),
        (["x.xlsx"], "x.xlsx", "x.xlsx is a spreadsheet: save it as CSV"),
        (["x.json"], "x.json", "x.json is no table: write a JSON object in each line, and call the file .jsonl"),
        (["words.txt"], "words.txt", "words.txt looks like no kind of source; known forms are imagefolder:DIR"),
        ([], "photos", "photos does not exist"),
        ([], "imagfolder:photos", r"unknown source 'imagfolder:photos' \(did you mean 'imagefolder'\?\)"),
        ([], "s3://bucket/photos", "s3://bucket/photos is an address, whose kind of source is not guessed"),
    ],
)
def test_a_kind_that_is_not_plain(
    files: list[str], path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, *files)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        guess_source(path)


def test_a_kind_of_a_package_joins_in(tmp_path: Path) -> None:
    write(tmp_path, "x.npz")
    own = SourceKind(FewDigits, "FILE", looks_like=lambda path: LIKELY if path.suffix == ".npz" else UNLIKELY)
    SOURCES.register("npz", own)
    try:
        assert guess_source(f"{tmp_path}/x.npz") == f"npz:{tmp_path}/x.npz"
    finally:
        SOURCES.forget("npz")


def test_ingest_of_a_path_says_how_it_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = photos(tmp_path)
    assert main(["ingest", f"{folder}/", "--root", f"{tmp_path}/line", *MODEL]) == 0
    out = capsys.readouterr().out
    assert f"{folder}/ is read as imagefolder:{folder}/\n" in out
    assert "published arrival-000" in out


def test_a_path_and_a_source_are_one_too_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest", "--root", f"{tmp_path}/line", "--source", "digits", "photos", *MODEL]) == 2
    assert capsys.readouterr().err == (
        "raygp: ingest: photos and --source digits are both given: one arrival is of one\n"
    )
    assert not (tmp_path / "line").exists()


def test_a_form_may_stand_in_place_of_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["ingest", f"imagefolder:{photos(tmp_path)}", "--root", "line", *MODEL]) == 0
    assert "is read as" not in capsys.readouterr().out
    (tmp_path / "photos").rename(tmp_path / "digits")
    assert main(["ingest", "digits", "--root", "other", *MODEL]) == 0, "a folder that is called like a kind"
    assert "./digits is read as imagefolder:./digits" in capsys.readouterr().out


def test_tasks_of_ones_own_say_what_their_samples_are() -> None:
    classes = (base.Images, base.Table, base.Regression, base.Text, base.Speech)
    assert [medium_of(found) for found in classes] == ["image", "row", "row", "text", "audio"]


TABLE = ["--label", "inc"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--task", "tabulr"], "raygp: task: unknown name 'tabulr' (did you mean 'tabular'?)"),
        (
            [],
            "raygp: a.csv may be read in more than one way: say which with --source table:a.csv or texts:a.csv, ",
        ),
    ],
)
def test_a_table_without_a_task_asks_for_one(
    given: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("age,inc\n1,x\n")
    assert main(["ingest", "a.csv", "--root", "line", *given, *TABLE]) == 2
    assert capsys.readouterr().err.startswith(message)


def test_options_without_a_task_on_a_line_name_its_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, first in (("a.csv", 0), ("b.csv", 100)):
        rows = "".join(f"{first + number},{'xy'[number % 2]}\n" for number in range(60))
        (tmp_path / name).write_text(f"age,inc\n{rows}")
    assert main(["ingest", "a.csv", "--root", "line", "--task", "tabular", *TABLE]) == 0
    capsys.readouterr()
    assert main(["ingest", "b.csv", "--root", "line", *TABLE]) == 2
    assert capsys.readouterr().err == (
        "raygp: --label without --task NAME: leave it out, as the line knows its task, or give --task tabular too\n"
    )
    assert main(["ingest", "--source", "b.csv", "--root", "line"]) == 0
    assert "b.csv is read as table:b.csv" in capsys.readouterr().out


def test_a_line_in_python_guesses_too(tmp_path: Path) -> None:
    line = raygp.open(f"{tmp_path}/line")
    events: list[Event] = []
    line.listen(events.append)
    folder = str(photos(tmp_path))
    (arrival,) = line.ingest(folder, task={"name": "lenet-300-100"})
    assert arrival.source == "image folder photos"
    assert events[0] == Notice(text=f"{folder} is read as imagefolder:{folder}")
