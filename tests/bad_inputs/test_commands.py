"""Bad inputs that take more than a row of the table."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from raygp.cli import main
from tests.bad_inputs.makers import line, photos
from tests.checkout import PROJECT
from tests.conftest import UseServer


def test_truncated_images_in_the_last_arrival_leave_nothing_of_the_others(tmp_path: Path) -> None:
    source = photos(tmp_path, images=30)
    for path in source.rglob("2*.png"):
        path.write_bytes(path.read_bytes()[:-40])
    job = [sys.executable, PROJECT / "jobs/imagenet_incremental.py", "--source", f"imagefolder:{source}"]
    done = subprocess.run(
        [*job, "--image-size", "16", "--root", tmp_path / "line"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "is refused" in done.stderr and ".png: damaged image" in done.stderr
    assert not (tmp_path / "line").exists()


def test_words_that_are_no_override(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["update", "--root", line(tmp_path).root, "faster"])
    assert stopped.value.code == 2
    assert "unrecognized arguments: faster" in capsys.readouterr().err


def test_status_of_a_line_that_waits_for_its_first_update(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--root", line(tmp_path).root]) == 0
    out = capsys.readouterr().out
    assert "head: none yet" in out and "monday" in out and "waiting" in out


def test_a_bucket_that_is_not_there(moto: str, use_server: UseServer, capsys: pytest.CaptureFixture[str]) -> None:
    use_server(moto)
    assert main(["status", "--root", "s3://absent-bucket/line"]) == 2
    expected = "raygp: s3://absent-bucket/line: there is no such bucket: create it or correct --root\n"
    assert capsys.readouterr().err == expected


def test_an_update_on_storage_that_ignores_conditions(
    rclone: str, use_server: UseServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"s3://{use_server(rclone)}/line"
    new = ["--task", "lenet-300-100", "--root", root]
    assert main(["ingest", "--source", f"imagefolder:{photos(tmp_path)}", *new]) == 0
    assert main(["update", "--root", root]) == 2
    error = capsys.readouterr().err
    assert f"{root}: {rclone} ignores conditional writes (If-None-Match, If-Match)" in error
    assert "give --single-writer if nothing else ever updates this line" in error


def test_a_server_that_is_not_there(
    use_server: UseServer, moto: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from raygp.store import s3_client

    bucket = use_server(moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    # With all of its patience, s3fs says so after 11 seconds.
    monkeypatch.setattr(s3_client.PatientS3, "retries", 2)
    monkeypatch.setitem(s3_client._CONFIG["retries"], "max_attempts", 2)
    assert main(["status", "--root", f"s3://{bucket}/line"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"raygp: s3://{bucket}/line cannot be reached: ") and "http://127.0.0.1:9" in error
