"""Rows that cannot be used: a few are left out and listed, many refuse the arrival; and memory stays small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from raygp.data.ingest import IngestSettings, ingest
from raygp.data.quality import SampleCheck
from raygp.data.sources import open_source
from raygp.errors import InputError
from raygp.store import Location, list_arrivals, read_shard, verify_arrival
from tests.checkout import PROJECT

TASK = {"name": "resnet18", "image_size": 16}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of 60 images."""
    for shade, label in enumerate(("cat", "dog")):
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True)
        for number in range(60):
            Image.new("RGB", (16, 16), (number, shade, 60)).save(folder / f"{number:02d}.png")
    return tmp_path / "photos"


def publish(location: Location, photos: Path, **settings: object) -> None:
    chosen = IngestSettings(["a"], [1.0], 0.2, 0.2, **settings)  # type: ignore[arg-type]
    task = None if location.exists("line.json") else TASK
    ingest(location, task, open_source(f"imagefolder:{photos}"), chosen)


def test_a_few_bad_rows_are_left_out_and_listed(location: Location, photos: Path) -> None:
    (photos / "cat" / "07.png").write_bytes(b"")
    (photos / "dog" / "11.png").write_bytes((photos / "dog" / "11.png").read_bytes()[:-20])
    publish(location, photos, max_bad_share=0.02)
    (manifest,) = list_arrivals(location)
    assert manifest.quarantined == 2 and sum(shard.rows for shard in manifest.shards) == 118
    rows = [json.loads(line) for line in location.read_bytes("arrivals/a/quarantine.jsonl").splitlines()]
    found = {row["key"]: row for row in rows}
    assert found["cat/07.png"] == {"key": "cat/07.png", "row": 7, "label": "cat", "reason": "empty file"}
    assert found["dog/11.png"]["row"] == 71 and "damaged image" in found["dog/11.png"]["reason"]
    tables = [read_shard(location, "a", shard) for shard in manifest.shards]
    keys = pa.concat_tables(tables).column("key").to_pylist()
    assert len(set(keys)) == 118 and not set(found) & set(keys)
    assert verify_arrival(location, "a").problems == []


def test_too_many_bad_rows_refuse_the_arrival_and_leave_nothing(location: Location, photos: Path) -> None:
    for name in ("01", "02"):
        (photos / "cat" / f"{name}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"a is refused: 2 of 120 rows cannot be used \(the last one seen: cat/"):
        publish(location, photos)
    assert not location.exists()


def test_a_share_of_none_bears_none(location: Location, photos: Path) -> None:
    (photos / "cat" / "01.png").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        publish(location, photos, max_bad_share=0.0)
    assert str(caught.value) == (
        "arrival a is refused: cat/01.png: empty file (1 of 120 rows), which is more than --max-bad-share 0"
    )


def test_a_share_that_is_none_is_refused(location: Location, photos: Path) -> None:
    with pytest.raises(InputError, match=r"--max-bad-share must be at least 0 and less than 1, not 1\.5"):
        publish(location, photos, max_bad_share=1.5)


def test_a_label_outside_the_vocabulary_is_a_bad_row(location: Location, photos: Path, tmp_path: Path) -> None:
    publish(location, photos)
    for number, photo in enumerate(sorted(photos.rglob("*.png"))):
        Image.new("RGB", (16, 16), (number, 0, 90)).save(photo)  # Another week's.
    (photos / "dgo").mkdir()
    (photos / "dog" / "00.png").rename(photos / "dgo" / "00.png")
    settings = IngestSettings(["b"], [1.0], 0.2, 0.2)
    ingest(location, None, open_source(f"imagefolder:{photos}"), settings)
    (row,) = location.read_bytes("arrivals/b/quarantine.jsonl").splitlines()
    reason = "label 'dgo' is outside the line's vocabulary of 2 classes"
    assert json.loads(row) == {"key": "dgo/00.png", "row": 60, "label": "dgo", "reason": reason}
    assert sum(shard.rows for shard in list_arrivals(location)[1].shards) == 119


def test_a_class_that_lost_all_its_training_rows_refuses_the_arrival(location: Location, photos: Path) -> None:
    (photos / "owl").mkdir()
    for number in range(3):
        Image.new("RGB", (16, 16), (number, 2, 60)).save(photos / "owl" / f"{number}.png")
    settings = {"max_bad_share": 0.05}
    publish(location, photos, **settings)
    (shard,) = list_arrivals(location)[0].shards_of("train")
    table = read_shard(location, "a", shard)
    (row,) = [row for row, label in enumerate(table.column("label").to_pylist()) if label == "owl"]
    (photos / table.column("key")[row].as_py()).write_bytes(b"")
    with pytest.raises(InputError, match="arrival a: class 'owl' has no usable training sample"):
        publish(Location(f"{location.root}-2"), photos, **settings)


class _Waves:
    """A decoder of 32-bit floats, as that of audio is one."""

    def check(self, sample: bytes, label: str) -> None:
        if len(sample) % 4:
            raise ValueError("cut short")

    def decode(self, sample: bytes) -> np.ndarray:
        self.check(sample, "a")
        return np.frombuffer(sample, dtype=np.float32)[1:]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.0, 2.0], None),
        ([1.0, float("nan")], "values that are NaN or infinite"),
        ([1.0, float("inf")], "values that are NaN or infinite"),
        ([1.0], "no values in it"),
        ([], "empty file"),
    ],
)
def test_values_must_be_there_and_finite(values: list[float], reason: str | None) -> None:
    check = SampleCheck(_Waves())
    assert check.problem(np.array([0.0, 1.0], dtype=np.float32).tobytes(), "a") is None
    assert check.problem(np.array(values, dtype=np.float32).tobytes(), "a") == reason
    assert check.problem(b"abc", "a") == "cut short"


LARGE = """
import io, resource, sys
import numpy as np
from PIL import Image
from raygp.data.ingest import IngestSettings, ingest
from raygp.data.sources.source import SourceSample
from raygp.store import Location, list_arrivals

pixels = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)

def bmp(number):
    pixels[0, 0] = number // 256, number % 256, ROWS % 256  # No two are the same.
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "BMP")  # Takes no time to encode and decode.
    return file.getvalue()

class Large:
    name = "large"
    def samples(self):
        return (SourceSample(None, "ab"[i % 2], f"{i:04d}", lambda i=i: bmp(i)) for i in range(ROWS))

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

ROWS = 60
settings = lambda name: IngestSettings([name], [1.0], 0.1, 0.1, max_bad_share=0.0)
ingest(Location(sys.argv[1]), {"name": "resnet18", "image_size": 16}, Large(), settings("small"))
before = peak()
ROWS = 400
ingest(Location(sys.argv[1]), None, Large(), settings("large"))
size = sum(shard.bytes for shard in list_arrivals(Location(sys.argv[1]))[1].shards) / 2**20
print(size, peak() - before)
"""


def test_a_source_larger_than_what_is_held_in_memory_streams(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LARGE, str(tmp_path / "line")], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    published_mib, grown_mib = map(float, run.stdout.split())
    assert published_mib > 400 and grown_mib < 140, run.stdout
