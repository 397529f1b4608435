"""Sources at URLs: copied here once, read as of this machine, told of by their URL."""

from __future__ import annotations

import io
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import raygp
from raygp.data.sources import Source, fetch_files, open_source, passed_over_lines
from raygp.data.sources.mirror import Mirror
from raygp.errors import InputError, RaygpError
from raygp.events import Event, FilesCopied, Notice
from tests.conftest import UseServer
from tests.data.test_tables_and_tars import png, write_tar


def photos(count: int) -> dict[str, bytes]:
    """Files of two classes."""
    return {f"{label}/{n}.png": png(n + 100 * (label == "dog")) for label in ("cat", "dog") for n in range(count)}


PHOTOS = photos(3)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("RAYGP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def bucket() -> str:
    """An empty folder in this process's memory, by its URL."""
    fs = fsspec.filesystem("memory")
    if fs.exists("/bucket"):
        fs.rm("/bucket", recursive=True)
    return "memory://bucket"


def put(url: str, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        fs, path = fsspec.url_to_fs(f"{url}/{name}")
        fs.pipe_file(path, content)
    return url


def parquet() -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table({"image": [png(1), png(2)], "label": ["cat", "dog"]}), content)
    return content.getvalue()


def tar(tmp_path: Path, number: int) -> bytes:
    members = {f"{number}.png": png(number), f"{number}.cls": b"cat"}
    return write_tar(tmp_path / "x.tar", members).read_bytes()


def rows(source: Source) -> list[tuple[str | None, str, str, bytes]]:
    return [(sample.split, sample.label, sample.key, sample.load()) for sample in source.samples()]


def refusal(action: Callable[[], object], error: type[RaygpError] = InputError) -> str:
    with pytest.raises(error) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_gives_what_it_gives_on_this_machine(bucket: str, tmp_path: Path, cache: Path) -> None:
    put(f"{bucket}/photos", PHOTOS)
    for name, content in PHOTOS.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(content)
    there, here = open_source(f"imagefolder:{bucket}/photos/"), open_source(f"imagefolder:{tmp_path}/photos")
    assert not cache.exists(), "nothing is copied before it is needed"
    assert rows(there) == rows(here)
    assert there.name == here.name == "image folder photos"
    load = next(iter(there.samples())).load
    assert pickle.loads(pickle.dumps(load))() == PHOTOS["cat/0.png"]


def test_only_what_is_new_or_has_changed_is_copied_again(bucket: str, cache: Path) -> None:
    url = put(f"{bucket}/photos", PHOTOS)
    told: list[tuple[int, int]] = []
    size = sum(map(len, PHOTOS.values()))
    line = fetch_files(open_source(f"imagefolder:{url}"), lambda done, total: told.append((done, total)))
    assert line.startswith(f"{url}: 6 files copied, 0 were here; 0.0 MB in {cache}")
    assert told[0] == (0, size) and told[-1] == (size, size) and len(told) == 7
    put(url, {"cat/0.png": png(77), "dog/9.png": png(78)})
    fsspec.filesystem("memory").rm("/bucket/photos/cat/1.png")
    again = open_source(f"imagefolder:{url}")
    assert "2 files copied, 4 were here" in fetch_files(again, lambda done, total: None)
    found = {key: content for *_, key, content in rows(again)}
    assert found.keys() == PHOTOS.keys() - {"cat/1.png"} | {"dog/9.png"}
    assert (found["cat/0.png"], found["dog/9.png"]) == (png(77), png(78))


def test_what_was_deleted_or_cut_here_is_copied_again(bucket: str) -> None:
    url = put(f"{bucket}/photos", PHOTOS)
    first = Mirror(url)
    first.fetch()
    Path(first.path, "cat/0.png").unlink()
    Path(first.path, "dog/0.png").write_bytes(b"half")
    Path(first.path, "dog/left-over.png").write_bytes(b"half")
    second = Mirror(url)
    second.fetch()
    assert (second.fetched, second.kept) == (2, 4)
    assert rows(open_source(f"imagefolder:{second.path}")) == rows(open_source(f"imagefolder:{url}"))


def test_a_copy_that_breaks_off_keeps_what_is_whole(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = put(f"{bucket}/photos", PHOTOS)
    fs = fsspec.filesystem("memory")
    fetched: list[str] = []

    def broken(path: str, target: str) -> None:
        fetched.append(path)
        Path(target).write_bytes(fs.cat_file(path)[:10] if len(fetched) > 3 else fs.cat_file(path))
        if len(fetched) > 3:
            raise ConnectionResetError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(type(fs), "get_file", staticmethod(broken))
        patch.setattr("raygp.data.sources.mirror._THREADS", 1)
        assert "cannot be read: cut off" in refusal(Mirror(url).fetch, RaygpError)
    again = Mirror(url)
    again.fetch()
    assert (again.fetched, again.kept) == (3, 3)
    assert {key: content for *_, key, content in rows(open_source(f"imagefolder:{again.path}"))} == PHOTOS


def test_a_file_and_patterns(bucket: str, tmp_path: Path) -> None:
    put(bucket, {"one.parquet": parquet()})
    put(f"{bucket}/shards", {f"train-{number:03d}.tar": tar(tmp_path, number) for number in range(4)})
    assert [row[1:3] for row in rows(open_source(f"parquet:{bucket}/one.parquet"))] == [
        ("cat", "one.parquet#000000"), ("dog", "one.parquet#000001"),
    ]  # fmt: skip
    three = ["train-000.tar/0", "train-001.tar/1", "train-002.tar/2"]
    for pattern, keys in (("{000..002}", three), ("*", [*three, "train-003.tar/3"]), ("00[12]", three[1:])):
        assert [key for _, _, key, _ in rows(open_source(f"webdataset:{bucket}/shards/train-{pattern}.tar"))] == keys


def test_messages_name_the_url(bucket: str, cache: Path) -> None:
    url = put(f"{bucket}/photos", {"cat/1.png": png(1), "dog/1.png": png(2), "bad.parquet": b"PAR1 no"})

    def message(text: str) -> str:
        found = refusal(lambda: list(open_source(text).samples()))
        assert str(cache) not in found
        return found

    assert message(f"parquet:{url}/bad.parquet").startswith(f"{url}/bad.parquet cannot be read as Parquet: ")
    assert message(f"imagefolder:{url}/cat") == (
        f"{url}/cat holds no class folders; expected one folder of images for each class, or such folders in train, "
        "val and test"
    )
    assert message(f"webdataset:{url}") == f"{url} holds no {' or '.join(TAR_ENDS)} file"
    assert message(f"imagefolder:{url}/none") == f"{url}/none does not exist"
    assert message(f"parquet:{url}/*.csv") == f"{url}/*.csv does not exist"
    sample = next(iter(open_source(f"imagefolder:{url}").samples()))
    shutil.rmtree(cache)
    assert refusal(sample.load) == f"{url}/cat/1.png cannot be read: No such file or directory"


TAR_ENDS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.bz2", ".tbz2")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("s3:/bucket/photos", "s3:/bucket/photos is no usable address: expected one such as s3://bucket/folder"),
        ("s3://", "s3:// is no usable address"),
        ("gs://bucket/photos", "gs://bucket/photos needs a package that is not installed: "),
        ("nonsense://bucket/photos", "nonsense://bucket/photos cannot be used: Protocol not known: nonsense"),
        ("memory://me:secret@bucket/photos", "credentials do not belong into an address: "),
    ],
)
def test_addresses_that_cannot_be_used(path: str, message: str) -> None:
    found = refusal(lambda: open_source(f"imagefolder:{path}"))
    assert found.startswith(message) and "secret" not in found


def test_a_disk_that_is_too_small_is_told_before_anything_is_copied(
    bucket: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = put(f"{bucket}/photos", PHOTOS)
    usage = shutil.disk_usage(cache.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5 << 20))
    found = refusal(Mirror(url).fetch)
    assert found == (
        f"{url}: 0.0 GB are to be copied to {cache}/sources, where 0.0 GB are free: set RAYGP_CACHE to a larger folder"
    )


def test_names_that_lead_elsewhere_are_passed_over(bucket: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = put(f"{bucket}/photos", PHOTOS)
    fs = fsspec.filesystem("memory")
    found = fs.find("/bucket/photos", detail=True)
    some = found["/bucket/photos/cat/0.png"]
    odd = {f"/bucket/photos/{name}": some for name in ("../../x.png", "cat/" + "é" * 200 + ".png", "cat/0.png/1.png")}
    monkeypatch.setattr(type(fs), "find", lambda self, path, detail: {**found, **odd})
    source = open_source(f"imagefolder:{url}")
    with monkeypatch.context() as patch:
        patch.setattr(type(fs), "get_file", lambda self, path, to: Path(to).write_bytes(self.cat_file(path)))
        odd.pop("/bucket/photos/cat/0.png/1.png")
        assert len(rows(source)) == 6
    assert passed_over_lines(source) == ["names that no file here can have: 2, such as photos/../../x.png"]
    assert not list(cache.parent.rglob("x.png"))


def test_a_line_takes_in_a_url_and_says_what_was_copied(bucket: str, tmp_path: Path) -> None:
    url = put(f"{bucket}/photos", photos(10))
    line, events = raygp.open(f"{tmp_path}/line"), list[Event]()
    line.listen(events.append)
    (manifest,) = line.ingest(f"imagefolder:{url}", task={"name": "resnet18-small", "image_size": 16})
    assert manifest.source == "image folder photos" and sum(shard.rows for shard in manifest.shards) == 20
    copied = [event for event in events if isinstance(event, FilesCopied)]
    assert (copied[0].done, copied[-1].done) == (0, copied[-1].total)
    assert next(event.text for event in events if isinstance(event, Notice)).startswith(f"{url}: 20 files copied")


def test_s3(moto: str, use_server: UseServer, tmp_path: Path) -> None:
    root = f"s3://{use_server(moto)}"
    put(root, {"a/one.parquet": parquet(), "a/0.tar": tar(tmp_path, 0)})
    put(f"{root}/photos", PHOTOS)
    folder = open_source(f"imagefolder:{root}/photos")
    assert {key: content for *_, key, content in rows(folder)} == PHOTOS
    assert [row[1] for row in rows(open_source(f"parquet:{root}/a/one.parquet"))] == ["cat", "dog"]
    assert [row[2] for row in rows(open_source(f"webdataset:{root}/a/*.tar"))] == ["0.tar/0"]
    put(f"{root}/photos", {"cat/0.png": png(99)})
    assert "1 files copied, 5 were here" in fetch_files(open_source(f"imagefolder:{root}/photos"), lambda *_: None)
    assert refusal(lambda: rows(open_source("imagefolder:s3://no-such-bucket-here/photos"))) == (
        "s3://no-such-bucket-here/photos: there is no such bucket"
    )
    assert refusal(lambda: rows(open_source(f"imagefolder:{root}/none"))) == f"{root}/none does not exist"


def test_s3_without_credentials_is_one_line(
    moto: str, use_server: UseServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = f"s3://{use_server(moto)}"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    from raygp.store.s3_client import PatientS3

    PatientS3.clear_instance_cache()
    found = refusal(lambda: rows(open_source(f"imagefolder:{root}/photos")))
    assert found == f"{root}/photos cannot be reached: Unable to locate credentials"
