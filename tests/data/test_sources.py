"""Sources of samples, on folders made here and on the real archives where they lie beside the checkout."""

import gzip
import io
import os
import pickle
import subprocess
import sys
import tarfile
from collections import Counter
from functools import partial

import numpy as np
import pytest
from PIL import Image

from raygp.data.sources import SOURCES, SourceKind, SourceSample, draw_splits, open_source, source_forms
from raygp.data.sources.naming import TARS
from raygp.data.sources.split import apportion
from raygp.errors import InputError
from tests.checkout import PROJECT, REAL_DATA


def real(name):
    if not (REAL_DATA / name).exists():
        pytest.skip(f"{name} is not laid beside the checkout")
    return REAL_DATA / name


def jpeg(seed=0):
    content = io.BytesIO()
    Image.new("RGB", (8, 8), (seed % 256, 0, 0)).save(content, "JPEG")
    return content.getvalue()


def write(folder, *names):
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(i))
    return folder


def tarred(folder, path, mode="w"):
    with tarfile.open(path, mode) as tar:
        tar.add(folder, arcname=folder.name)
    return path


def splits_of(source):
    return {sample.key: sample.split for sample in source.samples()}


def labels_of(source):
    return sorted({sample.label for sample in source.samples()})


def message_of(action):
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestImageFolder:
    def test_class_folders_alone_leave_the_splits_to_be_drawn(self, tmp_path):
        write(tmp_path, "dog/1.JPG", "cat/2.jpeg", "cat/deep/3.png", "words.txt", ".git/x.jpg", "cat/._2.jpeg")
        write(tmp_path, "cat/notes.txt")
        source = open_source(f"imagefolder:{tmp_path}")
        assert labels_of(source) == ["cat", "dog"]
        assert [(s.key, s.label, s.split) for s in source.samples()] == [
            ("cat/2.jpeg", "cat", None),
            ("cat/deep/3.png", "cat", None),
            ("dog/1.JPG", "dog", None),
        ]
        assert tmp_path.name in source.name and str(tmp_path) not in source.name
        assert next(source.samples()).load() == (tmp_path / "cat/2.jpeg").read_bytes()

    def test_val_alone_is_the_test_split(self, tmp_path):
        write(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "words.txt", "train/list.txt")
        source = open_source(f"imagefolder:{tmp_path}")
        assert splits_of(source) == {"train/a/1.jpg": "train", "train/b/1.jpg": "train", "val/a/1.jpg": "test"}

    def test_val_and_test_are_what_they_say(self, tmp_path):
        write(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "test/b/1.jpg")
        found = splits_of(open_source(f"imagefolder:{tmp_path}"))
        assert (found["val/a/1.jpg"], found["test/b/1.jpg"], len(found)) == ("val", "test", 4)

    def test_an_unlabelled_test_folder_does_not_count(self, tmp_path):
        write(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "test/1.jpg")
        assert splits_of(open_source(f"imagefolder:{tmp_path}"))["val/a/1.jpg"] == "test"

    def test_linked_folders_are_followed_but_not_in_circles(self, tmp_path):
        write(tmp_path, "store/a/1.jpg", "data/b/1.jpg")
        (tmp_path / "data/a").symlink_to(tmp_path / "store/a")
        (tmp_path / "data/b/loop").symlink_to(tmp_path / "data")
        assert list(splits_of(open_source(f"imagefolder:{tmp_path}/data"))) == ["a/1.jpg", "b/1.jpg"]

    @pytest.mark.parametrize("suffix, mode", [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz")])
    def test_a_tar_gives_what_its_folder_gives_in_any_order(self, tmp_path, suffix, mode):
        folder = write(tmp_path / "pets", "train/a/1.jpg", "train/a/2.jpg", "train/b/1.jpg", "val/b/2.jpg", "words.txt")
        plain = open_source(f"imagefolder:{folder}")
        source = open_source(f"imagefolder:{tarred(folder, tmp_path / f'pets{suffix}', mode)}")
        assert splits_of(source) == splits_of(plain)
        expected = {sample.key: sample.load() for sample in plain.samples()}
        samples = pickle.loads(pickle.dumps(list(source.samples())))
        del source
        assert {s.key: s.load() for s in reversed(samples)} == expected

    def test_a_sample_of_a_tar_loads_in_another_process_and_folder(self, tmp_path, monkeypatch):
        folder = write(tmp_path / "pets", "a/1.jpg", "b/1.jpg")
        tarred(folder, tmp_path / "pets.tar")
        monkeypatch.chdir(tmp_path)
        sample = list(open_source("imagefolder:pets.tar").samples())[1]
        script = "import pickle, sys; sys.stdout.buffer.write(pickle.load(sys.stdin.buffer).load())"
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        done = subprocess.run(
            [sys.executable, "-c", script],
            input=pickle.dumps(sample),
            capture_output=True,
            cwd="/",
            env=environment,
            check=True,
        )
        assert done.stdout == (folder / "b/1.jpg").read_bytes()

    def test_a_tar_that_points_outside_is_harmless(self, tmp_path):
        path = tmp_path / "evil.tar"
        with tarfile.open(path, "w") as tar:
            for name in ("../outside/1.jpg", "/etc/a/1.jpg", "a/1.jpg", "b/1.jpg", "b/../../c/1.jpg"):
                member = tarfile.TarInfo(name)
                member.size = 3
                tar.addfile(member, io.BytesIO(b"abc"))
            link = tarfile.TarInfo("b/link.jpg")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
        source = open_source(f"imagefolder:{path}")
        assert list(splits_of(source)) == ["a/1.jpg", "b/1.jpg", "etc/a/1.jpg"]
        assert all(sample.load() == b"abc" for sample in source.samples())
        assert [p.name for p in tmp_path.iterdir()] == ["evil.tar"]

    def test_nothing_there(self, tmp_path):
        assert message_of(lambda: open_source(f"imagefolder:{tmp_path}/no")) == f"{tmp_path}/no does not exist"

    def test_neither_folder_nor_tar(self, tmp_path):
        (tmp_path / "a.zip").write_bytes(b"PK")
        expected = f"{tmp_path}/a.zip is neither a folder nor a {', '.join(TARS)} file"
        assert message_of(lambda: open_source(f"imagefolder:{tmp_path}/a.zip")) == expected

    @pytest.mark.parametrize(
        "names, problem",
        [
            ([], "holds no class folders; expected one folder of images for each class, or such folders in train, "),
            (["1.jpg"], "holds no class folders; "),
            (["train/1.jpg"], "holds no class folders; "),
            (["a/notes.txt", "b/list.csv"], "holds folders without a single image (files that are no images: 2, such "),
        ],
    )
    @pytest.mark.parametrize("packed", [False, True])
    def test_without_classes(self, tmp_path, names, problem, packed):
        folder = tmp_path / "data"
        folder.mkdir()
        path = write(folder, *names)
        if packed:
            path = tmp_path / "data.tar"
            with tarfile.open(path, "w") as tar:
                tar.add(folder, arcname=".")
        assert message_of(open_source(f"imagefolder:{path}").samples).startswith(f"{path} {problem}")

    @pytest.mark.parametrize("packed", [False, True])
    def test_one_class_is_a_source(self, tmp_path, packed):
        path = write(tmp_path / "data", "cat/1.jpg")
        if packed:
            path = tarred(path, tmp_path / "data.tar")
        assert splits_of(open_source(f"imagefolder:{path}")) == {"cat/1.jpg": None}

    def test_a_class_without_images_is_said(self, tmp_path):
        source = open_source(f"imagefolder:{write(tmp_path, 'a/1.jpg', 'b/notes.txt')}")
        assert labels_of(source) == ["a"]
        assert source.passed_over.lines == [
            "files that are no images: 1, such as b/notes.txt",
            "folders without an image: 1, such as b",
        ]

    def test_a_held_out_class_that_train_lacks(self, tmp_path):
        write(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/images/1.jpg")
        expected = f"{tmp_path}: val has a class 'images' that train lacks; rename or remove it"
        assert message_of(open_source(f"imagefolder:{tmp_path}").samples) == expected

    @pytest.mark.parametrize("damage", ["text", "empty", "cut in a file", "cut in a header", "bad header", "cut gzip"])
    def test_an_unreadable_tar(self, tmp_path, damage):
        folder = write(tmp_path / "pets", "a/1.jpg", "b/1.jpg", "c/1.jpg")
        path = tarred(folder, tmp_path / "pets.tar", "w:gz" if damage == "cut gzip" else "w")
        content = path.read_bytes()
        last = content.rfind(b"pets/c/1.jpg")
        damaged = {
            "text": b"hello" * 200,
            "empty": b"",
            "cut in a file": content[: last + 600],
            "cut in a header": content[: last + 100],
            "bad header": content[:last] + b"X" + content[last + 1 :],
            "cut gzip": content[: len(content) // 2],
        }
        path.write_bytes(damaged[damage])
        message = message_of(open_source(f"imagefolder:{path}").samples)
        assert message.startswith(f"{path} cannot be read as a tar: ")

    def test_a_file_that_went_away(self, tmp_path):
        sample = next(open_source(f"imagefolder:{write(tmp_path, 'a/1.jpg', 'b/1.jpg')}").samples())
        (tmp_path / "a/1.jpg").unlink()
        assert message_of(sample.load) == f"{tmp_path}/a/1.jpg cannot be read: No such file or directory"

    def test_a_name_that_is_not_utf8(self, tmp_path):
        write(tmp_path, "a/1.jpg", "b/1.jpg")
        try:
            os.link(tmp_path / "a/1.jpg", os.fsencode(tmp_path) + b"/a/\xff.jpg")
        except OSError:
            pytest.skip("this file system takes only UTF-8 names")
        message = message_of(open_source(f"imagefolder:{tmp_path}").samples)
        assert message == f"{tmp_path}: the name 'a/\\udcff.jpg' is not valid UTF-8; rename it"


class TestRealArchives:
    @pytest.mark.parametrize(
        "name, classes, train, test",
        [
            ("tiny-imagenet/tiny-imagenet-20.tar", 20, 10_000, 1000),
            ("imagenette/imagenette-small.tar", 10, 1500, 400),
        ],
    )
    def test_random_access_equals_reading_the_member(self, name, classes, train, test):
        path = real(name)
        source = open_source(f"imagefolder:{path}")
        samples = list(source.samples())
        assert len(labels_of(source)) == classes
        assert Counter(sample.split for sample in samples) == {"train": train, "test": test}
        assert len({sample.key for sample in samples}) == len(samples)
        chosen = np.random.default_rng(0).choice(len(samples), 20, replace=False)
        with tarfile.open(path) as tar:
            for i in chosen:
                member = tar.extractfile(f"{path.stem}/{samples[i].key}")
                assert samples[i].load() == member.read()

    def test_mnist(self):
        source = open_source(f"idx:{real('mnist')}")
        samples = {sample.key: sample for sample in source.samples()}
        assert labels_of(source) == [str(digit) for digit in range(10)]
        assert Counter(sample.split for sample in samples.values()) == {"train": 60_000, "test": 10_000}
        assert samples["train-000000"].label == "5" and samples["t10k-000000"].label == "7"
        image = Image.open(io.BytesIO(samples["train-000123"].load()))
        assert (image.mode, image.size, image.format) == ("L", (28, 28), "PNG")
        raw = gzip.decompress((REAL_DATA / "mnist/train-images-idx3-ubyte.gz").read_bytes())
        assert image.tobytes() == raw[16 + 123 * 784 : 16 + 124 * 784]
        assert len(pickle.dumps(samples["train-000123"])) < 1000


def idx_folder(folder, **changes):
    """Four idx files of 3 training and 2 test rows of 4 x 4; ``changes`` replaces contents by the part of a name."""
    contents = {}
    for part, count in (("train", 3), ("t10k", 2)):
        size = b"".join(number.to_bytes(4, "big") for number in (2051, count, 4, 4))
        contents[f"{part}-images-idx3-ubyte"] = size + bytes(range(count * 16))
        contents[f"{part}-labels-idx1-ubyte"] = (
            (2049).to_bytes(4, "big") + count.to_bytes(4, "big") + bytes(range(count))
        )
    for name, content in contents.items():
        content = changes.get(name.split("-idx")[0].replace("-", "_"), content)
        if content is not None:
            zipped = name.startswith("t10k")
            (folder / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(content) if zipped else content)
    return open_source(f"idx:{folder}")


class TestIdx:
    def test_rows_come_as_grey_png_zipped_or_not(self, tmp_path):
        samples = list(idx_folder(tmp_path).samples())
        assert [(s.key, s.label, s.split) for s in samples] == [
            ("t10k-000000", "0", "test"),
            ("t10k-000001", "1", "test"),
            ("train-000000", "0", "train"),
            ("train-000001", "1", "train"),
            ("train-000002", "2", "train"),
        ]
        assert Image.open(io.BytesIO(samples[3].load())).tobytes() == bytes(range(16, 32))

    def test_no_folder(self, tmp_path):
        assert message_of(lambda: open_source(f"idx:{tmp_path}/no")) == f"{tmp_path}/no does not exist"

    def test_a_missing_file(self, tmp_path):
        expected = f"{tmp_path} lacks t10k-labels-idx1-ubyte (or t10k-labels-idx1-ubyte.gz)"
        assert message_of(lambda: idx_folder(tmp_path, t10k_labels=None)) == expected

    def test_another_kind_of_file(self, tmp_path):
        expected = (
            f"{tmp_path}/train-images-idx3-ubyte is not an idx file: it begins with {int.from_bytes(b'hell', 'big')}, "
            "not 2051 (images) or 2049 (labels)"
        )
        assert message_of(lambda: list(idx_folder(tmp_path, train_images=b"hello").samples())) == expected

    def test_images_and_labels_mixed_up(self, tmp_path):
        labels = (2049).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"\0"
        expected = f"{tmp_path}/train-images-idx3-ubyte holds labels: files mixed up?"
        assert message_of(lambda: list(idx_folder(tmp_path, train_images=labels).samples())) == expected

    def test_a_file_cut_short(self, tmp_path):
        images = b"".join(number.to_bytes(4, "big") for number in (2051, 3, 4, 4)) + bytes(40)
        expected = f"{tmp_path}/train-images-idx3-ubyte has 56 bytes; its header says 3x4x4, so 64: damaged or empty"
        assert message_of(lambda: list(idx_folder(tmp_path, train_images=images).samples())) == expected

    def test_a_damaged_gzip(self, tmp_path):
        source = idx_folder(tmp_path)
        path = tmp_path / "t10k-images-idx3-ubyte.gz"
        path.write_bytes(path.read_bytes()[:20])
        assert message_of(lambda: list(source.samples())).startswith(f"{path} cannot be read: ")

    def test_counts_that_differ(self, tmp_path):
        labels = (2049).to_bytes(4, "big") + (2).to_bytes(4, "big") + b"\0\1"
        expected = (
            f"{tmp_path}/train-images-idx3-ubyte has 3 images, train-labels-idx1-ubyte 2 labels: "
            "they do not belong together"
        )
        assert message_of(lambda: list(idx_folder(tmp_path, train_labels=labels).samples())) == expected


class TestOpenSource:
    def test_digits_are_jpeg_of_the_size_asked_for(self):
        samples = list(open_source("digits", image_size=48).samples())
        assert (len(samples), samples[1].key, samples[1].label, samples[1].split) == (1797, "digit-0001", "1", None)
        image = Image.open(io.BytesIO(samples[1].load()))
        assert (image.mode, image.size, image.format) == ("RGB", (48, 48), "JPEG")
        assert samples[1].load() == pickle.loads(pickle.dumps(samples[1])).load()
        assert np.asarray(image).max() > 200

    @pytest.mark.parametrize(
        "text, options, message",
        [
            (
                "s3:x",
                {},
                "unknown source 's3:x'; known forms are imagefolder:DIR (or a .tar, .tar.gz or .tgz of one), "
                "parquet:FILE_OR_DIR, table:FILE_OR_DIR, webdataset:TAR_OR_DIR, datasets:FILE_OR_DIR, "
                "texts:FILE_OR_DIR (tables, or class "
                "folders of .txt), idx:DIR, an4:FILE, audio:DIR, digits, tones",
            ),
            ("idx", {}, "source idx needs a path: idx:DIR"),
            ("imagefolder:", {}, "source imagefolder needs a path: imagefolder:DIR"),
            ("digits:x", {}, "source digits needs no path: write digits alone"),
            ("idx:x", {"image_size": 8}, "source idx has no option 'image_size'"),
            ("digits", {"size": 8}, "source digits has no option 'size'"),
            ("digits", {"image_size": 4}, "digits: image_size must be from 8 to 512, not 4"),
        ],
    )
    def test_what_cannot_be_opened(self, text, options, message):
        assert message_of(lambda: open_source(text, **options)) == message


    @pytest.mark.parametrize(
        "files, given, meant",
        [
            (["photos/cat/1.jpg"], "photos", "'imagefolder:photos'"),
            (["photos/cat/1.jpg"], "./photos/", "'imagefolder:./photos/'"),
            (["tables/0.parquet"], "tables", "'parquet:tables'"),
            (["tables/0.parquet"], "tables/0.parquet", "'parquet:tables/0.parquet'"),
            (["x.tar"], "x.tar", "'imagefolder:x.tar' or 'webdataset:x.tar'"),
            (["tars/train-0.tar"], "tars", "'webdataset:tars'"),
            (["an4.tar.gz"], "an4.tar.gz", "'an4:an4.tar.gz'"),
            (["corpus/an4/etc/an4_test.fileids"], "corpus", "'an4:corpus'"),
            (["speech/transcripts.tsv", "speech/1.wav"], "speech", "'audio:speech'"),
            (["mnist/train-images-idx3-ubyte.gz"], "mnist", "'idx:mnist'"),
            ([], "imagfolder:photos", "'imagefolder'"),
        ],
    )
    def test_a_path_without_a_kind_gets_a_suggestion(self, tmp_path, monkeypatch, files, given, meant):
        write(tmp_path, *files)
        monkeypatch.chdir(tmp_path)
        message = message_of(lambda: open_source(given))
        assert message.startswith(f"unknown source '{given}' (did you mean {meant}?); known forms are imagefolder:DIR")

    def test_a_file_of_no_kind_gets_no_suggestion(self, tmp_path):
        write(tmp_path, "words.txt")
        message = message_of(lambda: open_source(f"{tmp_path}/words.txt"))
        assert message.startswith(f"unknown source '{tmp_path}/words.txt'; known forms are")


class OwnSource:
    """Three samples of a size."""

    def __init__(self, path, size=1):
        self.name, self._size = f"own of {path}", size

    def samples(self):
        return (SourceSample(None, "a", f"{i}", partial(bytes, self._size)) for i in range(3))


class TestOwnSource:
    @pytest.fixture(autouse=True)
    def own(self):
        SOURCES.register("own", SourceKind(OwnSource, "URL", "three samples", options=("size",)))
        yield
        SOURCES.forget("own")

    def test_a_registered_source_is_opened_with_its_path_and_its_options(self):
        source = open_source("own:somewhere", size=5)
        assert (source.name, [len(sample.load()) for sample in source.samples()]) == ("own of somewhere", [5, 5, 5])

    def test_its_form_and_its_options_are_known(self):
        assert source_forms().endswith(", digits, tones, own:URL (three samples)")
        assert message_of(lambda: open_source("own")) == "source own needs a path: own:URL"
        assert message_of(lambda: open_source("own:x", sise=5)) == "source own has no option 'sise'"

    def test_the_forms_of_all_sources_are_listed_without_loading_much(self):
        script = """
import sys
from raygp.data.sources import source_forms
source_forms()
print({"torch", "ray", "numpy", "pyarrow", "PIL", "sklearn"} & {*sys.modules})
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT)
        assert done.stdout == "set()\n", done.stdout + done.stderr


def made(counts, split=None):
    return [
        SourceSample(split, label, f"{split}-{label}-{i:05d}", bytes)
        for label, count in counts.items()
        for i in range(count)
    ]


def counted(samples, indices):
    return Counter(samples[index].label for index in indices)


class TestDrawSplits:
    def test_every_sample_is_used_once_and_held_out_parts_come_first(self):
        samples = made({"a": 100, "b": 50, "c": 30})
        arrivals = draw_splits(samples, 0.2, 0.1, (0.5, 0.25, 0.25), seed=0)
        used = [index for arrival in arrivals for rows in arrival.values() for index in rows]
        assert sorted(used) == list(range(180))
        assert counted(samples, arrivals[0]["test"]) == {"a": 10, "b": 5, "c": 3}
        assert [len(arrivals[0][split]) for split in ("test", "val", "train")] == [18, 32, 65]
        assert all(arrival["val"] == arrival["test"] == [] for arrival in arrivals[1:])
        assert sum(len(arrival["train"]) for arrival in arrivals) == 130

    def test_a_draw_depends_on_the_seed_and_not_on_the_order_of_the_listing(self):
        samples = made({"a": 40, "b": 30})
        backwards = samples[::-1]

        def keys(listing, seed):
            drawn = draw_splits(listing, 0.2, 0.2, (0.6, 0.4), seed)
            return [{split: [listing[i].key for i in rows] for split, rows in part.items()} for part in drawn]

        assert keys(samples, 1) == keys(samples, 1) == keys(backwards, 1)
        assert keys(samples, 1) != keys(samples, 2)
        train = keys(samples, 1)[0]["train"]
        assert train != sorted(train)
        assert len({key.split("-")[1] for key in train[:12]}) == 2

    def test_given_splits_are_kept_and_only_the_missing_one_is_drawn(self):
        samples = made({"a": 30, "b": 30}, "train") + made({"a": 7, "b": 3}, "test")
        (arrival,) = draw_splits(samples, 0.2, 0.5, (1.0,), seed=0)
        assert sorted(arrival["test"]) == list(range(60, 70))
        assert counted(samples, arrival["val"]) == {"a": 6, "b": 6}
        samples += made({"a": 2, "b": 2}, "val")
        (arrival,) = draw_splits(samples, 0.2, 0.5, (1.0,), seed=0)
        assert sorted(arrival["val"]) == list(range(70, 74)) and len(arrival["train"]) == 60

    def test_a_share_of_nothing_draws_nothing(self):
        (arrival,) = draw_splits(made({"a": 3, "b": 1}), 0.0, 0.0, (1.0,), seed=0)
        assert (len(arrival["train"]), arrival["val"], arrival["test"]) == (4, [], [])

    def test_a_rare_class_is_in_every_split_and_in_the_first_arrival(self):
        samples = made({"common": 1000, "rare": 3})
        arrivals = draw_splits(samples, 0.1, 0.1, (0.1, 0.9), seed=0)
        assert all(counted(samples, arrivals[0][split])["rare"] == 1 for split in ("train", "val", "test"))
        assert [len(arrivals[0][split]) for split in ("test", "val")] == [100, 91]

    @pytest.mark.parametrize("seed", range(5))
    def test_whole_numbers_stay_within_one_of_the_exact_share_and_totals_are_rounded(self, seed):
        rng = np.random.default_rng(seed)
        for _ in range(60):
            counts = rng.integers(20, 400, rng.integers(1, 30))
            shares = 0.05 + 0.75 * rng.dirichlet(np.ones(5))
            shares = shares / shares.sum()
            table = apportion(counts, shares)
            assert (table.sum(axis=1) == counts).all()
            assert (np.abs(table - counts[:, None] * shares) < 1).all()
            assert (np.abs(table.sum(axis=0) - counts.sum() * shares) < 1).all()

    def test_whole_numbers_by_hand(self):
        assert apportion(np.array([3, 3]), (0.5, 0.5)).tolist() == [[2, 1], [1, 2]]
        assert apportion(np.array([30, 10]), (0.1, 0.9)).tolist() == [[3, 27], [1, 9]]
        assert apportion(np.array([2, 0]), (0.1, 0.9)).tolist() == [[1, 1], [0, 0]]

    @pytest.mark.parametrize(
        "samples, shares, message",
        [
            (
                made({"a": 5, "b": 2}),
                (0.1, 0.1, (1.0,)),
                "class 'b' has 2 samples to draw from: too few to appear in train, val and test (at least 3)",
            ),
            (
                made({"a": 5, "b": 1}, "train") + made({"a": 1}, "test"),
                (0.1, 0.1, (1.0,)),
                "class 'b' has 1 sample to draw from: too few to appear in train and val (at least 2)",
            ),
            (
                made({"a": 5}, "train") + made({"b": 1}, "test") + made({"b": 1}, "val"),
                (0.1, 0.1, (1.0,)),
                "class 'b' has 0 samples to draw from: too few to appear in train (at least 1)",
            ),
            ([], (0.1, 0.1, (1.0,)), "the source holds no samples"),
            (made({"a": 5}), (1.0, 0.1, (1.0,)), "the val share must be at least 0 and less than 1, not 1.0"),
            (made({"a": 5}), (0.1, -1, (1.0,)), "the test share must be at least 0 and less than 1, not -1"),
            (made({"a": 5}), (0.1, 0.1, (0.5, 0.4)), "the arrivals' shares must add up to 1, not 0.9"),
            (made({"a": 5}), (0.1, 0.1, (1.0, 0.0)), "the arrivals' shares must all be greater than 0, not [1.0, 0.0]"),
        ],
        ids=lambda value: value[:30] if isinstance(value, str) else None,
    )
    def test_what_cannot_be_divided(self, samples, shares, message):
        assert message_of(lambda: draw_splits(samples, *shares, seed=0)) == message
