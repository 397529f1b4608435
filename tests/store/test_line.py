from __future__ import annotations

from pathlib import Path

import pytest

from raygp.errors import InputError
from raygp.store import Location, check_root_usable, create_line, open_line

TASK = {"name": "lenet", "options": {"width": 8, "shape": (28, 28)}}


def message(call: object, *args: object) -> str:
    with pytest.raises(InputError) as caught:
        call(*args)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_line_is_created_once_and_opened(any_location: Location) -> None:
    assert check_root_usable(any_location) is None
    spec = create_line(any_location, TASK)
    assert spec.task == {"name": "lenet", "options": {"width": 8, "shape": [28, 28]}}
    assert create_line(any_location, TASK) == spec == open_line(any_location) == check_root_usable(any_location)


def test_another_task_is_refused_with_the_difference(location: Location) -> None:
    create_line(location, TASK)
    assert message(create_line, location, {"name": "lenet", "options": {"width": 16}, "extra": None}) == (
        f"{location.root} holds a model line for another task (extra: not set there, None here;"
        " options.shape: [28, 28] there, not set here; options.width: 8 there, 16 here):"
        " use that task, or another --root"
    )


def test_an_absent_root_is_told_from_an_empty_one(location: Location) -> None:
    command = f"raygp ingest --root {location.root} --source KIND:PATH --task NAME"
    advice = f"correct --root, or make a model line there: {command}"
    assert message(open_line, location) == f"{location.root} does not exist: {advice}"
    location.local_path().mkdir()
    assert message(open_line, location) == f"{location.root} is empty (no line.json): {advice}"


@pytest.mark.parametrize("call", [open_line, check_root_usable, lambda location: create_line(location, TASK)])
def test_a_foreign_root_is_refused_and_nothing_written(location: Location, call: object) -> None:
    location.write_bytes("notes.txt", b"mine")
    location.write_bytes("arrivals/x", b"mine too")
    assert message(call, location) == (
        f"{location.root} holds files that are no raygp model line (e.g. 'notes.txt'): choose an empty or new --root"
    )
    assert location.list() == ["arrivals", "notes.txt"]


def test_a_line_that_lost_its_spec_is_recognised(location: Location) -> None:
    location.write_bytes("versions/v0000/card.json", b"{}")
    assert message(create_line, location, TASK) == (
        f"{location.root} holds parts of a raygp model line (e.g. 'versions') but no line.json:"
        " restore it from a copy, or choose an empty or new --root"
    )


def test_a_file_is_no_root(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert (
        message(open_line, Location(str(tmp_path / "file"))) == f"{tmp_path}/file is a file: choose a folder as --root"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"format": 2, "news": 1}', "has format 2, this raygp reads formats up to 1: upgrade raygp"),
        (b"[]", "is no JSON object: it is damaged or not raygp's"),
        (b'{"kind": "raygp-line", "task": {}, "created": "", "x": 1}', ": x: Extra inputs are not permitted"),
        (b'{"kind": "other", "task": {}, "created": ""}', ": kind: Input should be 'raygp-line'"),
        (b'{"kind": "raygp-line", "task": {}}', ": created: Field required"),
    ],
)
def test_a_spec_that_cannot_be_read_says_why(location: Location, content: bytes, expected: str) -> None:
    location.write_bytes("line.json", content)
    separator = "" if expected.startswith(":") else " "
    assert message(open_line, location) == f"{location.root}/line.json{separator}{expected}"


def test_a_truncated_spec_says_so(location: Location) -> None:
    location.write_bytes("line.json", b'{"format": 1')
    assert message(open_line, location).startswith(f"{location.root}/line.json is no JSON (")


def test_a_task_that_is_no_json_is_refused(location: Location) -> None:
    assert "the task cannot be stored as JSON" in message(create_line, location, {"model": object()})
    assert not location.exists()
