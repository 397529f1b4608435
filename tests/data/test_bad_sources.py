"""What a source itself says of its rows, and of what it passes over."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
from PIL import Image

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.quality import SampleCheck
from raygp.data.sources import PassedOver, SourceSample, passed_over_lines
from raygp.data.sources.formats import FORMATS, HEAD_BYTES, format_of, suffixes
from raygp.errors import InputError, RaygpError
from raygp.events import Event, Notice
from raygp.store import Location, list_arrivals

TASK = {"name": "resnet18", "image_size": 16}


def picture(number: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def unreadable() -> bytes:
    raise InputError("/photos/007.png cannot be read: Permission denied")


@dataclass
class Rows:
    """Forty rows of two classes, some of which are replaced."""

    name: str = "rows"
    replaced: dict[int, SourceSample] = field(default_factory=dict)
    passed_over: PassedOver = field(default_factory=PassedOver)

    def samples(self) -> Iterator[SourceSample]:
        for row in range(40):
            label = "cat" if row % 2 else "dog"
            sample = SourceSample(None, label, f"{row:03d}", partial(picture, row))
            yield self.replaced.get(row, sample)


def publish(location: Location, source: Rows, **settings: object) -> list[str]:
    said: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Notice):
            said.append(event.text)

    ingest(location, TASK, source, IngestSettings(["a"], **settings), tell=listen)  # type: ignore[arg-type]
    return said


def quarantined(location: Location) -> dict[str, str]:
    lines = location.read_bytes("arrivals/a/quarantine.jsonl").splitlines()
    return {row["key"]: row["reason"] for row in map(json.loads, lines)}


def test_a_row_that_its_source_finds_unusable_is_listed_and_never_read(location: Location) -> None:
    bad = SourceSample(None, "cat", "007", unreadable, problem="the transcript is empty")
    publish(location, Rows(replaced={7: bad}), max_bad_share=0.05)
    assert quarantined(location) == {"007": "the transcript is empty"}
    assert sum(shard.rows for shard in list_arrivals(location)[0].shards) == 39


def test_a_file_that_cannot_be_read_is_one_bad_row(location: Location) -> None:
    publish(location, Rows(replaced={7: SourceSample(None, "cat", "007", unreadable)}), max_bad_share=0.05)
    assert quarantined(location) == {"007": "/photos/007.png cannot be read: Permission denied"}


def test_too_many_rows_that_the_source_finds_unusable_refuse_it(location: Location) -> None:
    bad = {row: SourceSample(None, "cat", f"{row:03d}", unreadable, problem="no file") for row in (7, 9)}
    with pytest.raises(InputError, match=r"2 of 40 rows cannot be used, .*--max-bad-share 0\.01; .* 007: no file"):
        publish(location, Rows(replaced=bad))
    assert not location.exists()


class _Decoder:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def check(self, sample: bytes, label: str) -> None:
        raise self.error

    def decode(self, sample: bytes) -> np.ndarray:
        raise AssertionError("decoded after a failed check")


@pytest.mark.parametrize("error", [KeyError("ihdr"), OverflowError("too large"), IndexError(), MemoryError("9 GB")])
def test_whatever_a_decoder_raises_is_a_reason(error: Exception) -> None:
    problem = SampleCheck(_Decoder(error)).problem(b"x", "cat")
    assert problem is not None and problem.startswith(type(error).__name__)


def test_a_missing_package_is_no_fault_of_the_sample() -> None:
    with pytest.raises(RaygpError, match="needs soundfile"):
        SampleCheck(_Decoder(InputError("speech needs soundfile"))).problem(b"x", "cat")


def test_what_is_passed_over_is_said_with_its_count_and_one_name(location: Location) -> None:
    source = Rows()
    for name in ("a/.DS_Store", "b/.DS_Store"):
        source.passed_over.add("hidden files", name)
    source.passed_over.add("links that lead nowhere", "a/x")
    assert publish(location, source) == [
        "passed over: hidden files: 2, such as a/.DS_Store",
        "passed over: links that lead nowhere: 1, such as a/x",
    ]


def test_strict_refuses_what_would_be_passed_over_and_duplicates(location: Location) -> None:
    source = Rows()
    source.passed_over.add("hidden files", "a/.DS_Store")
    with pytest.raises(InputError, match=r"rows holds what is no sample, and --strict .*: hidden files: 1, such as a/"):
        publish(location, source, strict=True)
    twice = Rows(replaced={9: SourceSample(None, "cat", "009", partial(picture, 7))})
    with pytest.raises(InputError, match=r"1 of 40 rows of rows have bytes that the line or the source has already"):
        publish(location, twice, strict=True)
    assert not location.exists()
    assert publish(location, Rows(), strict=True) == []


def test_a_source_that_counts_nothing_passes_nothing_over() -> None:
    class Bare:
        name = "bare"

        def samples(self) -> Iterator[SourceSample]:
            return iter(())

    assert passed_over_lines(Bare()) == []


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF", "PPM"])
def test_pictures_are_told_by_their_content(name: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, name)
    found = format_of(file.getvalue()[:HEAD_BYTES])
    assert found is not None and found.medium == "image" and found.name == ("PNM" if name == "PPM" else name)


@pytest.mark.parametrize("content", [b"", b"label\n", b"PK\x03\x04", b"%PDF-1.7", b"<svg>", b"Pickle"])
def test_what_is_no_sample_has_no_format(content: bytes) -> None:
    assert format_of(content) is None


def test_no_suffix_belongs_to_two_formats() -> None:
    every = [suffix for form in FORMATS for suffix in form.suffixes]
    assert len(every) == len(set(every)) and set(every) == {*suffixes("image"), *suffixes("audio")}
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in every)


def test_rows_of_little_use_are_taken_in_and_told(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    doubtful = {picture(row) for row in (3, 4, 5)}
    said_of = lambda self, sample, label: "too short" if sample in doubtful else None
    monkeypatch.setattr("raygp.tasks.images.ImageTask.check", said_of)
    assert publish(location, Rows()) == ["taken in, but worth a look: 3 of 40 rows, such as 003: too short"]
    assert sum(shard.rows for shard in list_arrivals(location)[0].shards) == 40
