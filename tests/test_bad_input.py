"""What a person meets who gives raygp something wrong: one clear line, exit code 2, nothing written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from raygp.cli import main
from raygp.data.ingest import IngestSettings, ingest
from raygp.store import Location
from tests.digits import FewDigits

ROOT = Path(__file__).resolve().parents[1]


def make_folder(root: Path, classes: int = 2, images: int = 20) -> Path:
    for label in range(classes):
        folder = root / f"class{label}"
        folder.mkdir(parents=True)
        for number in range(images):
            Image.new("RGB", (16, 16), (label * 90, number * 10, 40)).save(folder / f"{number:02d}.jpeg")
    return root


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and standard error of ``raygp ARGUMENTS``; the latter must be one line."""
    code = main(list(arguments))
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return code, error.removeprefix("raygp: ").strip()


def ingest_arguments(source: str, root: Path) -> list[str]:
    return ["ingest", "--source", source, "--root", str(root), "--task", "resnet18", "--image-size", "16"]


@pytest.fixture
def line(tmp_path: Path) -> Path:
    root = tmp_path / "line"
    settings = IngestSettings(["monday"], [1.0], 0.2, 0.2)
    ingest(Location(str(root)), {"name": "lenet-300-100"}, FewDigits(0, 200, "01"), settings)
    return root


def test_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    code, error = run(capsys, *ingest_arguments(f"imagefolder:{tmp_path / 'photos'}", tmp_path / "line"))
    assert code == 2 and "photos" in error and "empty" in error
    assert not (tmp_path / "line").exists()


def test_folder_with_one_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_folder(tmp_path / "photos", classes=1)
    code, error = run(capsys, *ingest_arguments(f"imagefolder:{source}", tmp_path / "line"))
    assert code == 2 and "class0" in error
    assert not (tmp_path / "line").exists()


def test_corrupt_jpeg_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_folder(tmp_path / "photos")
    (source / "class1" / "07.jpeg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    code, error = run(capsys, *ingest_arguments(f"imagefolder:{source}", tmp_path / "line"))
    assert code == 2 and "class1/07.jpeg" in error
    assert not (tmp_path / "line").exists()


def test_truncated_jpeg_in_the_last_arrival_leaves_nothing_of_the_others(tmp_path: Path) -> None:
    source = make_folder(tmp_path / "photos", images=30)
    for path in source.rglob("2*.jpeg"):
        path.write_bytes(path.read_bytes()[:-60])
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "jobs/imagenet_incremental.py",
            *("--source", f"imagefolder:{source}"),
            *("--image-size", "16"),
            *("--root", tmp_path / "line"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "2" in done.stderr and ".jpeg" in done.stderr
    assert not (tmp_path / "line").exists()


def test_label_outside_the_vocabulary(line: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_folder(tmp_path / "photos")
    before = files_below(line)
    code, error = run(capsys, "ingest", "--source", f"imagefolder:{source}", "--root", str(line))
    assert code == 2
    assert error == (
        "labels outside the line's vocabulary of 2 classes: 'class0', 'class1'; give --new-classes to add them"
    )
    assert files_below(line) == before


def test_misspelt_key_in_yaml(line: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("plan:\n  alhpa: 0.2\n")
    before = files_below(line)
    code, error = run(capsys, "update", "--root", str(line), "--config", str(config))
    assert code == 2
    assert error == f"{config}: plan.alhpa: there is no setting 'alhpa' (did you mean 'alpha'?)"
    assert files_below(line) == before


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("plan.alpha=2", "plan.alpha: input should be less than or equal to 1, not 2"),
        ("plan.phases.0.alhpa=0.1", "plan.phases.0.alhpa: there is no setting 'alhpa' (did you mean 'alpha'?)"),
        ("plan.phases.7.alpha=0.1", "plan.phases.7.alpha: '7' is no position in a list of 2 (0 to 1)"),
        ("plam.alpha=0.1", "plam.alpha: there is no setting 'plam' (did you mean 'plan'?)"),
        ("workers=two", "workers: input should be a valid integer, unable to parse string as an integer, not 'two'"),
    ],
)
def test_bad_override(line: Path, override: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = files_below(line)
    assert run(capsys, "update", "--root", str(line), override) == (2, message)
    assert files_below(line) == before


def test_root_with_something_elses_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, root = make_folder(tmp_path / "photos"), tmp_path / "thesis"
    root.mkdir()
    (root / "chapter1.txt").write_text("words")
    code, error = run(capsys, *ingest_arguments(f"imagefolder:{source}", root))
    assert code == 2 and "thesis" in error and "chapter1.txt" in error
    assert files_below(root) == ["chapter1.txt"]
    for command in ("update", "status", "versions"):
        assert run(capsys, command, "--root", str(root))[0] == 2
    assert files_below(root) == ["chapter1.txt"]


def test_root_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = run(capsys, "status", "--root", str(tmp_path / "nowhere"))
    assert code == 2 and "nowhere" in error
    assert files_below(tmp_path) == []


def test_another_task_for_an_existing_line(line: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_folder(tmp_path / "photos")
    before = files_below(line)
    code, error = run(capsys, *ingest_arguments(f"imagefolder:{source}", line))
    assert code == 2 and "resnet18" in error and "lenet-300-100" in error
    assert files_below(line) == before


def test_new_line_without_a_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_folder(tmp_path / "photos")
    code, error = run(capsys, "ingest", "--source", f"imagefolder:{source}", "--root", str(tmp_path / "line"))
    assert code == 2 and "--task" in error
    assert not (tmp_path / "line").exists()


def test_unknown_version(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = run(capsys, "show", "v0007", "--root", str(line))
    assert code == 2 and "v0007" in error


def test_words_that_are_no_override(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["update", "--root", str(line), "faster"])
    assert stopped.value.code == 2
    assert "unrecognized arguments: faster" in capsys.readouterr().err


def test_status_of_a_line_that_waits_for_its_first_update(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--root", str(line)]) == 0
    out = capsys.readouterr().out
    assert "head: none yet" in out and "monday" in out and "waiting" in out
